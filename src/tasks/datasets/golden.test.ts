import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcomeOf, planExamples } from '../harness.ts';
import { measuresOf } from '../measures.ts';
import { requestsOf } from '../task.ts';
import { firstExamples } from './dataset.ts';
import { loadDatasets } from './load.ts';
import { descriptionsOf } from './sets.ts';

/** What lm-evaluation-harness asks and computes of the same rows: test/golden/make_lm_eval_prompts.py. */
interface Golden {
  rows: Record<string, object[]>;
  tasks: Record<
    string,
    {
      shots: number;
      seed: number;
      repo: string;
      requests: unknown[][][];
      results: Record<string, number | [number, number]>[] | null;
    }[]
  >;
}

const golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/lm-eval-prompts.json', import.meta.url), 'utf8'),
) as Golden;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-golden-'));
  for (const [name, [first]] of Object.entries(golden.tasks)) {
    const { split, shotSplit } = descriptionsOf(name)![0]!;
    mkdirSync(join(folder, name));
    const lines = golden.rows[first!.repo]!.map((row) => `${JSON.stringify(row)}\n`).join('');
    for (const each of [split, shotSplit]) writeFileSync(join(folder, name, `${each}.jsonl`), lines);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const cases = Object.entries(golden.tasks).flatMap(([name, each]) =>
  each.map((one) => ({ name, ...one, label: `${name}, ${one.shots} shots, seed ${one.seed}` })),
);

describe('as lm-evaluation-harness', () => {
  test.each(cases)('$label', async ({ name, shots, seed, requests, results, repo }) => {
    const [set] = await loadDatasets(name, { folder, shots });
    expect(set!.description.repo).toBe(repo);
    const examples = firstExamples(set!, undefined, seed);
    if (set!.description.kind === 'generation') {
      expect(examples.map((example) => requestsOf(example)[0]![0])).toEqual(
        requests.map(([request]) => request![0]),
      );
      return;
    }
    expect(examples.map(requestsOf)).toEqual(requests);
    // The log-likelihoods that the golden results are of.
    const scores = requests.map((each) =>
      name === 'wikitext'
        ? { logProbs: [-100], greedy: [null] }
        : { logProbs: each.map((_, i) => -4 - i), greedy: each.map((_, i) => i === 0) },
    );
    const encode = (text: string) => [...text].map((character) => character.codePointAt(0)!);
    const plan = planExamples(name, examples, { encode, prefix: 0 });
    if (name === 'wikitext') {
      const sum = (key: string, i: number) =>
        results!.reduce((total, result) => total + (result[key] as [number, number])[i]!, 0);
      const found = Object.fromEntries(
        measuresOf(plan, scores, { documents: set!.documents }).map(({ metric, value }) => [metric, value]),
      );
      for (const key of ['word_perplexity', 'byte_perplexity']) {
        expect(found[key]).toBeCloseTo(Math.exp(-sum(key, 0) / sum(key, 1)), 10);
      }
      expect(found.bits_per_byte).toBeCloseTo(
        -sum('bits_per_byte', 0) / sum('bits_per_byte', 1) / Math.LN2,
        10,
      );
      return;
    }
    const outcomes = plan.examples.map((example, i) => outcomeOf(example, scores[i]!));
    const { normalised } = set!.description;
    expect(outcomes.map(({ correct }) => Number(correct))).toEqual(results!.map(({ acc }) => acc));
    expect(outcomes.map(({ correctNorm }) => (normalised ? Number(correctNorm) : undefined))).toEqual(
      results!.map((result) => result.acc_norm),
    );
  });
});
