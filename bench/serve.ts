/**
 * `npm run bench -- serve`: many clients that stream at once for minutes. Every answer is held against the one that the
 * same request got alone, so a lost, mixed or truncated one shows. Writes docs/bench-serve.md and .json.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { wholeNumber } from '../src/cli/parsers.ts';
import { writeFileAtomic } from '../src/util/files.ts';
import { Random } from '../src/util/random.ts';

interface Options {
  clients: number;
  seconds: number;
  requests: number;
  batch: number;
  docs: string;
}

interface Ask {
  prompt: number[];
  max_tokens: number;
  temperature: number;
  seed: number;
  ignore_eos: boolean;
}

interface Answer {
  text: string;
  finish: string | null;
  tokens: number;
  /** Whether the stream came to its end. */
  done: boolean;
  /** Milliseconds. */
  first: number;
  gaps: number[];
}

interface Result {
  settings: { clients: number; seconds: number; requests: number; batch: number };
  answers: number;
  tokens: number;
  tokensPerSecond: number;
  wrong: number;
  failed: number;
  firstTokenMs: Quantiles;
  betweenTokensMs: Quantiles;
  /** Of the server, MB, every five seconds. */
  rss: number[];
}

interface Quantiles {
  p50: number;
  p99: number;
  max: number;
}

const root = resolve(import.meta.dirname, '..');
const MODEL = 'models/base';
const RSS_EVERY = 5000;

export async function main(args: string[]): Promise<void> {
  const command = new Command('serve')
    .description('load: clients that stream at once, each answer compared with its solo run')
    .option('--clients <n>', 'at once', wholeNumber, 64)
    .option('--seconds <n>', 'how long', wholeNumber, 300)
    .option('--requests <n>', 'different requests', wholeNumber, 256)
    .option('--batch <n>', '--max-batch of the server', wholeNumber, 64)
    .option('--docs <folder>', 'where to write bench-serve.md and .json', 'docs');
  command.parse(args, { from: 'user' });
  const { clients, seconds, requests, batch, docs } = command.opts<Options>();
  const { child, url } = await startServer(batch);
  try {
    const asks = drawn(requests);
    console.error(`${requests} requests alone`);
    const alone: Answer[] = [];
    for (const ask of asks) alone.push(await answerTo(url, ask));
    console.error(`${clients} clients for ${seconds} s`);
    const result = await load(url, child.pid!, asks, alone, { clients, seconds, requests, batch });
    writeFileAtomic(join(root, docs, 'bench-serve.json'), `${JSON.stringify(result, null, 1)}\n`);
    writeFileAtomic(join(root, docs, 'bench-serve.md'), report(result));
    process.stdout.write(report(result));
    if (result.wrong + result.failed > 0) process.exitCode = 1;
  } finally {
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    console.error(`the server ended with ${code}`);
  }
}

async function startServer(batch: number): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', join(root, 'src/cli/main.ts'), 'serve', MODEL, '--json', '--port', '0'],
      ...['--max-batch', String(batch), '--log-level', 'error'],
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  for await (const line of createInterface(child.stdout!)) {
    return { child, url: (JSON.parse(line) as { url: string }).url };
  }
  throw new Error('the server ended before it listened');
}

/** Prompts of 1 to 200 tokens, 1 to 120 tokens after each, half of them drawn and half greedy. */
function drawn(count: number): Ask[] {
  const { vocab_size } = JSON.parse(readFileSync(join(root, MODEL, 'config.json'), 'utf8')) as {
    vocab_size: number;
  };
  const random = new Random(1);
  return Array.from({ length: count }, (_, i) => ({
    prompt: Array.from({ length: 1 + random.below(200) }, () => 2 + random.below(vocab_size - 2)),
    max_tokens: 1 + random.below(120),
    temperature: i % 2,
    seed: i,
    ignore_eos: i % 3 > 0,
  }));
}

async function answerTo(url: string, ask: Ask): Promise<Answer> {
  const started = performance.now();
  const answer: Answer = { text: '', finish: null, tokens: 0, done: false, first: 0, gaps: [] };
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...ask, stream: true, logprobs: 0 }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  let last = started;
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    rest += decoder.decode(bytes, { stream: true });
    const events = rest.split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      if (event === 'data: [DONE]') {
        answer.done = true;
        continue;
      }
      const { choices, error } = JSON.parse(event.slice('data: '.length));
      if (error) throw new Error(error.message);
      const now = performance.now();
      if (answer.tokens === 0) answer.first = now - started;
      else answer.gaps.push(now - last);
      last = now;
      answer.tokens++;
      answer.text += choices[0].text;
      answer.finish = choices[0].finish_reason;
    }
  }
  return answer;
}

async function load(
  url: string,
  pid: number,
  asks: readonly Ask[],
  alone: readonly Answer[],
  settings: Result['settings'],
): Promise<Result> {
  const first: number[] = [];
  const gaps: number[] = [];
  const rss: number[] = [];
  let [tokens, wrong, failed] = [0, 0, 0];
  const end = performance.now() + 1000 * settings.seconds;
  const client = async (_: unknown, c: number) => {
    const random = new Random(1000 + c);
    while (performance.now() < end) {
      const i = random.below(asks.length);
      try {
        const answer = await answerTo(url, asks[i]!);
        const { text, finish, tokens: count } = alone[i]!;
        if (!answer.done || answer.text !== text || answer.finish !== finish || answer.tokens !== count) {
          wrong++;
          console.error(`request ${i}: ${JSON.stringify(answer.text)}, alone ${JSON.stringify(text)}`);
        }
        first.push(answer.first);
        for (const gap of answer.gaps) gaps.push(gap);
        tokens += answer.tokens;
      } catch (error) {
        failed++;
        console.error(`request ${i}: ${(error as Error).message}`);
      }
    }
  };
  const watching = new AbortController();
  const watch = async () => {
    while (!watching.signal.aborted) {
      const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
      rss.push(Math.round(Number(kilobytes) / 1024));
      await sleep(RSS_EVERY, undefined, { signal: watching.signal }).catch(() => {});
    }
  };
  const watched = watch();
  const started = performance.now();
  await Promise.all(Array.from({ length: settings.clients }, client));
  const seconds = (performance.now() - started) / 1000;
  watching.abort();
  await watched;
  return {
    settings,
    answers: first.length,
    tokens,
    tokensPerSecond: Math.round(tokens / seconds),
    wrong,
    failed,
    firstTokenMs: quantiles(first),
    betweenTokensMs: quantiles(gaps),
    rss,
  };
}

function quantiles(values: number[]): Quantiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => Math.round(10 * sorted[Math.floor(share * (sorted.length - 1))]!) / 10;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function report(result: Result): string {
  const { settings, answers, tokens, tokensPerSecond, wrong, failed, firstTokenMs, betweenTokensMs, rss } =
    result;
  const fifth = Math.max(1, Math.floor(rss.length / 5));
  const mean = (values: number[]) => Math.round(values.reduce((a, b) => a + b, 0) / values.length);
  const { clients, seconds, requests, batch } = settings;
  const row = (name: string, { p50, p99, max }: Quantiles) => `| ${name} | ${p50} | ${p99} | ${max} |`;
  return `# Load on \`postnas serve ${MODEL}\`

\`npm run bench -- serve --clients ${clients} --seconds ${seconds} --requests ${requests} --batch ${batch}\`: ${clients} clients on loopback that stream
without a pause, prompts of 1 to 200 tokens, 1 to 120 tokens after each, half of them greedy and half drawn with a seed.
Each answer is compared with the one that its request got alone before. Clients and server share the machine.

${answers} answers, ${tokens} tokens (${tokensPerSecond} per second). Unlike their solo run: ${wrong}. Failed: ${failed}.

| milliseconds | p50 | p99 | largest |
|---|---|---|---|
${row('to the first token', firstTokenMs)}
${row('between tokens', betweenTokensMs)}

Memory of the server (RSS), MB, second fifth of the time and last: ${mean(rss.slice(fifth, 2 * fifth))}, ${mean(rss.slice(-fifth))}; largest ${Math.max(...rss)}.
`;
}
