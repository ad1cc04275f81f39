import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FullSequence } from '../../../test/golden/full-sequence.ts';
import { tinyParent, tinySupernet } from '../../../test/support/tiny-network.ts';
import { planExamples, type Row, scorePlan } from '../../tasks/harness.ts';
import { Random } from '../../util/random.ts';
import { hybridOf } from '../network/hybrid.ts';
import { PathScorer } from './scorer.ts';

const network = tinyParent();
tinySupernet(network);

const random = new Random(2);
const ids = (length: number) => Array.from({ length }, () => random.below(64));

/** Rows of several lengths, asked about single tokens, several, the last, and candidates, also after the end. */
const rows: Row[] = [5, 33, 12, 70, 32].map((length) => ({
  ids: ids(length),
  spans: [
    { from: 1, to: 3 },
    { from: 3, to: 3, candidates: [7, 1, 60] },
    { from: length - 1, to: length },
    { from: length, to: length, candidates: [5, 9] },
  ],
}));
const paths = [
  [0, 0, 0],
  [0, 1, 0],
  [0, 1, 1],
  [1, 1, 1],
  [1, 0, 1],
];

/** What a model made of the path says of a row, taken through one program of the whole model. */
async function direct(path: readonly number[]) {
  const { config, weights } = hybridOf(network, path);
  const model = new FullSequence(config, weights);
  const scores = [];
  for (const row of rows) {
    const logits = await model.logits(row.ids);
    const logProbs = logits.map((line) => {
      const total = Math.log(line.reduce((sum, x) => sum + Math.exp(x), 0));
      return [...line].map((x) => x - total);
    });
    scores.push(
      row.spans.map(({ from, to, candidates }) => {
        const tokens = row.ids.slice(from, to);
        const of = (token: number, at: number) => logProbs[at - 1]![token]!;
        return {
          logProb: tokens.reduce((sum, token, i) => sum + of(token, from + i), 0),
          greedy: tokens.every((token, i) => of(token, from + i) === Math.max(...logProbs[from + i - 1]!)),
          ...(candidates ? { candidates: candidates.map((token) => of(token, from)) } : {}),
        };
      }),
    );
  }
  await model.dispose();
  return scores;
}

describe('PathScorer', () => {
  let expected: Awaited<ReturnType<typeof direct>>[];
  let scorer: PathScorer;
  beforeAll(async () => {
    expected = [];
    for (const path of paths) expected.push(await direct(path));
    scorer = new PathScorer(network, { batchTokens: 128, threads: 1 });
  });
  afterAll(() => scorer.dispose());

  const expectScores = (scores: Awaited<ReturnType<PathScorer['score']>>, which = paths) => {
    for (const [p, path] of which.entries()) {
      const own = expected[paths.indexOf(path)]!;
      for (const [r, spans] of own.entries()) {
        for (const [s, span] of spans.entries()) {
          const { logProb, greedy, candidates } = scores[p]![r]![s]!;
          const place = `path ${path}, row ${r}, span ${s}`;
          expect(logProb, place).toBeCloseTo(span.logProb, 3);
          expect(greedy, place).toBe(span.greedy);
          expect(candidates?.length, place).toBe(span.candidates?.length);
          for (const [i, x] of (candidates ?? []).entries())
            expect(x, place).toBeCloseTo(span.candidates![i]!, 3);
        }
      }
    }
  };

  test('gives what whole models give, for all paths at once and one by one', async () => {
    const together = await scorer.score(paths, rows);
    expectScores(together);
    for (const [p, path] of paths.entries()) {
      // Shared layers are the same computation: equal to the last bit.
      expect(await scorer.score([path], rows)).toEqual([together[p]]);
    }
    expect(await scorer.scorer(paths[1]!).score(rows)).toEqual(together[1]);
    expect(together[0]).not.toEqual(together[1]);
  });

  test('how rows are batched and padded changes nothing', async () => {
    for (const options of [{ batchTokens: 1 }, { batchTokens: 4096 }, { logits: 150 }]) {
      const other = new PathScorer(network, { ...options, threads: 1 });
      expectScores(await other.score(paths.slice(0, 2), rows), paths.slice(0, 2));
      await other.dispose();
    }
    const reversed = await scorer.score([paths[2]!], [...rows].reverse());
    expectScores([reversed[0]!.reverse()], [paths[2]!]);
  });

  test('greedy is true where every token is the most probable one', async () => {
    // Grown greedily: the next token is always the model's.
    const model = new FullSequence(network.config, hybridOf(network, [0, 0, 0]).weights);
    const grown = [3, 4];
    while (grown.length < 6) {
      const logits = (await model.logits(grown)).at(-1)!;
      grown.push(logits.indexOf(Math.max(...logits)));
    }
    await model.dispose();
    const spans = [{ from: 2, to: 6 }];
    const wrong = grown.with(4, (grown[4]! + 1) % 64);
    const scores = await scorer.score(
      [[0, 0, 0]],
      [grown, wrong].map((ids) => ({ ids, spans })),
    );
    expect(scores[0]!.map(([span]) => span!.greedy)).toEqual([true, false]);
  });

  test('options folded into candidates score as options of their own', async () => {
    const encode = (text: string) => [...text].map((letter) => letter.charCodeAt(0) % 64);
    const plan = planExamples('fold', [{ context: 'abcde', options: ['x', 'y', 'z'], gold: 1 }], encode);
    expect(plan.rows).toHaveLength(1);
    const [score] = await scorer.scoreTask([paths[3]!], plan);
    const apart = {
      ...plan,
      rows: ['x', 'y', 'z'].map((o) => ({ ids: encode(`abcde${o}`), spans: [{ from: 5, to: 6 }] })),
      examples: [{ slots: [0, 1, 2].map((row) => ({ row, span: 0 })), gold: 1, goldTokens: 1 }],
    };
    const expectedScore = await scorePlan(scorer.scorer(paths[3]!), apart);
    expect(score!.goldLoss).toBeCloseTo(expectedScore.goldLoss, 4);
    expect(score!.accuracy).toBe(expectedScore.accuracy);
  });

  test('progress, and a signal that ends it', async () => {
    const seen: number[] = [];
    const controller = new AbortController();
    const running = scorer.score(paths, rows, {
      onProgress: ({ done, total }) => {
        seen.push(done / total);
        if (seen.length === 2) controller.abort();
      },
      signal: controller.signal,
    });
    await expect(running).rejects.toThrow(/abort/i);
    expect(seen).toHaveLength(2);
    expect(seen[1]).toBeLessThan(1);
  });

  test('a row longer than the context', async () => {
    const short = new PathScorer(tinyParent(undefined, { maxPositionEmbeddings: 40 }));
    await expect(short.score([[0, 0, 0]], rows)).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: "a sequence of 70 tokens is longer than the model's context of 40",
      }),
    );
    await short.dispose();
  });
});

describe('divergences', () => {
  const length = 10;
  const text = new Int32Array(6 * length);
  for (let i = 0; i < text.length; i++) text[i] = random.below(64);

  /** By whole models, token by token. */
  async function plainDivergence(path: readonly number[], every: number): Promise<number> {
    const models = [[0, 0, 0], path].map((own) => {
      const { config, weights } = hybridOf(network, own);
      return new FullSequence(config, weights);
    });
    let [sum, count] = [0, 0];
    for (let row = 0; row < text.length; row += length) {
      const ids = [...text.subarray(row, row + length)];
      const [parent, own] = await Promise.all(models.map((model) => model.logits(ids)));
      for (let at = 0; at < length; at += every) {
        const probabilities = [parent![at]!, own![at]!].map((line) => {
          const total = [...line].reduce((all, x) => all + Math.exp(x), 0);
          return [...line].map((x) => Math.exp(x) / total);
        });
        const [p, q] = probabilities as [number[], number[]];
        sum += p.reduce((kl, own, i) => kl + own * Math.log(own / q[i]!), 0);
        count++;
      }
    }
    for (const model of models) await model.dispose();
    return sum / count;
  }

  test.each([
    [1, undefined],
    [3, 64 * 4 * 2],
  ])('of every %i-th token, with room for %s logits', async (every, logits) => {
    const scorer = new PathScorer(network, { threads: 1, ...(logits && { logits }) });
    const found = await scorer.divergences(paths, [0, 0, 0], text, { length, every });
    for (const [p, path] of paths.entries())
      expect(found[p]).toBeCloseTo(await plainDivergence(path, every), 5);
    expect(found[0]).toBeCloseTo(0, 6);
    expect(found[3]).toBeGreaterThan(0.01);
    await scorer.dispose();
  });
});
