/**
 * `npm run bench -- hostile`: a server with clients that stream, first left alone, then sent what is made to take long; and
 * one whose model's own files are. Writes docs/bench-hostile.md and .json.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { wholeNumber } from '../src/cli/parsers.ts';
import { writeFileAtomic } from '../src/util/files.ts';
import { Random } from '../src/util/random.ts';
import type { Attack, AttackOrder } from './hostile/attacker.ts';
import { type Ask, type Seen, stream, watch } from './hostile/watch.ts';

interface Settings {
  clients: number;
  seconds: number;
  /** Of the server, in megabytes. */
  heap: number;
  /** Requests whose names begin so are left out. */
  without?: string;
}

interface Result {
  settings: Settings;
  calm: Seen;
  hostile: Seen;
  attack: Attack;
  /** Of a model with a hostile template and a hostile pattern. */
  ownCalm: Seen;
  own: Seen;
  ownAttack: Attack;
}

const root = resolve(import.meta.dirname, '..');
const MODEL = 'models/base';
/** Goals, in milliseconds. */
const [HEALTH, STALL] = [100, 200];
const TOKENS = 200;

const CHAT =
  '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if tools %}<tool_call>{% endif %}assistant:';
const FOREVER = "{% for i in range(99999) %}{% for j in range(99999) %}{{ '' }}{% endfor %}{% endfor %}";

export async function main(args: string[]): Promise<void> {
  const command = new Command('hostile')
    .description('streams and /health while requests and models come that are made to take long')
    .option('--clients <n>', 'that stream', wholeNumber, 16)
    .option('--seconds <n>', 'of each part: calm and hostile; half of it for hostile models', wholeNumber, 60)
    .option('--heap <MB>', 'of the server', wholeNumber, 1024)
    .option('--without <text>', 'leave out requests whose names begin so, such as schema')
    .option('--docs <folder>', 'where to write bench-hostile.md and .json', 'docs');
  command.parse(args, { from: 'user' });
  const { docs, ...settings } = command.opts<Settings & { docs: string }>();
  const result = await measure(settings);
  writeFileAtomic(join(root, docs, 'bench-hostile.json'), `${JSON.stringify(result, null, 1)}\n`);
  writeFileAtomic(join(root, docs, 'bench-hostile.md'), report(result));
  process.stdout.write(report(result));
  const parts = [result.calm, result.hostile, result.ownCalm, result.own];
  if (parts.some(({ wrong, failed }) => wrong + failed > 0)) process.exitCode = 1;
}

async function measure(settings: Settings): Promise<Result> {
  const { clients, seconds } = settings;
  const asks = drawn(clients);
  let alone: string[] = [];
  const first = await withServer({ 'chat_template.jinja': CHAT }, settings, async (url, pid) => {
    console.error(`${clients} requests alone`);
    for (const ask of asks) alone.push((await stream(url, ask)).text);
    console.error(`${clients} clients for ${seconds} s, left alone`);
    const calm = await watch(url, pid, asks, alone, sleep(1000 * seconds));
    console.error(`${clients} clients for ${seconds} s, with hostile requests`);
    const order = { url, seconds, without: settings.without };
    return { calm, ...(await attacked(order, (until) => watch(url, pid, asks, alone, until))) };
  });
  const own = await withServer(hostileFiles(), settings, async (url, pid) => {
    console.error(`${clients} clients for ${seconds} s, with a hostile model`);
    const chat = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] });
    const letters = JSON.stringify({ prompt: `${'a'.repeat(34)}!`, max_tokens: 1 });
    const order = {
      ...{ url, seconds: seconds / 2 },
      only: [
        { name: 'a template without an end', path: '/v1/chat/completions', body: chat },
        { name: 'the pattern (a+)+$ on 34 letters', path: '/v1/completions', body: letters },
      ],
    };
    // Another tokenizer shows the same tokens as other text.
    alone = [];
    for (const ask of asks) alone.push((await stream(url, ask)).text);
    const ownCalm = await watch(url, pid, asks, alone, sleep(500 * seconds));
    const { hostile, attack } = await attacked(order, (until) => watch(url, pid, asks, alone, until));
    return { ownCalm, own: hostile, ownAttack: attack };
  });
  return { settings, ...first, ...own };
}

/** What is seen while an attack lasts, by another process. */
async function attacked(
  order: AttackOrder,
  see: (until: Promise<unknown>) => Promise<Seen>,
): Promise<{ hostile: Seen; attack: Attack }> {
  const attacker = fork(join(root, 'bench/hostile/attacker.ts'), { execArgv: ['--import', 'tsx'] });
  // Attackers bring processors of their own: what this one needs for its bodies is not to be taken from the server.
  setPriority(attacker.pid!, constants.priority.PRIORITY_LOW);
  attacker.send(order);
  await once(attacker, 'message');
  const attack = once(attacker, 'message') as Promise<[Attack]>;
  const hostile = await see(attack);
  return { hostile, attack: (await attack)[0] };
}

/** Runs a server of a copy of the model with these files in it. */
async function withServer<T>(
  files: Record<string, string>,
  { clients, heap }: Settings,
  use: (url: string, pid: number) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'postnas-hostile-'));
  cpSync(join(root, MODEL), dir, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const child = spawn(
    process.execPath,
    [
      ...[
        `--max-old-space-size=${heap}`,
        '--import',
        'tsx',
        join(root, 'src/cli/main.ts'),
        'serve',
        dir,
        '--json',
      ],
      ...['--port', '0', '--max-batch', String(2 * clients), '--log-level', 'silent'],
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    return await use(await urlOf(child), child.pid!);
  } finally {
    child.kill('SIGTERM');
    const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
    console.error(`the server ended with ${code}`);
    rmSync(dir, { recursive: true });
  }
}

async function urlOf(child: ChildProcess): Promise<string> {
  for await (const line of createInterface(child.stdout!)) return (JSON.parse(line) as { url: string }).url;
  throw new Error('the server ended before it listened');
}

/** A template that does not end, and a pattern that tries every way. */
function hostileFiles(): Record<string, string> {
  const json = JSON.parse(readFileSync(join(root, MODEL, 'tokenizer.json'), 'utf8'));
  const split = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false };
  const pretokenizers = [split, ...(json.pre_tokenizer ? [json.pre_tokenizer] : [])];
  const pre_tokenizer = { type: 'Sequence', pretokenizers };
  return {
    'chat_template.jinja': FOREVER,
    'tokenizer.json': JSON.stringify({ ...json, pre_tokenizer }),
  };
}

/** Half of them drawn and half greedy. */
function drawn(count: number): Ask[] {
  const random = new Random(1);
  return Array.from({ length: count }, (_, i) => ({
    prompt: Array.from({ length: 1 + random.below(200) }, () => 2 + random.below(900)),
    max_tokens: TOKENS,
    temperature: i % 2,
    seed: i,
    ignore_eos: true as const,
  }));
}

function report(result: Result): string {
  const { clients, seconds, heap, without } = result.settings;
  const parts: [string, Seen][] = [
    ['left alone', result.calm],
    ['hostile requests', result.hostile],
    ['a hostile model, left alone', result.ownCalm],
    ['a hostile model', result.own],
  ];
  const row = (name: string, { health, gaps, first, answers, wrong, failed, peakRss, ownDelay }: Seen) =>
    `| ${[
      ...[name, health.asked, health.p50, health.p99, health.max, gaps.p50, gaps.p99, gaps.max, first.p99],
      ...[answers, wrong, failed, peakRss, ownDelay],
    ].join(' | ')} |`;
  const attackRows = ([name, { sent, statuses, slowest }]: [string, Attack[string]]) =>
    `| ${name} | ${sent} | ${Object.entries(statuses)
      .map(([status, count]) => `${status}: ${count}`)
      .join(', ')} | ${slowest} |`;
  const { hostile, own } = result;
  const holds = (goal: boolean) => (goal ? 'holds' : 'does not hold');
  const health = Math.max(hostile.health.p99, own.health.p99);
  const stall = Math.max(hostile.gaps.max, own.gaps.max);
  const lost = parts.reduce((sum, [, { wrong, failed }]) => sum + wrong + failed, 0);
  return `# Hostile requests to \`postnas serve ${MODEL}\`

\`npm run bench -- hostile --clients ${clients} --seconds ${seconds} --heap ${heap}${without ? ` --without ${without}` : ''}\`: ${clients} clients stream ${TOKENS} tokens each without a
pause, and \`/health\` is asked every 20 ms. The server has a heap of ${heap} MB. First nothing else happens; then another process
sends the requests of the second table, four at a time, beside 50 bodies that never end; then the same for a model whose
chat template does not end and whose tokenizer has the pattern \`(a+)+$\`. Each answer is compared with the one that its
request got alone. Clients, attacker and server share the machine, the attacker at the lowest priority: a real one has a
machine of its own.

| goal | | |
|---|---|---|
| \`/health\`, p99 | under ${HEALTH} ms | ${health} ms: ${holds(health < HEALTH)} |
| longest stall of a stream | under ${STALL} ms | ${stall} ms: ${holds(stall < STALL)} |
| answers lost or unlike their solo run | none | ${lost}: ${holds(lost === 0)} |
| memory (RSS), largest | told | ${Math.max(...parts.map(([, { peakRss }]) => peakRss))} MB |

Milliseconds; the last column is the longest delay of the measuring process's own event loop.

| | /health asked | p50 | p99 | largest | between tokens p50 | p99 | largest | to the first token p99 | answers | unlike | failed | RSS, MB | own delay |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
${parts.map(([name, seen]) => row(name, seen)).join('\n')}

| request | sent | status: times | slowest answer, ms |
|---|---|---|---|
${[...Object.entries(result.attack), ...Object.entries(result.ownAttack)].map(attackRows).join('\n')}
`;
}
