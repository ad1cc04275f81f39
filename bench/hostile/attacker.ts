/**
 * A process that sends hostile requests for a while, apart from the one that measures. Told by messages: `{url,
 * seconds, ask}`; answers with `Attack`.
 */
import { connect } from 'node:net';
import { type HostileRequest, hostileRequests } from './requests.ts';

export interface AttackOrder {
  url: string;
  seconds: number;
  /** Of all hostile requests, those whose names begin so are left out. */
  without?: string;
  /** What to send in place of those. */
  only?: { name: string; path: string; body: string }[];
}

/** By the name of a request. */
export type Attack = Record<string, { sent: number; statuses: Record<string, number>; slowest: number }>;

/** Senders side by side. */
const SENDERS = 4;
/** Sockets whose body never ends. */
const UNENDING = 50;

const encoder = new TextEncoder();

async function attack({ url, seconds, without, only }: AttackOrder): Promise<Attack> {
  const requests: HostileRequest[] = only
    ? only.map(({ name, path, body }) => ({ name, path, body: encoder.encode(body) }))
    : hostileRequests().filter(({ name }) => !without || !name.startsWith(without));
  const found: Attack = {};
  const end = performance.now() + 1000 * seconds;
  const sockets = Array.from({ length: UNENDING }, () => unending(url));
  let next = 0;
  const sender = async () => {
    while (performance.now() < end) {
      const request = requests[next++ % requests.length]!;
      const started = performance.now();
      const status = await statusOf(url, request);
      const entry = found[request.name] ?? { sent: 0, statuses: {}, slowest: 0 };
      found[request.name] = entry;
      entry.sent++;
      entry.statuses[status] = (entry.statuses[status] ?? 0) + 1;
      entry.slowest = Math.max(entry.slowest, Math.round(performance.now() - started));
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
  for (const socket of sockets) socket.destroy();
  return found;
}

async function statusOf(url: string, { path, body, headers }: HostileRequest): Promise<string> {
  try {
    const answer = await fetch(`${url}${path}`, { method: 'POST', body: body as BodyInit, headers });
    await answer.arrayBuffer();
    return String(answer.status);
  } catch {
    return 'closed';
  }
}

/** A body of which a byte comes now and then. */
function unending(url: string) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(
    `POST /v1/completions HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 4000000\r\n\r\n{"prompt":"`,
  );
  const timer = setInterval(() => socket.write('a'), 500);
  socket.on('close', () => clearInterval(timer));
  return socket;
}

process.once('message', async (order: AttackOrder) => {
  process.send!('ready');
  process.send!(await attack(order));
  process.disconnect();
});
