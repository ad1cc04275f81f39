import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/** What honest clients see: `/health` every 20 ms, and streams whose texts are compared with their solo runs. */

interface Quantiles {
  p50: number;
  p99: number;
  max: number;
}

export interface Seen {
  /** Milliseconds. */
  health: Quantiles & { asked: number; failed: number };
  /** Between two tokens of one stream, in milliseconds. */
  gaps: Quantiles;
  /** To the first token of a stream. */
  first: Quantiles;
  answers: number;
  wrong: number;
  failed: number;
  /** Of the server, MB. */
  peakRss: number;
  /** Of the measuring process's own event loop, in milliseconds: what is below it says nothing of the server. */
  ownDelay: number;
}

export interface Ask {
  prompt: number[];
  max_tokens: number;
  temperature: number;
  seed: number;
  ignore_eos: true;
}

const EVERY = 20;

export async function watch(
  url: string,
  pid: number,
  asks: readonly Ask[],
  alone: readonly string[],
  until: Promise<unknown>,
): Promise<Seen> {
  const seen = { health: [] as number[], gaps: [] as number[], first: [] as number[] };
  let [answers, wrong, failed, unhealthy, peakRss] = [0, 0, 0, 0, 0];
  let over = false;
  const end = until.then(() => {
    over = true;
  });
  const own = monitorEventLoopDelay({ resolution: 5 });
  own.enable();

  const client = async (ask: Ask, i: number) => {
    while (!over) {
      try {
        const { text, first, gaps } = await stream(url, ask);
        answers++;
        if (text !== alone[i]) wrong++;
        seen.first.push(first);
        for (const gap of gaps) seen.gaps.push(gap);
      } catch (error) {
        failed++;
        console.error(`stream ${i}: ${(error as Error).message}`);
        await sleep(100);
      }
    }
  };
  const probe = async () => {
    const started = performance.now();
    try {
      const answer = await fetch(`${url}/health`);
      await answer.arrayBuffer();
      if (!answer.ok) unhealthy++;
    } catch {
      unhealthy++;
    }
    seen.health.push(performance.now() - started);
  };
  const probes: Promise<void>[] = [];
  const health = async () => {
    while (!over) {
      probes.push(probe());
      await sleep(EVERY);
    }
    await Promise.all(probes);
  };
  const memory = async () => {
    while (!over) {
      peakRss = Math.max(peakRss, rssOf(pid));
      await sleep(100);
    }
  };
  await Promise.all([end, health(), memory(), ...asks.map(client)]);
  own.disable();
  return {
    health: { ...quantiles(seen.health), asked: seen.health.length, failed: unhealthy },
    gaps: quantiles(seen.gaps),
    first: quantiles(seen.first),
    ...{ answers, wrong, failed, peakRss, ownDelay: Math.round(own.max / 1e5) / 10 },
  };
}

/** Megabytes; 0 where the process is gone. */
function rssOf(pid: number): number {
  try {
    return Math.round(
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024,
    );
  } catch {
    return 0;
  }
}

/** @throws where the stream ends early or in an error */
export async function stream(
  url: string,
  ask: Ask,
): Promise<{ text: string; first: number; gaps: number[] }> {
  const started = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...ask, stream: true, logprobs: 0 }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const decoder = new TextDecoder();
  const gaps: number[] = [];
  let [text, rest, last, first, done] = ['', '', started, 0, false];
  for await (const bytes of response.body!) {
    rest += decoder.decode(bytes, { stream: true });
    const events = rest.split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      if (event === 'data: [DONE]') {
        done = true;
        continue;
      }
      const { choices, error } = JSON.parse(event.slice('data: '.length));
      if (error) throw new Error(error.message);
      const now = performance.now();
      if (first === 0) first = now - started;
      else gaps.push(now - last);
      last = now;
      text += choices[0].text;
    }
  }
  if (!done) throw new Error('the stream ended early');
  return { text, first, gaps };
}

function quantiles(values: number[]): Quantiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => Math.round(10 * (sorted[Math.floor(share * (sorted.length - 1))] ?? 0)) / 10;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
