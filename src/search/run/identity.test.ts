import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { openCheckpoint, saveCheckpoint } from '../../model/checkpoint.ts';
import { MemoryTensors } from '../../model/memory-tensors.ts';
import { planExamples } from '../../tasks/harness.ts';
import type { ObjectiveTask } from '../../tasks/objective.ts';
import { textBatches } from '../../train/batches.ts';
import type { Recipe } from '../recipe.ts';
import type { RunContext } from './context.ts';
import { stageIdentity } from './identity.ts';
import { STAGES, type StageName } from './stage.ts';

let dir: string;
let model: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-identity-'));
  model = join(dir, 'model');
  const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }], { modelType: 'llama' });
  await saveCheckpoint(model, config, randomWeights(config, 4), { dtype: 'F32' });
});
afterAll(() => rmSync(dir, { recursive: true }));

const encode = (text: string) => [...text].map((letter) => letter.charCodeAt(0) % 64);
const text = 'All that a text says belongs to what it is. '.repeat(500);
const task = (context: string): ObjectiveTask => ({
  plan: planExamples('pick', [{ context, options: ['x', 'y'], gold: 1 }], encode),
  metric: 'accuracy',
});

const recipe = {
  model: 'somewhere',
  data: 'a.txt',
  heldOut: 'b.txt',
  device: 'cpu',
  seeds: [1, 2],
  rows: 2,
  length: 12,
  tasks: ['pick'],
  examples: 4,
  placement: { budget: 1, alignSteps: 2 },
  blocks: { alignSteps: 2 },
  design: { alignSteps: 2 },
  dimensions: { slack: 0.03 },
  windows: { size: 4 },
  final: { allSteps: 2 },
  decode: { rounds: 5 },
  mlps: {},
} as unknown as Recipe;

const context = (more: Partial<RunContext> = {}): RunContext => ({
  recipe,
  model,
  config: openCheckpoint(model).config,
  out: join(dir, 'out'),
  batches: textBatches(text, encode, 'a.txt', 'tokenizer'),
  tasks: [task('abc')],
  freshTasks: [task('def')],
  threads: 1,
  signal: new AbortController().signal,
  ...more,
});

/** The stages whose identity is another than that of the run as it was. */
function changed(more: Partial<RunContext>): StageName[] {
  const [before, after] = [stageIdentity(context()), stageIdentity(context(more))];
  return STAGES.filter((name) => before(name) !== after(name));
}

const withRecipe = (more: object) => ({ recipe: { ...recipe, ...more } as Recipe });
const from = (first: StageName) => STAGES.slice(STAGES.indexOf(first));

describe('what a result depends on makes it another', () => {
  test.each<[string, Partial<RunContext>, readonly StageName[]]>([
    [
      'the first letter of the text',
      { batches: textBatches(`B${text.slice(1)}`, encode, 'a.txt', 'tokenizer') },
      STAGES,
    ],
    ['the tokenizer', { batches: textBatches(text, encode, 'a.txt', 'another') }, STAGES],
    ['an example of a task', { tasks: [task('abd')] }, STAGES],
    ['the metric of a task', { tasks: [{ ...task('abc'), metric: 'loss' }] }, STAGES],
    ['whether a task guides', { tasks: [{ ...task('abc'), guides: false }] }, STAGES],
    ['a further task', { tasks: [task('abc'), task('abd')] }, STAGES],
    ['an example that the search does not see', { freshTasks: [task('deg')] }, STAGES],
    ['the rows', withRecipe({ rows: 3 }), STAGES],
    ['the length of rows', withRecipe({ length: 13 }), STAGES],
    ['the seeds', withRecipe({ seeds: [1, 3] }), STAGES],
    ['the number of examples', withRecipe({ examples: 5 }), STAGES],
    ['how decoding is timed', withRecipe({ decode: { rounds: 6 } }), STAGES],
    ['the placement', withRecipe({ placement: { budget: 2, alignSteps: 2 } }), STAGES],
    ['the blocks', withRecipe({ blocks: { alignSteps: 3 } }), from('blocks')],
    ['the design', withRecipe({ design: { alignSteps: 3 } }), from('design')],
    ['the dimensions', withRecipe({ dimensions: { slack: 0.04 } }), from('dimensions')],
    ['the windows', withRecipe({ windows: { size: 5 } }), from('windows')],
    ['the final training', withRecipe({ final: { allSteps: 3 } }), from('final')],
    ['no MLPs', withRecipe({ mlps: undefined }), ['mlps']],
  ])('%s', (_, more, stages) => {
    expect(changed(more)).toEqual(stages);
  });

  test('any tenth of the text', () => {
    const tenth = text.length / 10;
    for (let i = 0; i < 10; i++) {
      const [start, end] = [Math.floor(i * tenth), Math.floor((i + 1) * tenth)];
      const other = text.slice(0, start) + text.slice(start, end).toUpperCase() + text.slice(end);
      expect(other.length).toBe(text.length);
      expect(changed({ batches: textBatches(other, encode, 'a.txt', 'tokenizer') })).toEqual(STAGES);
    }
  });

  test('a weight, the configuration, the tokens that end an answer', async () => {
    const { config, weights } = openCheckpoint(model);
    const read = () =>
      weights
        .names()
        .map((name) => [name, { shape: weights.info(name).shape, data: weights.read(name) }] as const);
    const save = async (
      name: string,
      ...[config, weights, more]: Parameters<typeof saveCheckpoint> extends [string, ...infer Rest]
        ? Rest
        : never
    ) => {
      await saveCheckpoint(join(dir, name), config, weights, more);
      return { model: join(dir, name) };
    };
    const nudged = read();
    nudged.at(-1)![1].data[0]! += 1e-3;
    const dtype = 'F32' as const;
    const same = await save('same', config, new MemoryTensors(read()), { dtype });
    expect(changed(same)).toEqual([]);
    expect(changed(await save('weight', config, new MemoryTensors(nudged), { dtype }))).toEqual(STAGES);
    expect(changed(await save('config', { ...config, ropeTheta: 20_000 }, weights, { dtype }))).toEqual(
      STAGES,
    );
    const generation = { eosTokenIds: [7], bosTokenId: null };
    expect(changed(await save('generation', config, weights, { dtype, generation }))).toEqual(STAGES);
  });
});

test('what makes no difference: where files lie, how much is done side by side, who watches', () => {
  cpSync(model, join(dir, 'copy'), { recursive: true });
  expect(
    changed({
      model: join(dir, 'copy'),
      out: join(dir, 'elsewhere'),
      threads: 7,
      device: 'webgpu',
      command: 'postnas run another.json',
      onProgress: () => {},
      signal: new AbortController().signal,
      batches: textBatches(text, encode, 'another name of it.txt', 'tokenizer'),
      ...withRecipe({
        ...{ model: 'elsewhere', data: ['c.txt'], heldOut: 'd.txt', device: 'webgpu' },
        // Which of it is read is in the hash of the data.
        ...{ field: 'body', heldOutShare: 0.1 },
      }),
    }),
  ).toEqual([]);
});
