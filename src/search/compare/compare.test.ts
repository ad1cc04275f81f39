import { cpSync, existsSync, mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../../test/support/tiny-tokenizer.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../../model/checkpoint.ts';
import { writePlacement } from '../../model/placed-folder.ts';
import { placementOf } from '../../model/placement.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { weightsHash } from '../../model/weights-hash.ts';
import { readResult } from '../read-result.ts';
import { startHybrid } from '../start-hybrid.ts';
import { compare } from './compare.ts';
import type { CompareOptions } from './options.ts';
import type { CompareResult } from './result.ts';

const BASE = resolve(import.meta.dirname, '../../../models/base');
const few = {
  ...{ context: 160, heldOutRows: 2, tasks: ['choice:accuracy:8', 'recall:accuracy:8'], recallTexts: 1 },
  ...{ answers: 2, speed: false, threads: 1 },
};

let dir: string;
const at = (name: string) => join(dir, name);
const told: string[] = [];
let settings: CompareOptions;
let found: CompareResult;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-compare-'));
  cpSync(BASE, at('base'), { recursive: true });
  const { config, weights } = openCheckpoint(BASE);
  const window: MixerSpec = { kind: 'sliding_window', window: 8 };
  const layers = config.layers.map((spec, i): MixerSpec => (i < 6 ? window : spec));
  await saveCheckpoint(at('cut'), { ...config, layers }, weights, { dtype: 'F32', tokenizerFrom: BASE });
  settings = {
    ...few,
    ...{
      parent: at('base'),
      hybrids: [at('cut')],
      out: at('out'),
      onProgress: ({ stage }) => told.push(stage),
    },
  };
  found = await compare(settings);
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the embedded model and itself with windows', () => {
  test('parent, hybrid, and the parent cut to as many bytes, without being asked for', () => {
    const [parent, hybrid, baseline] = found.models;
    expect(found.models.map(({ role }) => role)).toEqual(['parent', 'hybrid', 'baseline']);
    expect(hybrid!.architecture).toBe('WWWWWWAA');
    expect(baseline).toMatchObject({ of: 1, sinks: 4, architecture: 'WWWWWWWW' });
    // 8 layers of w + 4 tokens are at most 6 of 8 tokens and 2 of 160, and one token more would be too many.
    expect(baseline!.window).toBe(Math.floor((6 * 8 + 2 * 160) / 8) - 4);
    expect(baseline!.stateBytes).toBeLessThanOrEqual(hybrid!.stateBytes);
    expect(baseline!.stateBytes * (1 + 1 / (baseline!.window! + 4))).toBeGreaterThan(hybrid!.stateBytes);
    expect(parent!.stateBytes).toBeGreaterThan(hybrid!.stateBytes);
  });

  test('the parent is its own measure; others differ', () => {
    const [parent, hybrid] = found.models;
    expect(parent!.text).toMatchObject({ change: 0, agreement: 1, kl: { mean: 0 } });
    expect(parent!.tasks.map(({ share }) => share)).toEqual([1, 1]);
    expect(hybrid!.text.kl.mean).toBeGreaterThan(0.01);
    expect(hybrid!.text.agreement).toBeLessThan(1);
    expect(hybrid!.text.change).toBeCloseTo(hybrid!.text.loss - parent!.text.loss, 10);
    for (const { text } of found.models) {
      const sum = text.positions.reduce((total, { tokens, loss }) => total + tokens * loss, 0);
      expect(sum / found.data.tokens).toBeCloseTo(text.loss, 6);
      expect(text.positions.reduce((total, { tokens }) => total + tokens, 0)).toBe(found.data.tokens);
    }
    // Within the first window nothing is hidden from anyone.
    const first = (m: number) => found.models[m]!.text.positions[0]!.loss;
    expect(first(2)).toBeCloseTo(first(0), 4);
  });

  test('answers, recall and a verdict with thresholds', () => {
    const [parent] = found.models;
    expect(found.prompts.length).toBe(2);
    expect(parent!.answers.every((text) => text.length > 0)).toBe(true);
    expect(parent!.recall.map(({ name }) => name)).toEqual(['needle', 'keys']);
    expect(new Set(parent!.recall[1]!.cells.map(({ length }) => length))).toEqual(new Set([160]));
    expect(parent!.recall[1]!.cells.map(({ depth }) => depth)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(found.verdicts).toHaveLength(1);
    expect(found.verdicts[0]!.model).toBe(1);
    expect(found.thresholds.near).toBe(0.1);
    expect(readResult(at('out/result.json'))).toEqual(JSON.parse(JSON.stringify(found)));
  });

  test('progress names the model and what is done', () => {
    expect(told).toEqual(
      expect.arrayContaining(['base (1 of 3): read text', 'cut (2 of 3): recall of keys']),
    );
  });

  test('again nothing is measured, and with another hybrid the parent is not', async () => {
    told.length = 0;
    const again = await compare(settings);
    expect(told).toEqual([]);
    expect(again.models).toEqual(found.models);
    const { config, weights } = openCheckpoint(BASE);
    const layers = config.layers.map((): MixerSpec => ({ kind: 'sliding_window', window: 12, sinks: 2 }));
    await saveCheckpoint(at('all'), { ...config, layers }, weights, { dtype: 'F32', tokenizerFrom: BASE });
    const both = await compare({ ...settings, hybrids: [at('cut'), at('all')] });
    expect(told.filter((stage) => /^(base|cut) /.test(stage) && !stage.startsWith('base cut'))).toEqual([]);
    expect(both.models.map(({ role }) => role)).toEqual([
      'parent',
      'hybrid',
      'hybrid',
      'baseline',
      'baseline',
    ]);
    expect(both.models.slice(0, 2)).toEqual(found.models.slice(0, 2));
  });

  test('a model that has changed is measured anew', async () => {
    const file = at('cut/model.safetensors');
    const { mtimeMs } = statSync(file);
    utimesSync(file, mtimeMs / 1000, mtimeMs / 1000 + 10);
    told.length = 0;
    await compare(settings);
    expect(told).toContain('cut (2 of 3): read text');
    expect(told.filter((stage) => stage.startsWith('base (1'))).toEqual([]);
  });

  test('placements of the parent, without a folder of their own', async () => {
    const checkpoint = openCheckpoint(at('base'));
    const { config } = checkpoint;
    const window: MixerSpec = { kind: 'sliding_window', window: 8, sinks: 2 };
    const layers = config.layers.map((spec, i): MixerSpec => (i < 6 ? window : spec));
    const weights = await weightsHash(checkpoint);
    const placement = placementOf(config, { ...config, layers }, { name: 'two', weights });
    const path = writePlacement(at('base'), placement);
    const wider = { ...placement, name: 'wider', window: 12 };
    writePlacement(at('base'), wider);
    const { models, verdicts } = await compare({ ...settings, hybrids: [], placements: ['two', 'wider'] });
    expect(models.slice(0, 3).map(({ name, role }) => [name, role])).toEqual([
      ['base', 'parent'],
      ['base (two)', 'hybrid'],
      ['base (wider)', 'hybrid'],
    ]);
    expect(models[1]!.architecture).toBe('WWWWWWAA');
    expect(verdicts.map(({ model }) => model)).toEqual([1, 2]);
    expect(models[2]!.text.kl.mean).not.toBe(models[1]!.text.kl.mean);
    // What was measured is told by what a placement says, not by its name.
    told.length = 0;
    const again = await compare({ ...settings, hybrids: [], placements: [path] });
    expect(told).toEqual([]);
    expect(again.models[1]!.text).toEqual(models[1]!.text);
    await saveCheckpoint(at('placed'), { ...config, layers }, checkpoint.weights, {
      ...{ dtype: 'F32', tokenizerFrom: BASE },
    });
    const folder = await compare({ ...settings, hybrids: [at('placed')] });
    expect(folder.models[1]!.text.kl.mean).toBeCloseTo(models[1]!.text.kl.mean, 6);
  });

  test('a hybrid that is the baseline is not measured twice', async () => {
    const { config, weights } = openCheckpoint(BASE);
    const layers = config.layers.map((): MixerSpec => ({ kind: 'sliding_window', window: 20, sinks: 4 }));
    await saveCheckpoint(at('same'), { ...config, layers }, weights, { dtype: 'F32', tokenizerFrom: BASE });
    const { models, notes } = await compare({ ...settings, hybrids: [at('same')] });
    expect(models.map(({ role }) => role)).toEqual(['parent', 'hybrid']);
    expect(notes.join()).toMatch(/same is itself the parent cut to windows with 4 sinks/);
    const trained: TensorSource = {
      ...{
        names: () => weights.names(),
        has: (name) => weights.has(name),
        info: (name) => weights.info(name),
      },
      read: (name) => weights.read(name).map((x) => (name === 'model.norm.weight' ? 1.1 * x : x)),
    };
    await saveCheckpoint(at('trained'), { ...config, layers }, trained, {
      ...{ dtype: 'F32', tokenizerFrom: BASE },
    });
    const other = await compare({ ...settings, hybrids: [at('trained')] });
    expect(other.models.map(({ role }) => role)).toEqual(['parent', 'hybrid', 'baseline']);
    expect(other.notes).toEqual([]);
    expect(other.models[2]).toMatchObject({ window: 20, sinks: 4, of: 1 });
  });
});

describe('is refused', () => {
  test.each<[string, () => Partial<CompareOptions>, RegExp]>([
    ['no hybrid', () => ({ hybrids: [] }), /nothing to compare/],
    ['no list of placements', () => ({ placements: 'near' as never }), /placements is near, expected a list/],
    ['no placement', () => ({ placements: ['none'] }), /base has no placement 'none'/],
    ['no list', () => ({ hybrids: 'cut' as never }), /hybrids is cut, expected a list/],
    ['an unknown option', () => ({ tokens: 3 }) as never, /unknown option 'tokens'/],
    ['a context that is too long', () => ({ context: 100_000 }), /expected 64 to 512/],
    ['a context that is too short', () => ({ context: 8 }), /a context of 8 tokens/],
    ['no number', () => ({ answers: 0.5 }), /answers is 0.5, expected a whole number/],
    ['a task that is none', () => ({ tasks: ['recal'] }), /unknown task 'recal'/],
    ['text as a task', () => ({ tasks: ['held-out-loss'] }), /give the text alone/],
  ])('%s', async (_, more, message) => {
    await expect(compare({ ...settings, out: at('refused'), ...more() })).rejects.toThrow(message);
    expect(existsSync(at('refused'))).toBe(false);
  });

  test('a parent with linear mixers, alone or beside windows: it cannot be cut to windows', async () => {
    for (const [mixer, kind] of [
      ['gla', 'gla'],
      ['gla+window8', 'window_linear'],
    ] as const) {
      const parent = await startHybrid({ model: BASE, out: at(kind), layers: [7], mixer });
      const wrong = compare({ ...settings, parent, out: at('refused') });
      await expect(wrong).rejects.toThrow(`the parent has a layer of ${kind}: expected a model of attention`);
    }
  });

  test('models whose tokenizers differ, by name and token; a model that needs a text', async () => {
    const config = tinyConfig([{ kind: 'attention' }], { vocabSize: 300, maxPositionEmbeddings: 256 });
    for (const name of ['other', 'third']) {
      await saveCheckpoint(at(name), config, randomWeights(config), {
        dtype: 'F32',
        files: tinyTokenizerFiles,
      });
    }
    await expect(compare({ ...settings, hybrids: [at('other')] })).rejects.toThrow(
      /base and .*other have different tokenizers: the token .* cannot be compared/,
    );
    await expect(compare({ ...settings, parent: at('other'), hybrids: [at('third')] })).rejects.toThrow(
      /other is not a model of the generated world: it needs a text.*\n +--held-out/,
    );
  });
});
