import { expect, test } from 'vitest';
import type { OtherKv, Peer, Task } from './contender.ts';
import { reportMarkdown } from './report.ts';
import { type Block, type Entry, figureOf, ratioOf, withBlock } from './results.ts';
import type { ModelName } from './shapes.ts';

function entry(peer: Peer, model: ModelName, rates: (number | null)[], failure?: string): Entry {
  return {
    contender: { peer, model, shape: 'SmolLM2-135M', dtype: 'q8' },
    rounds: rates.map((tokensPerSecond) =>
      tokensPerSecond === null
        ? null
        : {
            tokensPerSecond,
            tokensPerProcessorSecond: 2 * tokensPerSecond,
            setUp: 'drawn',
            peakBytes: 2 ** 20 * tokensPerSecond,
            others: 0.25,
          },
    ),
    failure,
  };
}

function block(task: Task, entries: Entry[]): Block {
  return {
    date: '2026-11-25',
    command: 'bench',
    machine: 'M',
    instructions: 'AVX2',
    versions: { peer: '1.0' },
    threads: 1,
    task,
    entries,
  };
}

const decode = (context: number): Task => ({ kind: 'decode', context, tokens: 8 });

test('a figure is the median of the rounds that did not fail', () => {
  expect(figureOf(entry('llama', 'full', [4, null, 1, 3]))).toMatchObject({
    tokensPerSecond: 3,
    rounds: 3,
    lowest: 1,
    highest: 4,
  });
  expect(figureOf(entry('llama', 'full', [null]))).toBeUndefined();
});

test('a ratio is the median of those of rounds in which both stand', () => {
  const over = entry('postnas', 'hybrid', [10, 40, null, 6]);
  const under = entry('llama', 'full', [5, 10, 1, 6]);
  expect(ratioOf(over, under)).toBe(2);
  expect(ratioOf(over, undefined)).toBeUndefined();
  expect(ratioOf(over, entry('llama', 'full', [null, null, 3, null]))).toBeUndefined();
});

test('a block that is measured again takes the place of the old', () => {
  const old = [128, 4096].map((context) => block(decode(context), [entry('llama', 'full', [1])]));
  const blocks = withBlock(old, block(decode(128), [entry('llama', 'full', [2])]));
  expect(blocks.map(({ task, entries }) => [task.context, figureOf(entries[0]!)!.tokensPerSecond])).toEqual([
    [128, 2],
    [4096, 1],
  ]);
});

test('a processor with other instructions is another machine', () => {
  const before = block(decode(128), [entry('llama', 'full', [1])]);
  const unknown: Block = { ...before, instructions: undefined };
  const other: Block = { ...before, instructions: 'AVX2, AMX' };
  const blocks = withBlock(withBlock([before], unknown), other);
  expect(blocks).toHaveLength(3);
  const text = reportMarkdown(blocks);
  for (const title of ['AVX2', 'AVX2, AMX', 'instruction sets not recorded']) {
    expect(text).toContain(`## SmolLM2-135M, q8, 1 thread, ${title}\n`);
  }
});

test('the report: rates, ratios with targets, failures, set-ups', () => {
  const text = reportMarkdown([
    block(decode(65_536), [
      entry('postnas', 'hybrid', [20, 22, 24]),
      entry('llama', 'full', [2, 2, 2]),
      entry('llama', 'hybrid', [11, 11, 11]),
      entry('transformers', 'full', [null], 'ended with SIGKILL: no memory'),
    ]),
  ]);
  expect(text).toContain('## SmolLM2-135M, q8, 1 thread, AVX2\n');
  expect(text).toContain('| decode at 65,536 | 22.0 | 2.00 | 11.0 | failed |');
  // 11 times llama.cpp's full attention, where 15 are wanted; twice its hybrid, where 1.7 are.
  expect(text).toContain('| decode at 65,536 | **11.00** (15) | 2.00 (1.7) |');
  expect(text).toContain('22.0 | 20.0 to 24.0 (3) | 44.0 | 25 % | 22 MiB | drawn |');
  expect(text).toContain('| ratio by processor time (target) |');
  expect(text).toContain('ended with SIGKILL: no memory');
  expect(text).toContain('- 2026-11-25: `bench`; M; AVX2; peer 1.0');
});

test('the report: caches that are kept otherwise stand beside what the others do by themselves', () => {
  const other = (peer: Peer, kv: OtherKv, rate: number): Entry => {
    const made = entry(peer, 'hybrid', [rate]);
    return { ...made, contender: { ...made.contender, kv } };
  };
  const text = reportMarkdown([
    block(decode(65_536), [
      entry('postnas', 'hybrid', [30]),
      other('postnas', 'f32', 20),
      entry('llama', 'hybrid', [10]),
      other('llama', 'q8', 12),
    ]),
  ]);
  const side = (peer: string) => `${peer}, Gated DeltaNet hybrid`;
  const [ours, theirs] = [side('postnas'), side('node-llama-cpp')];
  expect(text).toContain(
    `| ${ours} / ${theirs} | ${ours}, exact cache / ${theirs} | ${ours} / ${theirs}, 8-bit cache |`,
  );
  expect(text).toContain('| decode at 65,536 | 3.00 (1.7) | 2.00 (1.7) | 2.50 |');
});
