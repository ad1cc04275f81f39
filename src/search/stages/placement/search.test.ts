import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../../test/support/random-model.ts';
import { tinyBatches, tinyGla } from '../../../../test/support/tiny-network.ts';
import { gla } from '../../../mixers/gla.ts';
import type { Mixer } from '../../../mixers/mixer.ts';
import { registerMixer } from '../../../mixers/registry.ts';
import type { CustomSpec, MixerSpec } from '../../../mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import { SafetensorsFile } from '../../../model/safetensors.ts';
import { Model } from '../../../runtime/model.ts';
import { planExamples } from '../../../tasks/harness.ts';
import type { ProgressEvent } from '../../../util/progress.ts';
import { canonical } from '../../../util/store/identity.ts';
import { Network } from '../../network/network.ts';
import type { PlacementResult } from './result.ts';
import { type SearchSettings, searchPlacement, seedIdentity } from './search.ts';
import { searchIdentity } from './trained-branches.ts';

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
function lasting(result: PlacementResult): unknown {
  const drop = new Set(['seconds', 'created', 'path']);
  return JSON.parse(JSON.stringify(result), (key, value) => (drop.has(key) ? undefined : value));
}

const hybrids = (out: string) =>
  [1, 2].map((seed) => readFileSync(join(dir, out, `seed-${seed}`, 'hybrid', 'model.safetensors')));

test('what was found is compared on the examples that were kept apart, random placements too', async () => {
  const given = settings('unseen', { seeds: [1], finish: { batch: 2, length: 12, steps: 0, rate: 1e-2 } });
  const unseenTasks = [
    {
      plan: planExamples('pick', [{ context: 'hgfe', options: ['x', 'y'], gold: 0 }], encode),
      metric: 'accuracy' as const,
    },
    { plan: planExamples('say', [{ context: 'cba', answer: 'fed' }], encode), metric: 'loss' as const },
  ];
  const { runs, unseen, base } = await searchPlacement({ ...given, unseenTasks });
  expect(unseen!.objective.map(({ task, examples }) => [task, examples])).toEqual([
    ['pick', 1],
    ['say', 1],
  ]);
  expect(unseen!.base.placement).toEqual([0, 1, 2]);
  expect(unseen!.base.tasks.say!.goldLoss).not.toBe(base.tasks.say!.goldLoss);
  const [run] = runs;
  const key = ({ placement }: { placement: readonly number[] }) => placement.join();
  const random = run!.searchers.find(({ name }) => name === 'random-2')!;
  expect(random.drawn!.map(key)).toContain(key(random.best[0]!));
  const wanted = [
    [],
    ...run!.searchers
      .flatMap(({ best, drawn = [] }) => [best.at(-1)!, ...drawn])
      .map(({ placement }) => placement),
  ];
  expect(new Set(run!.unseen!.map(key))).toEqual(new Set(wanted.map((placement) => placement.join())));
  expect(run!.stages.at(-1)).toMatchObject({ name: 'unseen examples' });
});

describe('searchPlacement', () => {
  let result: PlacementResult;
  beforeAll(async () => {
    result = await searchPlacement(settings('straight'));
  });

  test('the result has everything its type says', () => {
    expect(result).toMatchObject({
      mixer: tinyGla,
      budget: 1,
      objective: [
        { task: 'pick', metric: 'accuracy', examples: 4 },
        { task: 'say', metric: 'loss', examples: 1 },
      ],
      base: { placement: [0, 1, 2], tasks: { pick: expect.anything(), say: expect.anything() } },
    });
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
    }
    const resumed = await searchPlacement(settings('stopped'));
    expect(lasting(resumed)).toEqual(lasting(result));
    expect(hybrids('stopped')).toEqual(hybrids('straight'));
  });
});

test('no stage of no seed draws what another draws', async () => {
  const seeds = [1, 2, 3, 4, 5, 6];
  const one = { ...settings('seeds').align, steps: 1 };
  const { runs } = await searchPlacement(
    settings('seeds', {
      ...{ seeds, align: one, finish: one, exhaustive: false, beamWidth: 1, randomSamples: 1 },
      supernet: { ...settings('seeds').supernet, steps: 1 },
    }),
  );
  const used = seeds.flatMap((seed) =>
    ['align', 'supernet', 'finish'].flatMap((stage) => {
      const path = join(dir, `seeds/seed-${seed}`, stage, 'state.safetensors');
      // A path of full attention alone has nothing to finish.
      if (!existsSync(path)) return [];
      return [(JSON.parse(new SafetensorsFile(path).metadata.fingerprint!) as { seed: number }).seed];
    }),
  );
  expect(used.length).toBe(3 * seeds.length);
  expect(new Set(used).size).toBe(used.length);
  const drawn = runs.map(
    ({ searchers }) => searchers.find(({ name }) => name === 'random-1')!.best[0]!.placement[0],
  );
  expect(new Set(drawn).size).toBeGreaterThan(1);
});

test('files that were cut off after they were written are named and made anew, to the same result', async () => {
  const quick = { seeds: [1], exhaustive: false };
  const result = await searchPlacement(settings('whole', quick));
  const hybrid = 'seed-1/hybrid/model.safetensors';
  const model = readFileSync(join(dir, 'whole', hybrid));
  const states = ['align', 'supernet', 'finish'].map((stage) => `seed-1/${stage}/state.safetensors`);
  const jsons = ['seed-1/found.json', 'seed-1/judged.json'];
  for (const files of [[jsons[0]!], [hybrid], [...jsons, hybrid], [...jsons, ...states]]) {
    rmSync(join(dir, 'cut'), { recursive: true, force: true });
    cpSync(join(dir, 'whole'), join(dir, 'cut'), { recursive: true });
    for (const file of files) {
      const path = join(dir, 'cut', file);
      truncateSync(path, Math.floor(0.7 * statSync(path).size));
    }
    const notices: string[] = [];
    const onProgress = ({ notice }: ProgressEvent) => notice && notices.push(notice);
    expect(lasting(await searchPlacement(settings('cut', { ...quick, onProgress })))).toEqual(
      lasting(result),
    );
    expect(readFileSync(join(dir, 'cut', hybrid)).equals(model)).toBe(true);
    for (const file of files) {
      // Without its hybrid, what was found is of no use; that is no damage.
      if (file === hybrid || (file === jsons[0] && files.includes(hybrid))) continue;
      expect(notices.join('\n')).toContain(`${file} is damaged`);
    }
  }
});

describe('what was found with a seed is given again', () => {
  const identity = (more: Partial<SearchSettings> = {}, seed = 1, eosTokenIds = [2, 5]) => {
    const own = settings('identity', more);
    const { config, weights } = openCheckpoint(own.model);
    const fingerprint = searchIdentity(own, new Network(config, weights));
    return seedIdentity(own, fingerprint, { bosTokenId: 1, eosTokenIds }, seed);
  };
  const registered: Mixer<CustomSpec> = {
    ...(gla as unknown as Mixer<CustomSpec>),
    kind: 'custom_mine',
    letter: 'Z',
  };

  test.each<[string, (from: SearchSettings) => Partial<SearchSettings>]>([
    ['the mixer', () => ({ mixer: { ...tinyGla, gateRank: 5 } as MixerSpec })],
    ['the budget', () => ({ budget: 2 })],
    ['the tasks', ({ tasks }) => ({ tasks: tasks.slice(1) })],
    ['a metric', ({ tasks }) => ({ tasks: [tasks[0]!, { ...tasks[1]!, metric: 'accuracy' }] })],
    ['a task that does not guide', ({ tasks }) => ({ tasks: [{ ...tasks[0]!, guides: false }, tasks[1]!] })],
    ['the data', () => ({ batches: tinyBatches(32) })],
    ['alignment', ({ align }) => ({ align: { ...align, steps: 5 } })],
    ['its rate', ({ align }) => ({ align: { ...align, rate: 2e-2 } })],
    ['the super network', ({ supernet }) => ({ supernet: { ...supernet, batch: 3 } })],
    ['how paths are drawn', ({ supernet }) => ({ supernet: { ...supernet, sampling: { rule: 'coin' } } })],
    ['the finish', ({ finish }) => ({ finish: { ...finish, length: 13 } })],
    ['the beam', () => ({ beamWidth: 3 })],
    ['random placements', () => ({ randomSamples: 3 })],
    ['every placement', () => ({ exhaustive: false })],
  ])('not with another one: %s', (_, more) => {
    expect(identity(more(settings('identity')))).not.toEqual(identity());
  });

  test('every setting counts, but those that say where and how it is done', () => {
    // A field that is not here fails to compile; one that counts for nothing fails here.
    const others: Record<keyof SearchSettings, unknown> = {
      ...{ model: 'elsewhere', out: 'elsewhere', onProgress: () => {}, signal: 1, threads: 5 },
      ...{ device: 'webgpu', seeds: [1, 7] },
      ...{
        mixer: { ...tinyGla, gateRank: 5 },
        budget: 2,
        tasks: [],
        unseenTasks: [],
        batches: tinyBatches(32),
      },
      ...{ align: {}, supernet: {}, finish: {}, beamWidth: 9, randomSamples: 9, exhaustive: 9 },
      start: 'copied',
      windowDropout: 0.5,
    };
    const counted = Object.keys(others).filter((field) => {
      const before = settings('identity');
      const now = { ...before, [field]: others[field as keyof SearchSettings] } as SearchSettings;
      // Of alignment its rows stand in the identity twice: as the data's.
      const align = field === 'align' ? { ...before.align, steps: 99 } : now.align;
      const [one, other] = [identity(before), identity({ ...now, align, model: before.model })];
      return canonical(one) !== canonical(other);
    });
    expect(counted.sort()).toEqual(
      [
        ...['mixer', 'budget', 'tasks', 'unseenTasks', 'batches', 'align', 'supernet', 'finish'],
        ...['beamWidth', 'randomSamples', 'exhaustive', 'start', 'windowDropout'],
      ].sort(),
    );
  });

  test('nor with another seed, or other tokens that end an answer', () => {
    expect(identity({}, 2)).not.toEqual(identity());
    expect(identity({}, 1, [2])).not.toEqual(identity());
  });

  test('nor with other code of a mixer from outside', () => {
    registerMixer(registered);
    const mixer: CustomSpec = { kind: 'custom_mine', heads: 2, keyDim: 8, valueDim: 8 };
    const before = identity({ mixer });
    expect(identity({ mixer })).toEqual(before);
    registered.state = () => [];
    expect(identity({ mixer })).not.toEqual(before);
  });

  test('wherever it lies and whoever looks on', () => {
    const elsewhere = {
      out: '/elsewhere',
      threads: 5,
      device: 'webgpu',
      seeds: [1, 7],
    } as const;
    expect(identity({ ...elsewhere, onProgress: () => {}, signal: new AbortController().signal })).toEqual(
      identity(),
    );
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
    await refused({ batches: tinyBatches(32) }, /found\.json .*\n {2}training text: another one\nDelete/);
    await refused({ beamWidth: 7 }, /found\.json .*\n {2}beamWidth: \d -> 7\nDelete/);
    await refused(
      { align: { ...settings('').align, rate: 1 } },
      /found\.json .*\n {2}alignment learning rate: 0\.01 -> 1\nDelete/,
    );
    rmSync(join(dir, 'other/seed-1/found.json'));
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
    const finished = { seeds: [1], finish: { ...settings('').finish, steps: 1 } };
    await searchPlacement(settings('finished', finished));
    const faster = { ...settings('').supernet, rate: 1 };
    rmSync(join(dir, 'finished/seed-1/supernet'), { recursive: true });
    // What was judged would be of other weights.
    for (const file of ['found', 'judged']) rmSync(join(dir, `finished/seed-1/${file}.json`));
    await expect(searchPlacement(settings('finished', { ...finished, supernet: faster }))).rejects.toThrow(
      /finish\/state\.safetensors [\s\S]*\n {2}super network learning rate: 0\.01 -> 1\n/,
    );
    const other = join(dir, 'other model');
    const { config } = openCheckpoint(model);
    await saveCheckpoint(other, config, randomWeights(config, 5), { dtype: 'F32' });
    rmSync(join(dir, 'other/seed-1/align'), { recursive: true });
    await refused({ model: other }, /supernet\/state\.safetensors .*\n {2}weights of the model: others\n/);
  });
});
