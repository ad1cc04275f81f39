import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { openCheckpoint, saveCheckpoint } from '../../model/checkpoint.ts';
import { MemoryTensors } from '../../model/memory-tensors.ts';
import { planExamples } from '../../tasks/harness.ts';
import { type ObjectiveTask, parseTask } from '../../tasks/objective.ts';
import { textBatches } from '../../train/batches.ts';
import { canonical } from '../../util/store/identity.ts';
import { type Recipe, recipeSchemas } from '../recipe.ts';
import type { PlacementResult } from '../stages/placement/result.ts';
import type { RunContext } from './context.ts';
import { stageIdentity, unitIdentity } from './identity.ts';
import { preparedRecipe } from './prepared-recipe.ts';
import { type Findings, STAGES, type StageName, withDependents } from './stage.ts';

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
const plan = (name: string, count: number, said: string) =>
  planExamples(
    name,
    Array.from({ length: count }, (_, i) => ({ context: `${said} ${i}`, options: ['x', 'y'], gold: 1 })),
    encode,
  );

/** Every field that a recipe can have. */
const RECIPE = {
  model: 'somewhere',
  data: 'a.txt',
  heldOut: 'b.txt',
  field: 'text',
  heldOutShare: 0.1,
  device: 'cpu',
  seeds: [1, 2],
  rows: 2,
  // Below 32 the rows that are hashed with the data are shorter, too.
  length: 40,
  tasks: ['pick', 'say'],
  examples: 4,
  dataDir: 'sets',
  shots: 2,
  placement: {
    ...{ rows: 3, length: 10, mixer: 'gla', budget: 1, alignSteps: 2, supernetSteps: 2, rate: 1e-3 },
    ...{ finishSteps: 1, sampling: 'budget', beam: 2, random: 1, exhaustive: false, objective: ['pick'] },
    start: 'copied',
    windowDropout: 0.5,
  },
  mlps: {},
  blocks: {
    ...{ rows: 3, length: 10, alignSteps: 2, trainSteps: 2, rate: 1e-3, mixers: ['gla', 'retnet'] },
    start: 'copied',
    windowDropout: 0.5,
  },
  design: {
    ...{ rows: 3, length: 10, alignSteps: 2, trainSteps: 2, rate: 1e-3, designs: ['released', 'rope'] },
    start: 'copied',
    windowDropout: 0.5,
  },
  dimensions: {
    ...{ rows: 3, length: 10, alignSteps: 2, trainSteps: 2, rate: 1e-3 },
    ...{ heads: [1, 2], aspect: 2, convSizes: [2], slack: 0.03, throughput: true },
    start: 'copied',
    windowDropout: 0.5,
  },
  decode: { device: 'cpu', context: 8, tokens: 4, rounds: 2 },
  windows: { size: 4, sinks: 2, budget: 1, beam: 2, objective: ['pick'] },
  final: {
    ...{ featureSteps: 1, logitSteps: 1, allSteps: 1, featureRate: 1e-3, logitRate: 1e-3, allRate: 1e-3 },
    ...{
      bodyRate: 0.1,
      crossEntropy: 0.1,
      windowDropout: 0.5,
      temperature: 1,
      rows: 3,
      length: 10,
      examples: 6,
    },
    ...{ embeddings: true, answersOnly: false, patience: 3, rateLeft: 0.1 },
    ...{ cacheLogits: 'cache', cacheLimit: 1e9, dtype: 'F32' },
  },
} satisfies Recipe;

/** As a command makes one of a recipe. */
function context(recipe: Recipe = RECIPE, more: Partial<RunContext> = {}): RunContext {
  const tasks = (examples: number, said: string): ObjectiveTask[] =>
    recipe.tasks!.map((each) => {
      const { name, metric, examples: count } = parseTask(each, examples);
      return { plan: plan(name, count, said), metric };
    });
  const { config } = openCheckpoint(model);
  return {
    recipe: preparedRecipe(recipe, config),
    model,
    config,
    out: join(dir, 'out'),
    batches: textBatches(text, encode, 'a.txt', 'tokenizer'),
    heldOut: textBatches(text, encode, 'b.txt', 'held out'),
    tasks: tasks(recipe.examples, 'seen'),
    freshTasks: tasks(recipe.examples, 'unseen'),
    finalTasks: tasks(recipe.final?.examples ?? recipe.examples, 'unseen'),
    threads: 1,
    signal: new AbortController().signal,
    ...more,
  };
}

/** The stages that depend on something else than before. */
function changed(after: RunContext, before = context()): StageName[] {
  const [one, other] = [stageIdentity(before), stageIdentity(after)];
  return STAGES.filter((name) => canonical(one(name)) !== canonical(other(name)));
}

const allFrom = (...stages: StageName[]) => withDependents(stages);
/** Those that time decoding, or use what was chosen by it. */
const TIMED = allFrom('blocks', 'design', 'dimensions', 'throughput', 'final');

/** The stages whose work another value of a field makes another, by the field's place in the recipe. */
const DEPEND: Record<string, readonly StageName[]> = {
  // Where files lie makes no difference, nor where it is computed.
  ...{ model: [], data: [], heldOut: [], device: [] },
  // What is read of the texts by them counts, in the identity of the data.
  ...{ field: [], heldOutShare: [], dataDir: [], shots: [] },
  seeds: STAGES,
  // Every stage that trains has its own shape in RECIPE; see below.
  ...{ rows: [], length: [] },
  ...{ tasks: STAGES, examples: STAGES },
  ...Object.fromEntries(
    STAGES.flatMap((name) =>
      Object.keys((RECIPE as Partial<Record<StageName, object>>)[name] ?? {}).map((field) => [
        `${name}.${field}`,
        allFrom(name),
      ]),
    ),
  ),
  // Says whether there is a stage of that name.
  'dimensions.throughput': [],
  // Whether there is a cache counts, not where it is nor how large it may be.
  ...{ 'final.cacheLogits': [], 'final.cacheLimit': [] },
  ...{ 'decode.device': TIMED, 'decode.context': TIMED, 'decode.tokens': TIMED, 'decode.rounds': TIMED },
};

/** Another value of the same kind. */
function other(value: unknown): unknown {
  if (typeof value === 'number') return value * 2;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return OTHERS[value] ?? `${value}2`;
  const list = value as unknown[];
  return typeof list[0] === 'number' ? [...list, 7] : list.slice(0, -1);
}
const OTHERS: Record<string, string> = {
  cpu: 'webgpu',
  budget: 'coin',
  gla: 'retnet',
  F32: 'F16',
  copied: 'calibrated',
};

/** Every field that the schema of recipes knows: 'placement.budget'. */
function fieldsOf(schema: z.ZodType, at = ''): string[] {
  let inner = schema;
  while ('unwrap' in inner) inner = (inner as z.ZodOptional<z.ZodType>).unwrap();
  if (inner instanceof z.ZodPipe) return fieldsOf(inner.out as z.ZodType, at);
  if (!(inner instanceof z.ZodObject)) return [at];
  const shape = inner.shape as Record<string, z.ZodType>;
  return Object.entries(shape).flatMap(([key, each]) => fieldsOf(each, at ? `${at}.${key}` : key));
}

function withField(path: string, change: (value: unknown) => unknown): Recipe {
  const [part, field] = path.split('.') as [keyof Recipe, string?];
  const own = RECIPE[part] as unknown as Record<string, unknown>;
  return { ...RECIPE, [part]: field ? { ...own, [field]: change(own[field]) } : change(own) } as Recipe;
}

describe('another value of a field of the recipe makes other work of the stages that depend on it, and of no others', () => {
  // A hybrid that is given stands in place of all other stages: its recipe is below.
  // What a file says for editors is no part of the recipe that was read.
  const apart = ['final.hybrid', '$schema'];
  const fields = fieldsOf(recipeSchemas.searched).filter((field) => !apart.includes(field));

  test('every field of the schema is walked', () => {
    expect(fields.length).toBeGreaterThan(50);
    expect(fields.filter((field) => !(field in DEPEND))).toEqual([]);
    expect(Object.keys(DEPEND).filter((field) => !fields.includes(field))).toEqual([]);
  });

  test.each(fields)('%s', (field) => {
    expect(changed(context(withField(field, other)))).toEqual(DEPEND[field]);
  });

  test.each(['rows', 'length'] as const)('%s, where a stage has none of its own', (field) => {
    for (const stage of ['placement', 'blocks', 'design', 'dimensions', 'final'] as const) {
      const { [field]: _, ...own } = RECIPE[stage];
      const before = { ...RECIPE, [stage]: own } as Recipe;
      const after = { ...before, [field]: 2 * RECIPE[field] } as Recipe;
      expect(changed(context(after), context(before)), stage).toEqual(allFrom(stage));
    }
  });

  test('a stage more or less', () => {
    for (const stage of ['blocks', 'design', 'dimensions', 'windows'] as const) {
      const { [stage]: _, ...less } = RECIPE;
      expect(changed(context(less as Recipe)), stage).toEqual(allFrom(stage));
    }
  });
});

describe('recipes of one stage', () => {
  const {
    placement: _,
    mlps: __,
    blocks,
    design: ___,
    dimensions: ____,
    windows: _____,
    final,
    ...rest
  } = RECIPE;

  test('a placement that is given', () => {
    expect(fieldsOf(recipeSchemas.given).filter((field) => field.startsWith('placement.'))).toEqual([
      'placement.layers',
      'placement.mixer',
    ]);
    const given = (layers: number[], mixer: string): Recipe => ({
      ...{ ...rest, blocks },
      placement: { layers, mixer },
    });
    const work = (recipe: Recipe) => canonical(stageIdentity(context(recipe))('blocks'));
    const one = work(given([0], 'gla'));
    expect(work(given([0], 'gla'))).toBe(one);
    expect(work(given([1], 'gla'))).not.toBe(one);
    expect(work(given([0], 'retnet'))).not.toBe(one);
  });

  test('a hybrid that is given counts by what is in it', async () => {
    const { config, weights } = openCheckpoint(model);
    const read = () =>
      weights
        .names()
        .map((name) => [name, { shape: weights.info(name).shape, data: weights.read(name) }] as const);
    const nudged = read();
    nudged.at(-1)![1].data[0]! += 1e-3;
    const saved = async (name: string, tensors: ReturnType<typeof read>) => {
      await saveCheckpoint(join(dir, name), config, new MemoryTensors(tensors), { dtype: 'F32' });
      return join(dir, name);
    };
    const work = (hybrid: string) =>
      canonical(stageIdentity(context({ ...rest, final: { ...final, hybrid } }))('final'));
    const one = work(await saved('one', read()));
    expect(work(await saved('same', read()))).toBe(one);
    expect(work(await saved('nudged', nudged))).not.toBe(one);
  });

  test('whether the words of the teacher are kept', () => {
    const { cacheLogits: _, ...all } = final;
    const work = (recipe: Recipe) => canonical(stageIdentity(context(recipe))('final'));
    expect(work({ ...RECIPE, final: all })).not.toBe(work(RECIPE));
  });
});

describe('what stands beside the recipe', () => {
  const task = (name: string, said = 'seen', count = 4) => ({
    plan: plan(name, count, said),
    metric: 'accuracy' as const,
  });
  /** Every field that a run is given: the cases in which it changes, with the stages that depend on them. */
  const CASES: Record<keyof RunContext, [string, () => Partial<RunContext>, readonly StageName[]][]> = {
    recipe: [],
    model: [['the folder', () => ({ model: copied() }), []]],
    config: [],
    out: [['', () => ({ out: join(dir, 'elsewhere') }), []]],
    batches: [
      [
        'the first letter',
        () => ({ batches: textBatches(`B${text.slice(1)}`, encode, 'a', 'tokenizer') }),
        STAGES,
      ],
      ['the tokenizer', () => ({ batches: textBatches(text, encode, 'a.txt', 'another') }), STAGES],
      ['the name of the file', () => ({ batches: textBatches(text, encode, 'b.txt', 'tokenizer') }), []],
    ],
    heldOut: [
      [
        'the first letter',
        () => ({ heldOut: textBatches(`B${text.slice(1)}`, encode, 'b.txt', 'held out') }),
        ['final'],
      ],
    ],
    tasks: [
      ['an example', () => ({ tasks: [task('pick', 'sees'), task('say')] }), STAGES],
      ['a metric', () => ({ tasks: [task('pick'), { ...task('say'), metric: 'loss' }] }), STAGES],
      ['whether one guides', () => ({ tasks: [task('pick'), { ...task('say'), guides: false }] }), STAGES],
      ['one more', () => ({ tasks: [task('pick'), task('say'), task('third')] }), STAGES],
      ['their order', () => ({ tasks: [task('say'), task('pick')] }), STAGES],
    ],
    freshTasks: [
      ['an example', () => ({ freshTasks: [task('pick', 'unseen'), task('say', 'sees')] }), STAGES],
    ],
    finalTasks: [
      ['an example', () => ({ finalTasks: [task('pick', 'unseen', 6), task('say', 'sees', 6)] }), ['final']],
    ],
    threads: [['', () => ({ threads: 7 }), []]],
    device: [['', () => ({ device: 'webgpu' }), []]],
    command: [['', () => ({ command: 'postnas run another.json' }), []]],
    onProgress: [['', () => ({ onProgress: () => {} }), []]],
    signal: [['', () => ({ signal: new AbortController().signal }), []]],
  };
  const copied = () => {
    cpSync(model, join(dir, 'copy'), { recursive: true });
    return join(dir, 'copy');
  };
  const cases = Object.entries(CASES).flatMap(([field, list]) =>
    list.map(([what, more, stages]) => ({ name: [field, what].filter(Boolean).join(': '), more, stages })),
  );

  test.each(cases)('$name', ({ more, stages }) => {
    expect(changed(context(RECIPE, more()))).toEqual(stages);
  });

  test('any tenth of the text', () => {
    const tenth = text.length / 10;
    for (let i = 0; i < 10; i++) {
      const [start, end] = [Math.floor(i * tenth), Math.floor((i + 1) * tenth)];
      const said = text.slice(0, start) + text.slice(start, end).toUpperCase() + text.slice(end);
      expect(said.length).toBe(text.length);
      expect(changed(context(RECIPE, { batches: textBatches(said, encode, 'a.txt', 'tokenizer') }))).toEqual(
        STAGES,
      );
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
      return changed(context(RECIPE, { model: join(dir, name) }));
    };
    const nudged = read();
    nudged.at(-1)![1].data[0]! += 1e-3;
    const dtype = 'F32' as const;
    expect(await save('same', config, new MemoryTensors(read()), { dtype })).toEqual([]);
    expect(await save('weight', config, new MemoryTensors(nudged), { dtype })).toEqual(STAGES);
    expect(await save('config', { ...config, ropeTheta: 20_000 }, weights, { dtype })).toEqual(STAGES);
    const generation = { eosTokenIds: [7], bosTokenId: null };
    expect(await save('generation', config, weights, { dtype, generation })).toEqual(STAGES);
  });
});

describe('what the stages before found', () => {
  const judged = (placement: number[]) => ({ placement, score: 1, tasks: {} });
  const placement = (kept: number[]) =>
    ({
      runs: [{ placement: kept, searchers: [{ best: [judged(kept)] }] }],
    }) as unknown as PlacementResult;
  const compared = (name: string) =>
    ({
      choice: { name },
      candidates: ['gla', 'retnet'].map((kind) => ({
        name: kind,
        spec: { kind },
        runs: [{ judged: judged([0]) }],
      })),
    }) as unknown as NonNullable<Findings['blocks']>;
  const windows = (chosen: number[]) => ({ chosen }) as unknown as NonNullable<Findings['windows']>;
  const found: Findings = { placement: placement([0]), blocks: compared('gla'), windows: windows([1]) };
  const others = (more: Findings) => {
    const identity = stageIdentity(context());
    return STAGES.filter(
      (name) => canonical(identity(name, found)) !== canonical(identity(name, { ...found, ...more })),
    );
  };

  test('counts for the stages that use it', () => {
    expect(others({})).toEqual([]);
    expect(others({ placement: placement([1]) })).toEqual(STAGES.filter((name) => name !== 'placement'));
    expect(others({ blocks: compared('retnet') })).toEqual(
      allFrom('blocks').filter((name) => name !== 'blocks'),
    );
    expect(others({ windows: windows([0]) })).toEqual(['final']);
  });

  test('a part with one seed depends on that seed alone', () => {
    const one = unitIdentity(context(), 'windows', found, 1);
    const more = context({ ...RECIPE, seeds: [1, 2, 3] });
    expect(canonical(unitIdentity(more, 'windows', found, 1))).toBe(canonical(one));
    expect(canonical(unitIdentity(more, 'windows', found, 2))).not.toBe(canonical(one));
  });
});
