import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { tinyBatches, tinyGla } from '../../test/support/tiny-network.ts';
import { openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import { Model } from '../runtime/model.ts';
import { planExamples } from '../tasks/harness.ts';
import type { ProgressEvent } from '../util/progress.ts';
import { type SearchSettings, searchPlacement } from './pipeline.ts';
import type { SearchResult } from './result.ts';

let dir: string;
let model: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-search-'));
  model = join(dir, 'model');
  const size = {
    hiddenSize: 16,
    intermediateSize: 24,
    numHeads: 2,
    numKvHeads: 1,
    maxPositionEmbeddings: 64,
  };
  const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }, { kind: 'attention' }], {
    ...size,
    modelType: 'llama',
  });
  const generation = { bosTokenId: 1, eosTokenIds: [2, 5] };
  await saveCheckpoint(model, config, randomWeights(config, 4), { dtype: 'F32', generation });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const encode = (text: string) => [...text].map((letter) => letter.charCodeAt(0) % 64);

function settings(out: string, more: Partial<SearchSettings> = {}): SearchSettings {
  const shape = { batch: 2, length: 12 };
  return {
    model,
    out: join(dir, out),
    mixer: tinyGla,
    budget: 1,
    seeds: [1, 2],
    tasks: [
      {
        plan: planExamples(
          'pick',
          ['abcdef', 'fedcba', 'cabdd', 'zyxa'].map((context) => ({ context, options: ['x', 'y'], gold: 1 })),
          encode,
        ),
        metric: 'accuracy',
      },
      { plan: planExamples('say', [{ context: 'abc', answer: 'def' }], encode), metric: 'loss' },
    ],
    batches: tinyBatches(),
    align: { ...shape, steps: 4, rate: 1e-2 },
    supernet: { ...shape, steps: 5, rate: 1e-2, sampling: { rule: 'budget', budget: 1 } },
    finish: { ...shape, steps: 3, rate: 1e-2 },
    beamWidth: 2,
    randomSamples: 2,
    exhaustive: true,
    threads: 1,
    ...more,
  };
}

/** A result without what depends on the clock and on where it lies. */
function lasting(result: SearchResult): unknown {
  const drop = new Set(['seconds', 'created', 'path']);
  return JSON.parse(JSON.stringify(result), (key, value) => (drop.has(key) ? undefined : value));
}

const written = (out: string) =>
  JSON.parse(readFileSync(join(dir, out, 'result.json'), 'utf8')) as SearchResult;
const hybrids = (out: string) =>
  [1, 2].map((seed) => readFileSync(join(dir, out, `seed-${seed}`, 'hybrid', 'model.safetensors')));

describe('searchPlacement', () => {
  let result: SearchResult;
  beforeAll(async () => {
    result = await searchPlacement(settings('straight'));
  });

  test('the result file is the result, with everything its type says', () => {
    expect(written('straight')).toEqual(JSON.parse(JSON.stringify(result)));
    expect(result).toMatchObject({
      format: 'postnas-search-1',
      model: { path: model, layers: 3 },
      mixer: tinyGla,
      budget: 1,
      objective: [
        { task: 'pick', metric: 'accuracy', examples: 4 },
        { task: 'say', metric: 'loss', examples: 1 },
      ],
      base: { placement: [0, 1, 2], tasks: { pick: expect.anything(), say: expect.anything() } },
    });
    expect(new Date(result.created).getTime()).toBeGreaterThan(Date.now() - 600_000);
    const { weights } = openCheckpoint(model);
    const sizes = weights.names().map((name) => weights.read(name).length);
    expect(result.model.parameters).toBe(sizes.reduce((a, b) => a + b, 0));
    expect(result.runs.map(({ seed }) => seed)).toEqual([1, 2]);
  });

  test('each run has its losses, its heat map and what each searcher found', () => {
    for (const run of result.runs) {
      expect(run.alignment).toHaveLength(3);
      for (const loss of [...run.alignment, run.supernetLoss]) {
        expect(loss).toBeGreaterThan(0.1);
        expect(loss).toBeLessThan(10);
      }
      expect(run.heatMap.map(({ placement }) => placement)).toEqual([[0], [1], [2]]);
      expect(run.searchers.map(({ name }) => name)).toEqual(['beam-2', 'uniform', 'random-2', 'exhaustive']);
      const [beam, even, drawn, all] = run.searchers.map(({ best }) => best);
      expect(beam!.map(({ placement }) => placement.length)).toEqual([0, 1]);
      // One full layer of three: the beam sees them all.
      const best = Math.max(...run.heatMap.map(({ score }) => score));
      expect(beam!.at(-1)!.score).toBe(best);
      expect(all).toEqual([beam!.at(-1)]);
      expect(even!.at(-1)!.placement).toEqual([2]);
      expect(drawn!.at(-1)!.score).toBeLessThanOrEqual(best);
      expect(run.placement).toEqual(beam!.at(-1)!.placement);
      expect(run.architecture).toBe([0, 1, 2].map((i) => (run.placement.includes(i) ? 'A' : 'G')).join(''));
      expect(run.stages.map(({ name }) => name)).toEqual([
        'align',
        'super network',
        'heat map',
        'beam-2',
        'uniform',
        'random-2',
        'exhaustive',
        'finish',
      ]);
      // Of the beam only the all-linear path was new; rows have 21 tokens for choices, 6 for the answer.
      expect(run.stages.map(({ tokens }) => tokens)).toEqual([96, 120, 4 * 27, 27, 0, 0, 0, 72]);
    }
    const stages = result.runs.flatMap((run) => run.stages);
    expect(result.tokens).toBe(stages.reduce((sum, { tokens }) => sum + tokens, 0));
    expect(result.runs[0]!.alignment).not.toEqual(result.runs[1]!.alignment);
  });

  test('the hybrids open and generate', async () => {
    for (const { seed, placement } of result.runs) {
      const folder = join(dir, 'straight', `seed-${seed}`, 'hybrid');
      const { config, generation } = openCheckpoint(folder);
      expect(config.layers).toEqual(
        [0, 1, 2].map((layer) => (placement.includes(layer) ? { kind: 'attention' } : tinyGla)),
      );
      expect(generation.eosTokenIds).toEqual([2, 5]);
      await using hybrid = await Model.fromPretrained(folder);
      const tokens: number[] = [];
      for await (const { id } of hybrid.generate([3, 4, 5], { maxNewTokens: 5, eosTokenIds: [] }))
        tokens.push(id);
      expect(tokens).toHaveLength(5);
    }
    // What is frozen is the parent's.
    const parent = openCheckpoint(model).weights;
    const { weights } = openCheckpoint(join(dir, 'straight', 'seed-2', 'hybrid'));
    for (const name of parent.names()) {
      if (/self_attn/.test(name)) continue;
      expect(weights.read(name), name).toEqual(parent.read(name));
    }
  });

  test('run again, nothing is trained or judged anew', async () => {
    const seen: ProgressEvent[] = [];
    const again = await searchPlacement(settings('straight', { onProgress: (event) => seen.push(event) }));
    expect(lasting(again)).toEqual(lasting(result));
    expect(seen.filter(({ unit }) => unit === 'tokens' || unit === 'batches')).toEqual([]);
    expect(again.runs[0]!.stages[0]!.seconds).toBe(result.runs[0]!.stages[0]!.seconds);
  });

  test('stopped in every stage and resumed, it ends with the same result and hybrids', async () => {
    const stops = [
      ['seed 1: align', 2],
      ['seed 1: super network', 3],
      ['seed 1: judge', 1],
      ['seed 1: beam-2', 1],
      ['seed 1: finish', 1],
      ['seed 2: align', 4],
      ['seed 2: super network', 1],
    ] as const;
    for (const [stage, events] of stops) {
      const controller = new AbortController();
      let count = 0;
      const onProgress = (event: ProgressEvent) => {
        if (event.stage === stage && ++count === events) controller.abort();
      };
      const running = searchPlacement(settings('stopped', { onProgress, signal: controller.signal }));
      await expect(running, stage).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
      expect(existsSync(join(dir, 'stopped', 'result.json'))).toBe(false);
    }
    const resumed = await searchPlacement(settings('stopped'));
    expect(lasting(resumed)).toEqual(lasting(result));
    expect(lasting(written('stopped'))).toEqual(lasting(result));
    expect(hybrids('stopped')).toEqual(hybrids('straight'));
  });
});

describe('refusals', () => {
  const shape = { batch: 2, length: 65, steps: 1, rate: 1e-2 };
  const long = planExamples('long', [{ context: 'a'.repeat(80), answer: 'b' }], encode);
  test.each<[string, Partial<SearchSettings>, RegExp]>([
    ['a budget beyond the layers', { budget: 4 }, /budget of 4 .* has 3 layers/],
    ['no seeds', { seeds: [] }, /seeds \[\]/],
    ['a seed given twice', { seeds: [1, 1] }, /seeds \[1,1\]/],
    ['no tasks', { tasks: [] }, /at least one task/],
    [
      'a task given twice',
      {
        tasks: ['twice', 'twice'].map((name) => ({
          plan: planExamples(name, [{ context: 'a', answer: 'b' }], encode),
          metric: 'loss',
        })),
      },
      /task twice twice/,
    ],
    ['training rows beyond the context', { align: shape }, /alignment has rows of 65 tokens.* context of 64/],
    [
      'a task beyond the context',
      { tasks: [{ plan: long, metric: 'loss' }] },
      /task long has rows of 8\d tokens/,
    ],
    ['no model', { model: '/nowhere' }, /\/nowhere is no model folder/],
  ])('%s, before anything is written', async (_, wrong, message) => {
    const running = searchPlacement(settings('refused', wrong));
    await expect(running).rejects.toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringMatching(message) }),
    );
    expect(existsSync(join(dir, 'refused'))).toBe(false);
  });

  test('the states of a search with another model, other data or another first stage', async () => {
    const quick = { seeds: [1], finish: { ...shape, length: 12, steps: 0 } };
    await searchPlacement(settings('other', quick));
    const refused = async (more: Partial<SearchSettings>, difference: RegExp) =>
      expect(searchPlacement(settings('other', { ...quick, ...more }))).rejects.toThrow(
        expect.objectContaining({ name: 'InputError', message: expect.stringMatching(difference) }),
      );
    await refused(
      { batches: tinyBatches(32) },
      /align\/state\.safetensors .*\n {2}training text: another one\n/,
    );
    await refused(
      { align: { ...settings('').align, rate: 1 } },
      /align\/state\.safetensors .*\n {2}learning rate: 0\.01 -> 1\n/,
    );
    rmSync(join(dir, 'other/seed-1/align'), { recursive: true });
    await refused(
      { align: { ...settings('').align, rate: 1 } },
      /supernet\/state\.safetensors .*\n {2}alignment learning rate: 0\.01 -> 1\n/,
    );
    const other = join(dir, 'other model');
    const { config } = openCheckpoint(model);
    await saveCheckpoint(other, config, randomWeights(config, 5), { dtype: 'F32' });
    rmSync(join(dir, 'other/seed-1/align'), { recursive: true });
    await refused(
      { model: other },
      /supernet\/state\.safetensors .*\n {2}weights of the model: another one\n/,
    );
  });
});
