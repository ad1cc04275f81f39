import { expect, test } from 'vitest';
import { EVERY_MIXER } from '../../test/support/every-mixer.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import { argMaxOf, logSumExp } from '../runtime/sampler.ts';
import { EngineScorer } from './engine-scorer.ts';
import type { Row, SpanScore } from './harness.ts';

/** The definition: row by row, with the logits after every token. */
async function rowByRow(engine: Engine, rows: readonly Row[]): Promise<SpanScore[][]> {
  const all: SpanScore[][] = [];
  for (const { ids, spans } of rows) {
    const logits: Float32Array[] = [];
    using sequence = engine.start();
    await engine.append(sequence, ids, { each: (_place, row) => logits.push(row.slice()) });
    const logProb = (at: number, id: number) => logits[at - 1]![id]! - logSumExp(logits[at - 1]!);
    all.push(
      spans.map(({ from, to, candidates }) => {
        if (candidates) {
          const best = argMaxOf(logits[from - 1]!);
          return { logProb: 0, greedy: true, candidates: candidates.map((id) => logProb(from, id)), best };
        }
        const places = Array.from({ length: to - from }, (_, i) => from + i);
        return {
          logProb: places.reduce((sum, at) => sum + logProb(at, ids[at]!), 0),
          greedy: places.every((at) => argMaxOf(logits[at - 1]!) === ids[at]),
        };
      }),
    );
  }
  return all;
}

const drawn = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => (i * (29 + 2 * seed) + 7 * seed + i * i) % 64);

/** Options of one question, questions behind one prompt, rows that are each other's beginning, and rows by themselves. */
function mixedRows(): Row[] {
  const prompt = drawn(40, 1);
  const questions = [drawn(9, 2), drawn(13, 3), drawn(9, 4)].map((ids) => [...prompt, ...ids]);
  const options = questions.flatMap((context) =>
    [1, 2, 4].map((count): Row => {
      const ids = [...context, ...drawn(count, 5 + count)];
      return { ids, spans: [{ from: context.length, to: ids.length }] };
    }),
  );
  const [context] = questions as [number[]];
  return [
    ...options,
    { ids: context, spans: [{ from: context.length, to: context.length, candidates: [3, 9, 60] }] },
    { ids: context, spans: [{ from: context.length, to: context.length, candidates: [9] }] },
    ...[1, 2, 3, 30, 75, 120].map((count): Row => {
      const ids = drawn(count, 20 + count);
      const half = Math.ceil(count / 2);
      return {
        ids,
        spans: [
          { from: 1, to: count },
          { from: half, to: half + 1 },
          { from: count, to: count, candidates: [7] },
        ].filter(({ from, to, candidates }) => candidates || (from < to && to <= count)),
      };
    }),
    { ids: drawn(5, 3), spans: [] },
  ];
}

function expectAlike(found: readonly SpanScore[][], expected: readonly SpanScore[][]): void {
  expect(found.length).toBe(expected.length);
  for (const [row, spans] of expected.entries()) {
    expect(found[row]!.length).toBe(spans.length);
    for (const [i, { logProb, greedy, candidates, best }] of spans.entries()) {
      const got = found[row]![i]!;
      expect(Math.abs(got.logProb - logProb), `row ${row}, span ${i}`).toBeLessThan(
        1e-4 * (1 + Math.abs(logProb) / 50),
      );
      expect(got.greedy, `row ${row}, span ${i}`).toBe(greedy);
      expect(got.best).toBe(best);
      expect(got.candidates?.length).toBe(candidates?.length);
      for (const [c, x] of candidates?.entries() ?? [])
        expect(Math.abs(got.candidates![c]! - x)).toBeLessThan(1e-4);
    }
  }
}

/** Fast on any machine: a model of these layers and what the two ways of reading find. */
async function compareWays(
  layers: MixerSpec[],
  options: EngineOptions = {},
  rows = mixedRows(),
): Promise<void> {
  const config = tinyConfig(layers);
  await using engine = await Engine.create(config, randomWeights(config), {
    threads: 1,
    scoring: true,
    ...options,
  });
  const found = await new EngineScorer(engine).score(rows);
  expectAlike(found, await rowByRow(engine, rows));
}

const rwkv7 = { ...EVERY_MIXER.rwkv7, valueRank: 4 };
const HYBRIDS: Record<string, MixerSpec[]> = {
  ...Object.fromEntries(
    Object.entries(EVERY_MIXER).map(([kind, spec]) => [
      kind,
      [{ kind: 'attention' }, spec, spec] as MixerSpec[],
    ]),
  ),
  'a window with sinks': [{ kind: 'sliding_window', window: 6, sinks: 2 }, { kind: 'attention' }],
  'windows of two sizes': [
    { kind: 'sliding_window', window: 3 },
    { kind: 'sliding_window', window: 70 },
  ],
  'coupled rwkv7 beside windows': [
    { ...EVERY_MIXER.window_linear, linear: EVERY_MIXER.rwkv7 },
    { kind: 'attention' },
    { ...EVERY_MIXER.window_linear, window: 2100, linear: rwkv7 },
  ],
  'coupled rwkv7': [EVERY_MIXER.rwkv7, rwkv7, { kind: 'attention' }, rwkv7],
};

test.each(Object.entries(HYBRIDS))('rows together are what they are by themselves: %s', (_name, layers) =>
  compareWays(layers),
);

test('rows together are what they are by themselves: weights in 8 bits', () =>
  compareWays([{ kind: 'attention' }, EVERY_MIXER.gated_deltanet], { dtype: 'q8' }));

test('long rows that begin alike are read once, in pieces', async () => {
  const start = drawn(1100, 1);
  const ends = [drawn(5, 2), drawn(9, 3), drawn(40, 4)];
  const rows = ends.map((end, i): Row => {
    const ids = [...start, ...(i === 1 ? ends[0]! : []), ...end];
    return {
      ids,
      spans: [
        { from: 1000, to: 1003 },
        { from: start.length, to: ids.length },
      ],
    };
  });
  const config = tinyConfig([{ kind: 'attention' }, EVERY_MIXER.gla], { maxPositionEmbeddings: 2048 });
  await using engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  let tokens = 0;
  const score = engine.score.bind(engine);
  engine.score = (sequence, ids, ...more) => {
    tokens += ids.length;
    return score(sequence, ids, ...more);
  };
  const found = await new EngineScorer(engine).score(rows);
  // The last token of a row is not read, nothing is asked after it.
  expect(tokens).toBe(1100 + 5 + 8 + 39);
  expectAlike(found, await rowByRow(engine, rows));
});

test('a row that cannot be read is told before anything is', async () => {
  const config = tinyConfig([{ kind: 'attention' }], { maxPositionEmbeddings: 16 });
  await using engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  const scorer = new EngineScorer(engine);
  const row = (ids: number[]): Row => ({ ids, spans: [{ from: 1, to: ids.length }] });
  await expect(scorer.score([row([1, 2]), row([1, 64])])).rejects.toThrow(
    'token id 64 is not in the vocabulary',
  );
  await expect(scorer.score([row(drawn(18, 1))])).rejects.toThrow('17 tokens do not fit');
  // The last token of a row is predicted and not read.
  expect(await scorer.score([row(drawn(17, 1))])).toHaveLength(1);
});
