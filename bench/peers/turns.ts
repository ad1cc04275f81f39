import { fork } from 'node:child_process';
import { freemem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { summarise } from '../../src/model/summary.ts';
import type { Outcome, Peer, Turn } from './contender.ts';
import { modelConfig, SHAPES } from './shapes.ts';

/** Turns in processes of their own: one that crashes or runs out of memory ends nothing but itself. */

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
/** Minutes after which a turn is given up. */
const LIMIT = 20;

/**
 * Copies of the float32 cache that a process holds at its peak. llama.cpp's is in half precision, ours is written in
 * place; transformers.js makes a new one at every step from the old, which onnxruntime-node copies once more on its way
 * to JavaScript.
 */
const CACHE_COPIES: Record<Peer, number> = { postnas: 1.1, llama: 0.6, transformers: 4.2 };
/** Bytes of everything else. */
const BESIDE = 2e9;

/** @param memory bytes that a turn may take at most */
export async function takeTurn(turn: Turn, memory: number): Promise<Outcome | { failure: string }> {
  const needed = neededBytes(turn);
  const free = Math.min(memory, freemem());
  if (needed > free) {
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
    return { failure: `left out: needs about ${gigabytes(needed)}, may take ${gigabytes(free)}` };
  }
  return new Promise((resolve) => {
    const child = fork(CHILD, [JSON.stringify(turn)], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let outcome: Outcome | undefined;
    let complaint = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT * 60_000);
    child.stderr!.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2000);
    });
    child.on('message', (message) => {
      outcome = message as Outcome;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve(outcome ?? { failure: `ended with ${signal ?? code}: ${reason(complaint)}` });
    });
  });
}

function neededBytes({ contender, task }: Turn): number {
  const shape = SHAPES.find(({ name }) => name === contender.shape)!;
  const { stateBytes } = summarise(modelConfig(shape, contender.model), task.context, 4);
  return BESIDE + CACHE_COPIES[contender.peer] * stateBytes;
}

/** The line of a process's complaint that says most. */
function reason(complaint: string): string {
  const lines = complaint.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => /error|assert|killed/i.test(line)) ?? lines.at(-1) ?? 'no message').trim();
}
