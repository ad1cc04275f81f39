import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { tinyBatches } from '../../test/support/tiny-network.ts';
import { openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import { Model } from '../runtime/model.ts';
import { planExamples } from '../tasks/harness.ts';
import type { ProgressEvent } from '../util/progress.ts';
import { hashOf } from '../util/store/identity.ts';
import { readRecipe } from './read-recipe.ts';
import { readResult } from './read-result.ts';
import type { Recipe } from './recipe.ts';
import type { Result } from './result.ts';
import { checkKept, OtherStagesError } from './run/check-kept.ts';
import { ledBy, type RunContext } from './run/context.ts';
import { planOf } from './run/plan.ts';
import { preparedRecipe } from './run/prepared-recipe.ts';
import { performHere, RunProgress } from './run/progress.ts';
import type { Unit } from './run/stage.ts';
import { type Perform, runRecipe, runUnit } from './run.ts';
import { agreedPlacement } from './stages/placement/agreed.ts';
import type { PlacementResult } from './stages/placement/result.ts';

let dir: string;
let model: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-run-'));
  model = join(dir, 'model');
  const attention = { kind: 'attention' } as const;
  const config = tinyConfig([attention, attention, attention, attention], {
    hiddenSize: 16,
    intermediateSize: 24,
    numHeads: 2,
    numKvHeads: 1,
    maxPositionEmbeddings: 64,
    modelType: 'llama',
  });
  await saveCheckpoint(model, config, randomWeights(config, 4), { dtype: 'F32' });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const recipeFile = (recipe: object): string => {
  const path = join(dir, 'recipe.json');
  writeFileSync(path, JSON.stringify(recipe));
  return path;
};

const training = { alignSteps: 2, trainSteps: 2, rate: 1e-2 };
const small = {
  model: 'model',
  seeds: [1, 2],
  rows: 2,
  length: 12,
  tasks: ['pick', 'say:loss'],
  placement: { mixer: 'gla', budget: 1, alignSteps: 2, supernetSteps: 2, random: 0, objective: ['say'] },
  blocks: { ...training, mixers: ['gla', 'gated_deltanet'] },
  design: { ...training, designs: ['released', 'vConv-none'] },
  dimensions: { ...training, heads: [1, 2], aspect: 2 },
  decode: { context: 10, tokens: 4, rounds: 1 },
  windows: { size: 4, budget: 2, objective: ['pick'] },
  final: { featureSteps: 2, logitSteps: 1, allSteps: 2, examples: 4 },
  mlps: {},
};

const encode = (text: string) => [...text].map((letter) => letter.charCodeAt(0) % 64);

function contextOf(out: string, recipe: Recipe, more: Partial<RunContext> = {}): RunContext {
  const choices = ['abcdef', 'fedcba', 'cabdd', 'zyxa'];
  const tasks: RunContext['tasks'] = [
    {
      plan: planExamples(
        'pick',
        choices.map((context) => ({ context, options: ['x', 'y'], gold: 1 })),
        encode,
      ),
      metric: 'accuracy',
    },
    { plan: planExamples('say', [{ context: 'abc', answer: 'def' }], encode), metric: 'loss' },
  ];
  const { config } = openCheckpoint(model);
  return {
    recipe: preparedRecipe(recipe, config),
    model,
    config,
    out: join(dir, out),
    batches: tinyBatches(),
    tasks,
    freshTasks: tasks,
    finalTasks: tasks,
    threads: 1,
    signal: new AbortController().signal,
    ...more,
  };
}

const here = ({ signal, onProgress }: RunContext): Perform => {
  const progress = new RunProgress(1, onProgress);
  return (units) => performHere(units, progress, { signal, threads: 1 });
};
const run = (context: RunContext) => runRecipe(context, here(context));

/** A result without what depends on the clock, on speeds and on where it lies. */
function lasting(result: Result): unknown {
  const drop = new Set(['seconds', 'created', 'decode', 'train', 'throughput', 'choice', 'hybrid']);
  return JSON.parse(JSON.stringify(result), (key, value) => (drop.has(key) ? undefined : value));
}

describe('runRecipe', () => {
  let recipe: Recipe;
  let result: Result;
  const seen: ProgressEvent[] = [];
  beforeAll(async () => {
    recipe = readRecipe(recipeFile(small));
    result = await run(contextOf('straight', recipe, { onProgress: (event) => seen.push(event) }));
  });

  test('the result file is the result, with every stage of the recipe', () => {
    const written = JSON.parse(readFileSync(join(dir, 'straight/result.json'), 'utf8'));
    expect(written).toEqual(JSON.parse(JSON.stringify(result)));
    // Of everything that is written there is a description: what has none is not read.
    expect(readResult(join(dir, 'straight/result.json'))).toEqual(written);
    expect(new Date(written.created).getTime()).toBeGreaterThan(Date.now() - 600_000);
    const { weights } = openCheckpoint(model);
    const sizes = weights.names().map((name) => weights.read(name).length);
    expect(written).toMatchObject({
      format: 'postnas-result-2',
      model: { path: model, layers: 4, parameters: sizes.reduce((a, b) => a + b, 0) },
    });
    expect(Object.keys(result)).toEqual(
      expect.arrayContaining([
        ...['placement', 'blocks', 'design', 'dimensions', 'throughput', 'windows', 'final', 'mlps'],
      ]),
    );
    const { blocks, design, dimensions, windows, placement } = result;
    expect(blocks!.candidates.map(({ name }) => name)).toEqual(['gla', 'gated_deltanet']);
    expect(design!.candidates.map(({ name }) => name)).toEqual(['released', 'vConv-none']);
    const kept = agreedPlacement(placement!);
    for (const stage of [blocks!, design!, dimensions!]) {
      expect(stage.placement).toEqual(kept);
      expect(stage.candidates.every(({ runs }) => runs.length === 2)).toBe(true);
    }
    // Windows stand in layers that lost their attention, and the search saw each of those.
    for (const { alone, searchers } of windows!.runs) {
      expect(alone.map((judged) => judged.placement)).toEqual([
        [],
        ...[0, 1, 2, 3].filter((layer) => !kept.includes(layer)).map((layer) => [layer]),
      ]);
      expect(searchers.map(({ name }) => name)).toEqual(['beam-3', 'uniform']);
    }
    expect(windows!.chosen.some((layer) => kept.includes(layer))).toBe(false);
  });

  test('the final model: judged before and after each stage of its training, it opens and runs', async () => {
    const { final, windows, placement } = result;
    expect(final!.runs.map(({ stages }) => stages.map(({ name }) => name))).toEqual([
      ['search', 'features', 'logits', 'all'],
      ['search', 'features', 'logits', 'all'],
    ]);
    const kept = agreedPlacement(placement!);
    for (const [layer, letter] of [...final!.architecture].entries()) {
      const expected = kept.includes(layer) ? 'A' : windows!.chosen.includes(layer) ? 'W' : letter;
      expect(letter).toBe(expected);
    }
    for (const { stages, hybrid } of final!.runs) {
      for (const { judged } of stages) expect(judged.placement).toEqual(kept);
      await using model = await Model.fromPretrained(hybrid);
      const tokens: number[] = [];
      for await (const { id } of model.generate([3, 4, 5], { maxNewTokens: 3, eosTokenIds: [] }))
        tokens.push(id);
      expect(tokens).toHaveLength(3);
    }
  });

  test('placements on super networks with frozen and with trained MLPs', () => {
    const { placements, runs } = result.mlps!;
    expect(placements).toEqual([[0], [1], [2], [3]]);
    for (const { seed, frozen, trained, rankCorrelation } of runs) {
      // Frozen, it is the super network of stage 1.
      expect(frozen).toEqual(result.placement!.runs.find((run) => run.seed === seed)!.heatMap);
      expect(trained).not.toEqual(frozen);
      expect(Math.abs(rankCorrelation)).toBeLessThanOrEqual(1);
    }
  });

  test('a task that does not lead a stage is reported all the same', () => {
    const { objective, runs } = result.placement!;
    expect(objective.map(({ task, guides }) => [task, guides])).toEqual([
      ['pick', false],
      ['say', undefined],
    ]);
    for (const { score, tasks } of runs[0]!.heatMap) {
      expect(score).toBeCloseTo(-tasks.say!.goldLossPerToken, 12);
      expect(tasks.pick!.accuracy).toBeGreaterThanOrEqual(0);
    }
  });

  test('the plan knows the tokens of every stage before the run', () => {
    const { config } = openCheckpoint(model);
    const plan = planOf(preparedRecipe(recipe, config), config);
    const tokens = plan.map(({ name, trials, aligned, trained }) => [name, trials, aligned + trained]);
    const ofTrials = ['blocks', 'design', 'dimensions'] as const;
    expect(tokens).toEqual([
      ['placement', 2, 2 * 4 * 24],
      ...ofTrials.map((name) => {
        const { candidates, trainedTokens } = result[name]!;
        return [name, 2 * candidates.length, 2 * candidates.length * trainedTokens];
      }),
      ['final', 2, 2 * 5 * 24],
      ['mlps', 2, 2 * 2 * 24],
    ]);
  });

  test('sizes of state and parameters of what is only timed', () => {
    const { points } = result.throughput!;
    const sizes = points.filter(({ series }) => series === 'state size').map(({ stateBytes }) => stateBytes);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    const full = points.filter(({ series }) => series === 'full layers').map(({ fullLayers }) => fullLayers);
    expect(full).toEqual([0, 1, 2, 4]);
    for (const { decode } of points) expect(decode[0]).toBeGreaterThan(0);
  });

  test('run again, nothing is done anew', async () => {
    const events: ProgressEvent[] = [];
    const again = await run(contextOf('straight', recipe, { onProgress: (event) => events.push(event) }));
    expect({ ...again, created: '' }).toEqual({ ...JSON.parse(JSON.stringify(result)), created: '' });
    expect(events).toEqual([]);
  });

  test('stopped in every stage and run again, with units done elsewhere, it finds the same', async () => {
    const stops = [
      'seed 1: super network',
      'gla, seed 2: align',
      'released, seed 1: train',
      'windows, seed 2: judge',
      'final, seed 1: distil logits',
    ];
    // What is taken may hang on speeds: they are measured once for both.
    for (const stage of ['blocks', 'design', 'dimensions']) {
      mkdirSync(join(dir, 'stopped', stage), { recursive: true });
      for (const file of ['decode.json', 'train.json', 'choice.json']) {
        copyFileSync(join(dir, 'straight', stage, file), join(dir, 'stopped', stage, file));
      }
    }
    for (const stage of stops) {
      const controller = new AbortController();
      const { signal } = controller;
      const onProgress = (event: ProgressEvent) => event.stage === stage && controller.abort();
      const stopped = run(contextOf('stopped', recipe, { signal, onProgress }));
      await expect(stopped, stage).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    }
    rmSync(join(dir, 'stopped/blocks/stage.json'));
    await runUnit(contextOf('stopped', recipe), 'blocks/seed-2/gated_deltanet');
    const backwards = async (units: readonly Unit[]) => {
      for (const { run } of [...units].reverse()) await run({ threads: 1 });
    };
    const resumed = await runRecipe(contextOf('stopped', recipe), backwards);
    expect(lasting(resumed)).toEqual(lasting(result));
  });

  describe('a folder with work of other settings', () => {
    const withOthers = (more: object) => contextOf('straight', readRecipe(recipeFile({ ...small, ...more })));
    const never: Perform = () => Promise.reject(new Error('a stage was begun'));
    const contents = () =>
      readdirSync(join(dir, 'straight'), { recursive: true, encoding: 'utf8' })
        .filter((path) => /\.(json|safetensors)$/.test(path))
        .map((path) => [path, hashOf(readFileSync(join(dir, 'straight', path)).toString('latin1'))]);

    test.each<[string, object, string[], string[], string[]]>([
      [
        'of the last stage',
        { final: { ...small.final, allSteps: 3 } },
        ['final/stage.json: final allSteps: 2 -> 3'],
        ['final'],
        ['placement', 'blocks', 'design', 'dimensions', 'throughput', 'windows', 'mlps'],
      ],
      [
        'of two that do not use each other',
        {
          design: { ...small.design, designs: ['vConv-none', 'released'] },
          blocks: { ...small.blocks, rate: 0.5 },
        },
        [
          'blocks/stage.json: blocks learning rate: 0.01 -> 0.5',
          'design/stage.json: design designs: ["released","vConv-none"] -> ["vConv-none","released"]',
        ],
        ['blocks', 'design'],
        ['placement', 'mlps'],
      ],
      ['of all', { seeds: [1, 3] }, ['placement/stage.json: seeds: [1,2] -> [1,3]'], ['placement'], []],
    ])(
      '%s: refused before any work with what differs, and what fits',
      async (_, more, differences, stages, fitting) => {
        const before = contents();
        const context = withOthers(more);
        await expect(runRecipe(context, never)).rejects.toThrow(
          expect.objectContaining({ name: 'InputError', differences, stages, fitting }),
        );
        expect(() => checkKept(context)).toThrow(OtherStagesError);
        expect(contents()).toEqual(before);
      },
    );

    test('stages that fit are used when those that do not are gone', async () => {
      cpSync(join(dir, 'straight'), join(dir, 'edited'), { recursive: true });
      const edited = readRecipe(recipeFile({ ...small, final: { ...small.final, allSteps: 3 } }));
      rmSync(join(dir, 'edited/final'), { recursive: true });
      const begun: string[] = [];
      const context = contextOf('edited', edited);
      const again = await runRecipe(context, here(context), { begin: (name) => begun.push(name) });
      expect(begun).toEqual(['final']);
      expect(
        lasting({ ...again, final: undefined, recipe: result.recipe, seconds: 0, tokens: 0 } as Result),
      ).toEqual(lasting({ ...result, final: undefined, tokens: 0 } as Result));
    });

    test('with more seeds, all that was done with the earlier ones is used', async () => {
      const out = 'more-seeds';
      const { placement: _, design, dimensions, windows, final, mlps, ...quick } = small;
      const seeded = (seeds: number[]) => {
        const given = { ...quick, placement: { layers: [1], mixer: 'gla' }, seeds };
        return contextOf(out, readRecipe(recipeFile(given)));
      };
      const first = (await run(seeded([1]))).blocks!;
      const kept = [
        'seed-1/gla/trial.json',
        'seed-1/gla/train/state.safetensors',
        'decode.json',
        'train.json',
      ];
      const times = () => kept.map((path) => statSync(join(dir, out, path)).mtimeMs);
      const before = times();
      const second = (await run(seeded([2, 1]))).blocks!;
      expect(times()).toEqual(before);
      for (const [i, { runs, decode }] of second.candidates.entries()) {
        expect(runs.map(({ seed }) => seed)).toEqual([2, 1]);
        expect(runs[1]).toEqual(first.candidates[i]!.runs[0]);
        expect(decode).toEqual(first.candidates[i]!.decode);
      }
      // Fewer would throw something away.
      await expect(runRecipe(seeded([1]), never)).rejects.toThrow(/stage\.json: seeds: \[2,1\] -> \[1\]\n/);
    });

    test('what a stage was begun with counts, too, before it has found anything', async () => {
      const stop = new AbortController();
      const context = contextOf('begun', recipe, { signal: stop.signal });
      stop.abort();
      await expect(run(context)).rejects.toThrow(/abort/i);
      const other = readRecipe(recipeFile({ ...small, rows: 3 }));
      await expect(runRecipe(contextOf('begun', other), never)).rejects.toThrow(
        /begun was saved by .*\n {2}placement\/stage\.json: placement rows: 2 -> 3\n/,
      );
    });

    test('of an earlier version: refused, too', async () => {
      const path = join(dir, 'earlier/placement/stage.json');
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, JSON.stringify({ identity: '0123456789abcdef', check: 'x', value: {} }));
      await expect(runRecipe(contextOf('earlier', recipe), never)).rejects.toThrow(
        /placement\/stage\.json: it is of an earlier version of postnas/,
      );
    });

    test('a damaged file of a stage is named, laid aside and made anew of what its parts kept', async () => {
      cpSync(join(dir, 'straight'), join(dir, 'damaged'), { recursive: true });
      const path = join(dir, 'damaged/blocks/stage.json');
      writeFileSync(path, readFileSync(path, 'utf8').slice(0, 400));
      const notices: string[] = [];
      const onProgress = ({ notice }: ProgressEvent) => notice && notices.push(notice);
      const again = await run(contextOf('damaged', recipe, { onProgress }));
      expect(notices).toEqual([
        expect.stringMatching(/blocks\/stage\.json is damaged .*stage\.json\.damaged/),
      ]);
      expect(lasting(again)).toEqual(lasting(result));
      expect(existsSync(`${path}.damaged`)).toBe(true);
    });
  });

  test('a unit that is not there, or whose stage cannot begin', async () => {
    await expect(runUnit(contextOf('straight', recipe), 'blocks/seed-9/gla')).rejects.toThrow(
      /blocks\/seed-9\/gla/,
    );
    await expect(runUnit(contextOf('nothing', recipe), 'blocks/seed-1/gla')).rejects.toThrow(
      /the stage placement before it is not done/,
    );
    expect(existsSync(join(dir, 'nothing/blocks'))).toBe(false);
  });
});

test.each<[string, object, RegExp]>([
  ['rows of stage 1 beyond the context', { length: 65 }, /alignment has rows of 65 tokens.* context of 64/],
  ['a budget beyond the layers', { placement: { ...small.placement, budget: 5 } }, /budget of 5 .* 4 layers/],
  ['rows of a later stage', { blocks: { ...small.blocks, length: 65 } }, /blocks, alignment has rows of 65/],
  ['rows of the last', { final: { ...small.final, length: 65 } }, /final, features has rows of 65/],
  ['an unknown design', { design: { ...training, designs: ['none'] } }, /unknown design 'none'/],
  ['a block that knows no rotation', { blocks: { ...training, mixers: ['mamba2+rope'] } }, /mamba2\+rope/],
  [
    'windows left out where a block may be chosen that has none',
    {
      blocks: { ...training, mixers: ['gla+window4', 'gla'] },
      final: { ...small.final, windowDropout: 0.5 },
    },
    /windowDropout is for blocks beside a window, .* not for gla$/,
  ],
  [
    'windows left out in alignment where there are none',
    { placement: { ...small.placement, windowDropout: 0.5 } },
    /placement\.windowDropout is for blocks beside a window/,
  ],
  ['an objective of windows', { windows: { size: 4, budget: 1, objective: ['chess'] } }, /objective 'chess'/],
  [
    'a prompt beyond the context',
    { decode: { context: 64, tokens: 4, rounds: 1 } },
    /decode: a context of 64/,
  ],
])('%s: refused before the first stage', async (_, more, message) => {
  const wrong = contextOf('refused', readRecipe(recipeFile({ ...small, ...more })));
  const never: Perform = () => Promise.reject(new Error('a stage was begun'));
  await expect(runRecipe(wrong, never)).rejects.toThrow(
    expect.objectContaining({ name: 'InputError', message: expect.stringMatching(message) }),
  );
  expect(existsSync(join(dir, 'refused'))).toBe(false);
});

test('what most seeds found is kept', () => {
  const judged = (placement: number[], score: number) => ({ placement, score, tasks: {} });
  const found = (...runs: [number[], number][]) =>
    ({
      runs: runs.map(([placement, score]) => ({
        placement,
        searchers: [{ best: [judged(placement, score)] }],
      })),
    }) as unknown as PlacementResult;
  expect(agreedPlacement(found([[1], 0.9], [[2], 0.5], [[2], 0.6]))).toEqual([2]);
  expect(agreedPlacement(found([[1], 0.4], [[2], 0.5]))).toEqual([2]);
});

test('an objective may say by which metric; one that is no task is refused', () => {
  const { tasks } = contextOf('x', {} as Recipe);
  expect(ledBy(tasks, ['pick:loss']).map(({ metric, guides }) => [metric, guides])).toEqual([
    ['loss', undefined],
    ['loss', false],
  ]);
  expect(ledBy(tasks, undefined)).toEqual(tasks);
  expect(() => ledBy(tasks, ['chess'])).toThrow(
    "the objective 'chess' is none of the recipe's tasks: pick, say",
  );
});

test.each<[string, object, RegExp]>([
  ['a misspelt field', { ...small, plaecment: {} }, /plaecment/],
  [
    'a mixer that does not exist',
    { ...small, blocks: { ...training, mixers: ['s4'] } },
    /blocks\.mixers\.0: .*gla/,
  ],
  ['no placement', { ...small, placement: undefined }, /placement: is missing: expected \{"budget": 2\}/],
  [
    'steps that are no number',
    { ...small, blocks: { alignSteps: 'many', trainSteps: 1 } },
    /blocks\.alignSteps/,
  ],
  ['a metric that does not exist', { ...small, tasks: ['pick:speed'] }, /tasks\.0: expected task:metric/],
])('a recipe with %s', (_, recipe, message) => {
  expect(() => readRecipe(recipeFile(recipe))).toThrow(message);
});

test('a recipe that is not there, and one that is no JSON', () => {
  expect(() => readRecipe('/nowhere.json')).toThrow(/cannot read the recipe \/nowhere\.json/);
  writeFileSync(join(dir, 'bad.json'), '{');
  expect(() => readRecipe(join(dir, 'bad.json'))).toThrow(/cannot read the recipe .*bad\.json/);
});
