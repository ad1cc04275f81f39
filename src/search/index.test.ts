import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../test/support/tiny-tokenizer.ts';
import { openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import { Engine } from '../runtime/engine.ts';
import type { ProgressEvent } from '../util/progress.ts';
import {
  blocks,
  DEFAULTS,
  design,
  dimensions,
  distill,
  estimate,
  evaluate,
  type Found,
  readResult,
  run,
  search,
  startHybrid,
} from './index.ts';

let dir: string;
let shared: { model: string; data: string; heldOut: string; tasks: string[]; rows: number; length: number };
const at = (name: string) => join(dir, name);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-api-'));
  const attention = { kind: 'attention' } as const;
  const config = tinyConfig([attention, attention, attention], {
    ...{ hiddenSize: 16, intermediateSize: 24, numHeads: 2, numKvHeads: 1, headDim: 8 },
    ...{ maxPositionEmbeddings: 64, modelType: 'llama' },
  });
  await saveCheckpoint(at('model'), config, randomWeights(config, 4), {
    dtype: 'F32',
    files: tinyTokenizerFiles,
  });
  const words = (first: number) => Array.from({ length: 2000 }, (_, i) => `word${first + i}`).join(' ');
  writeFileSync(at('a.txt'), words(0));
  writeFileSync(at('b.txt'), words(5000));
  shared = {
    ...{ model: at('model'), data: at('a.txt'), heldOut: at('b.txt') },
    ...{ tasks: ['held-out-loss:loss:2'], rows: 2, length: 12 },
  };
});
afterAll(() => rmSync(dir, { recursive: true }));

const decode = { context: 8, tokens: 2, rounds: 1 };
const few = { alignSteps: 2, trainSteps: 2 };
const searchFew = { budget: 1, alignSteps: 2, supernetSteps: 2, beam: 1, random: 0 };

describe('each stage by itself', () => {
  let found: Found<'placement'>;
  const events: ProgressEvent[] = [];
  beforeAll(async () => {
    found = await search({
      ...shared,
      ...searchFew,
      out: at('search'),
      threads: 1,
      onProgress: (event) => events.push(event),
    });
  });

  test('a search leaves its hybrid, its result as a file, and tells of all of it', () => {
    expect(found.placement.runs[0]!.placement).toEqual(found.chosen!.placement);
    expect(found.hybrid).toBe(at('search/seed-1/hybrid'));
    expect(
      openCheckpoint(found.hybrid).config.layers.filter(({ kind }) => kind === 'attention'),
    ).toHaveLength(1);
    expect(readResult(at('search/result.json'))).toEqual(JSON.parse(JSON.stringify(found)));
    const whole = events.filter(({ stage }) => stage === 'whole run').at(-1)!;
    expect(whole).toMatchObject({ done: 2 * 2 * 2 * 12, total: 2 * 2 * 2 * 12 });
  });

  test('what is not told is as in the table of defaults', () => {
    const { placement, examples, seeds } = found.recipe;
    const { mixer, rate, sampling, exhaustive, finishSteps } = DEFAULTS.placement;
    expect(placement).toEqual({ ...searchFew, mixer, rate, sampling, exhaustive, finishSteps });
    expect({ examples, seeds }).toEqual({ examples: DEFAULTS.examples, seeds: DEFAULTS.seeds });
  });

  test('blocks, at the placement of a result', async () => {
    const result = await blocks({
      ...{ ...shared, ...few, decode, out: at('blocks'), threads: 1 },
      placement: at('search/result.json'),
      mixers: ['gla', 'retnet'],
    });
    expect(result.blocks.placement).toEqual(found.chosen!.placement);
    expect(result.chosen!.placement).toEqual(found.chosen!.placement);
    expect(result.blocks.candidates.map(({ name }) => name)).toEqual(['gla', 'retnet']);
    expect(result.hybrid).toBe(at('blocks/hybrid'));
    expect(existsSync(at('blocks/seed-1/gla/trial.json'))).toBe(true);
    expect(readResult(at('blocks/result.json'))).toEqual(JSON.parse(JSON.stringify(result)));
  });

  test('design and dimensions, at layers that are given', async () => {
    const given = { ...shared, ...few, decode, placement: [1], threads: 1 };
    const designed = await design({ ...given, out: at('design'), designs: ['released', 'vConv-none'] });
    expect(designed.design.candidates.map(({ name }) => name)).toEqual(['released', 'vConv-none']);
    const sized = await dimensions({
      ...{ ...given, out: at('dimensions'), mixer: 'gla', heads: [1, 2], aspect: 2 },
    });
    expect(sized.dimensions.candidates.length).toBeGreaterThan(1);
    expect(sized.dimensions.candidates[0]!.spec.kind).toBe('gla');
    expect(sized.throughput).toBeUndefined();
    for (const { hybrid } of [designed, sized]) {
      expect(openCheckpoint(hybrid).config.layers.map(({ kind }) => kind === 'attention')).toEqual([
        false,
        true,
        false,
      ]);
    }
  });

  test('a distillation of the hybrid, judged on examples that the search has not seen', async () => {
    const settings = {
      ...{ ...shared, decode, hybrid: found.hybrid, out: at('distill'), threads: 1 },
      ...{ featureSteps: 2, logitSteps: 1, allSteps: 2, dtype: 'F16' as const },
    };
    const result = await distill(settings);
    expect(result.final.runs[0]!.stages.map(({ name }) => name)).toEqual([
      'search',
      'features',
      'logits',
      'all',
    ]);
    expect(result.final.objective).toEqual(found.placement.unseen!.objective);
    expect(result.hybrid).toBe(at('distill/hybrid'));
    const { weights, config } = openCheckpoint(result.hybrid);
    expect(config.layers).toEqual(openCheckpoint(found.hybrid).config.layers);
    expect(weights.info(weights.names()[0]!).dtype).toBe('F16');
    expect(readResult(at('distill/result.json'))).toEqual(JSON.parse(JSON.stringify(result)));
    // Run again, nothing is done anew.
    const events: ProgressEvent[] = [];
    const again = await distill({ ...settings, onProgress: (event) => events.push(event) });
    expect({ ...again, created: '' }).toEqual({ ...JSON.parse(JSON.stringify(result)), created: '' });
    expect(events.filter(({ stage }) => !stage.startsWith('read '))).toEqual([]);
  });

  test('a run of several stages goes to folders of their own, and is the same search', async () => {
    const result = await run(
      { ...shared, placement: searchFew, blocks: { ...few, mixers: ['gla'] }, decode },
      { out: at('run'), threads: 1 },
    );
    expect(result.placement!.runs[0]!.searchers[0]!.best).toEqual(
      found.placement.runs[0]!.searchers[0]!.best,
    );
    expect(result.hybrid).toBe(at('run/blocks/hybrid'));
    expect(existsSync(at('run/placement/seed-1/hybrid'))).toBe(true);
  });

  test('of a hybrid the loss of the text, by the engine that generates', async () => {
    const { perplexity, scores } = await evaluate({
      model: found.hybrid,
      ...{ heldOut: shared.heldOut, heldOutRows: 2, length: 12, threads: 1 },
    });
    expect(scores).toHaveLength(1);
    expect(perplexity).toBeCloseTo(Math.exp(scores[0]!.goldLossPerToken), 10);
  });

  test('a folder of the other layout is refused', async () => {
    await expect(run({ ...shared, placement: searchFew }, { out: at('run'), threads: 1 })).rejects.toThrow(
      `${at('run')} holds a run of several stages, or of an earlier version (placement/)`,
    );
    await expect(
      run(
        { ...shared, placement: searchFew, blocks: { ...few, mixers: ['gla'] }, decode },
        { out: at('search'), threads: 1 },
      ),
    ).rejects.toThrow(`${at('search')} holds a run of one stage (stage.json)`);
  });
});

test('an estimate has a line per stage, reads each text once, and writes nothing', async () => {
  const read: string[] = [];
  const onProgress = ({ stage, done, total }: ProgressEvent) => {
    if (stage.startsWith('read ') && done === total) read.push(stage);
  };
  const { stages, seconds, tokens } = await estimate(
    { ...shared, placement: { ...searchFew, finishSteps: 3 } },
    { out: at('estimate'), threads: 1, onProgress },
  );
  expect(read).toEqual([`read ${at('a.txt')}`, `read ${at('b.txt')}`]);
  expect(stages).toMatchObject([{ name: 'placement', trials: 1, aligned: 48, trained: 5 * 24 }]);
  expect(seconds).toBeGreaterThan(0);
  expect(tokens).toBe(48 + 120);
  expect(existsSync(at('estimate'))).toBe(false);
});

test('a conversion trains nothing: a hybrid that starts from the attention of its model', async () => {
  const out = await startHybrid({ model: at('model'), out: at('converted'), layers: [2], mixer: 'gla' });
  const { config, weights } = openCheckpoint(out);
  expect(config.layers.map(({ kind }) => kind)).toEqual(['gla', 'gla', 'attention']);
  const parent = openCheckpoint(at('model')).weights;
  for (const name of parent.names()) {
    if (!/layers\.[01]\.self_attn/.test(name)) expect(weights.read(name), name).toEqual(parent.read(name));
  }
  expect(readFileSync(join(out, 'tokenizer.json'))).toEqual(readFileSync(at('model/tokenizer.json')));
  const given = { model: at('model'), layers: [2], mixer: 'gla', data: at('a.txt') };
  const calibrated = openCheckpoint(await startHybrid({ ...given, out: at('calibrated') })).weights;
  const different = weights
    .names()
    .filter((name) => calibrated.read(name).some((value, i) => value !== weights.read(name)[i]));
  expect(different).toHaveLength(2 * 3);
  for (const name of different)
    expect(name).toMatch(/layers\.[01]\.self_attn\.(gk_proj\.1\.bias|g_proj|o_proj)/);
  const no = { model: at('model'), out: at('none') };
  await expect(startHybrid({ ...no, layers: [0], budget: 1 } as never)).rejects.toThrow(
    "unknown option 'budget'",
  );
  await expect(startHybrid(no as never)).rejects.toThrow('layers is undefined, expected a list');
  await expect(startHybrid({ ...no, layers: [3] })).rejects.toThrow('no layer 3, expected 0 to 2');
  await expect(startHybrid({ ...no, layers: [0], mixer: 's4' })).rejects.toThrow("unknown mixer 's4'");
  await expect(startHybrid({ ...no, out: at('model'), layers: [0] })).rejects.toThrow(at('model'));
  expect(existsSync(at('none'))).toBe(false);
});

describe('refused before any work', () => {
  const wrong = (more: object) => ({ ...shared, ...more, out: at('refused') });
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['a setting that there is not', () => search(wrong({ bugdet: 2 }) as never), /placement: .*"bugdet"/],
    [
      'one of another stage',
      () => blocks(wrong({ placement: [1], budget: 2 }) as never),
      /blocks: .*"budget"/,
    ],
    ['a budget beyond the layers', () => search(wrong({ budget: 4 }) as never), /budget of 4 .* 3 layers/],
    [
      'a layer beyond the last',
      () => blocks(wrong({ placement: [3] }) as never),
      /no layer 3, expected 0 to 2/,
    ],
    [
      'a layer that is no number',
      () => design(wrong({ placement: ['1'] }) as never),
      /placement\.layers\.0: "1": expected/,
    ],
    ['no layer left', () => design(wrong({ placement: [0, 1, 2] }) as never), /no layer is left for a block/],
    [
      'a model without linear mixers',
      () => distill(wrong({ hybrid: shared.model, featureSteps: 2 }) as never),
      /trains linear mixers/,
    ],
    ['a file that is no result', () => blocks(wrong({ placement: at('a.txt') }) as never), /a\.txt/],
    [
      'no steps at all',
      () => distill(wrong({ hybrid: shared.model, featureSteps: 0, logitSteps: 0, allSteps: 0 }) as never),
      /no stage of the distillation has any steps/,
    ],
    ['no folder', () => search({ ...shared } as never), /out: expected a folder/],
    ['threads that cannot be', () => search(wrong({ threads: -1 }) as never), /threads: -1: expected/],
    [
      'a signal that is none',
      () => search(wrong({ signal: {} }) as never),
      /signal: expected an AbortSignal/,
    ],
    [
      'a setting of the recipe beside it',
      () => run({ ...shared, placement: {} }, { out: at('refused'), seeds: [1, 2] } as never),
      /settings: .*"seeds"/,
    ],
    ['no jobs', () => estimate({ ...shared, placement: {} }, { jobs: 0 }), /jobs 0: expected a whole number/],
    [
      'a task',
      () => evaluate({ model: shared.model, task: ['recall'] } as never),
      /unknown option 'task'; expected/,
    ],
    [
      'tasks as a text',
      () => evaluate({ model: shared.model, tasks: 'recall' as never }),
      /tasks is recall, expected a list/,
    ],
    ['nothing to evaluate', () => evaluate({ model: shared.model }), /nothing to evaluate/],
  ])('%s', async (_, call, message) => {
    await expect(call()).rejects.toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringMatching(message) }),
    );
    expect(existsSync(at('refused'))).toBe(false);
  });

  const placement = { layers: [1] };
  test.each<[string, object, RegExp]>([
    ['no placement', { blocks: {} }, /placement: is missing: expected/],
    ['a placement alone', { placement }, /recipe: has no stage/],
    [
      'windows without a trained block',
      { placement, windows: { size: 4, budget: 1 } },
      /windows: needs trained blocks/,
    ],
    ['a final stage without one', { placement, final: {} }, /final: needs trained blocks/],
    ['MLPs without a search', { placement, blocks: {}, mlps: {} }, /mlps: compares placements of a search/],
    [
      'a hybrid beside a search',
      { placement: {}, final: { hybrid: 'x' } },
      /final\.hybrid: this model is trained as it is/,
    ],
    [
      'settings of a search beside layers',
      { placement: { ...placement, budget: 2 } },
      /placement: .*"budget"/,
    ],
  ])('a recipe with %s', async (_, stages, message) => {
    await expect(run({ ...shared, ...stages }, { out: at('refused') })).rejects.toThrow(message);
  });
});

test('a block beside a window starts as that window, bit by bit', async () => {
  const out = await startHybrid({
    ...{ model: at('model'), out: at('beside'), layers: [2] },
    mixer: 'gated_deltanet+rope+window8+sinks2',
  });
  const { config, weights } = openCheckpoint(out);
  expect(config.layers.map(({ kind }) => kind)).toEqual(['window_linear', 'window_linear', 'attention']);
  const window = { kind: 'sliding_window', window: 8, sinks: 2 } as const;
  const layers = [window, window, config.layers[2]!];
  await using both = await Engine.create(config, weights, { threads: 1 });
  await using alone = await Engine.create({ ...config, layers }, weights, { threads: 1 });
  const [one, other] = [both.start(), alone.start()];
  const ids = Array.from({ length: 40 }, (_, i) => (7 * i) % config.vocabSize);
  for (const part of [ids.slice(0, 30), ...ids.slice(30).map((id) => [id])]) {
    expect(await both.append(one, part)).toEqual(await alone.append(other, part));
  }
});
