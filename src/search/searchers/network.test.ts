import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { tinyBatches, tinyParent, tinySupernet } from '../../../test/support/tiny-network.ts';
import { LayerPrograms } from '../../model/layer-programs.ts';
import { planExamples } from '../../tasks/harness.ts';
import { Random } from '../../util/random.ts';
import { localErrors } from './local-errors.ts';
import { PathJudge } from './path-judge.ts';
import { addWindows, headPlaces, layerPlaces } from './places.ts';

const dir = mkdtempSync(join(tmpdir(), 'postnas-searchers-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const text = new Int32Array(4 * 10);
tinyBatches().fill(text, 10, new Random(2));

describe('placements of windows', () => {
  test('by layer', () => {
    const network = tinyParent(undefined, { numKvHeads: 2 });
    const pathOf = addWindows(network, layerPlaces(network.config), { window: 3, sinks: 1 });
    const near = { kind: 'sliding_window', window: 3, sinks: 1 };
    expect(network.architecture(pathOf([1]))).toEqual([near, { kind: 'attention' }, near]);
    expect(pathOf([0, 1, 2])).toEqual([0, 0, 0]);
    expect(network.branches.map(({ length }) => length)).toEqual([2, 2, 2]);
    expect(network.branches[0]![1]!.weights).toBe(network.branches[0]![0]!.weights);
  });

  test('by KV head', () => {
    const network = tinyParent(undefined, { numKvHeads: 2 });
    const pathOf = addWindows(network, headPlaces(network.config), { window: 3, sinks: 0 });
    expect(network.architecture(pathOf([1, 5, 4]))).toEqual([
      { kind: 'head_attention', fullHeads: [1], window: 3 },
      { kind: 'sliding_window', window: 3 },
      { kind: 'attention' },
    ]);
  });
});

test('local errors: of each layer by itself on what the parent gives it, none where nothing changes', async () => {
  const { network } = tinySupernet();
  // What is exchanged in layer 2 is what was there.
  network.branches[2]![1] = network.branches[2]![0]!;
  const pathOf = (placement: readonly number[]) => [0, 1, 2].map((i) => (placement.includes(i) ? 0 : 1));
  const places = layerPlaces(network.config);
  const { errors, tokens } = await localErrors(network, places, pathOf, text, { length: 10, threads: 1 });
  expect(errors[2]).toBe(0);
  // The parent's layer and the exchanged one, of all layers.
  expect(tokens).toBe(2 * text.length);

  const programs = new LayerPrograms(network.config, { batch: 4, length: 10 }, undefined, 1);
  const after = async (layer: number, branch: number, x: Awaited<ReturnType<typeof programs.embed>>) =>
    (await programs.layer(network.branches[layer]![branch]!.spec, x, network.layerValues(layer, branch))).y;
  const first = await after(0, 0, await programs.embed(text, network.embedding));
  const [own, taught] = [await after(1, 1, first), await after(1, 0, first)];
  const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value ** 2, 0);
  const target = taught.data as Float32Array;
  const error = squares((own.data as Float32Array).map((value, i) => value - target[i]!)) / squares(target);
  expect(error).toBeGreaterThan(1e-3);
  expect(errors[1]).toBeCloseTo(error, 5);
  await programs.dispose();
});

describe('PathJudge', () => {
  const encode = (words: string) => [...words].map((letter) => letter.charCodeAt(0) - 96);
  const task = planExamples('pick', [{ context: 'abcd', options: ['e', 'f'], gold: 1 }], encode);
  const pathOf = (placement: readonly number[]) => [0, 1, 2].map((i) => (placement.includes(i) ? 0 : 1));
  const open = (name: string) =>
    new PathJudge(tinySupernet().network, {
      ...{ pathOf, all: [0, 1, 2], tasks: [{ plan: task, metric: 'loss' as const }], threads: 1 },
      ...{ text: { ids: text, length: 10, every: 3 }, keep: join(dir, name) },
    });

  test('the parent does not diverge from itself; others do', async () => {
    const judge = open('one');
    const [parent, none] = await judge.judge([[0, 1, 2], []]);
    expect(parent!.kl).toBeCloseTo(0, 6);
    expect(none!.kl).toBeGreaterThan(1e-3);
    expect(none!.objective).toBeCloseTo(none!.tasks.pick!.goldLossPerToken, 9);
    await judge.dispose();
  });

  test('what placements share is counted once', () => {
    const judge = open('two');
    const own = text.length + task.rows.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(judge.tokensOf([[0, 1, 2]])).toBe(own);
    // The first two layers are the same.
    expect(
      judge.tokensOf([
        [0, 1, 2],
        [0, 1],
      ]),
    ).toBe(Math.round((4 / 3) * own));
    expect(judge.tokensOf([[0], [0]])).toBe(own);
  });

  test('judged again, nothing is computed', async () => {
    const judge = open('three');
    const found = await judge.judge([[1], []]);
    const spent = { ...judge.spent };
    expect(spent.tokens).toBe(judge.tokensOf([[1], []]));
    await judge.dispose();
    const again = open('three');
    expect(await again.judge([[], [1]])).toEqual([found[1], found[0]]);
    expect(again.spent).toEqual(spent);
    await again.dispose();
  });
});
