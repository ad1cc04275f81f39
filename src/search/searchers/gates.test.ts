import { afterAll, describe, expect, test } from 'vitest';
import { tinyParent, tinySupernet } from '../../../test/support/tiny-network.ts';
import { LayerPrograms } from '../../model/layer-programs.ts';
import { Random } from '../../util/random.ts';
import { PathScorer } from '../judge/scorer.ts';
import type { Network } from '../network/network.ts';
import { GatedLayer } from './gated-layer.ts';
import { gateGradient, learnGates, limited, type RecallRow } from './gates.ts';
import { addWindows, headPlaces, layerPlaces } from './places.ts';

const LENGTH = 12;
const random = new Random(3);
const rows: RecallRow[] = [12, 9, 12].map((length) => ({
  ids: Array.from({ length }, () => random.below(64)),
  places: [4, length - 2],
}));

const disposals: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const dispose of disposals) await dispose();
});

/** Loss and gradient by the gates. */
function gated(network: Network, branch: readonly number[], perLayer: number) {
  const programs = new LayerPrograms(network.config, { batch: rows.length, length: LENGTH }, undefined, 1);
  disposals.push(() => programs.dispose());
  const layer = new GatedLayer(programs, network, branch, perLayer);
  return (gates: readonly number[]) => gateGradient(programs, network, layer, rows, gates);
}

/** The mean loss of the answers along a path. */
async function lossOf(network: Network, path: readonly number[]): Promise<number> {
  const scorer = new PathScorer(network, { threads: 1 });
  const spans = rows.map(({ ids, places }) => ({
    ids,
    spans: places.map((place) => ({ from: place + 1, to: place + 2 })),
  }));
  const [scores] = await scorer.score([path], spans);
  await scorer.dispose();
  const all = scores!.flat().map(({ logProb }) => -logProb);
  return all.reduce((sum, loss) => sum + loss, 0) / all.length;
}

const linear = () => tinySupernet().network;

function windows(byHead: boolean) {
  const network = tinyParent(undefined, { numKvHeads: 2, oBias: true });
  const places = (byHead ? headPlaces : layerPlaces)(network.config);
  return { network, pathOf: addWindows(network, places, { window: 3, sinks: 1 }) };
}

describe('gates between attention and a linear block', () => {
  test('open they are the parent, closed the blocks, and one open is that path', async () => {
    const network = linear();
    const loss = gated(network, [1, 1, 1], 1);
    for (const gates of [
      [1, 1, 1],
      [0, 0, 0],
      [0, 1, 0],
    ]) {
      const expected = await lossOf(
        network,
        gates.map((gate) => 1 - gate),
      );
      expect((await loss(gates)).loss).toBeCloseTo(expected, 5);
    }
  });

  test('the gradient is the slope of the loss', async () => {
    await checkGradient(gated(linear(), [1, 1, 1], 1), [0.7, 0.4, 0.9]);
  });
});

describe('gates by KV head between attention and a window', () => {
  test('are the placements they stand for, biases included', async () => {
    const { network, pathOf } = windows(true);
    const loss = gated(network, pathOf([]), 2);
    for (const placement of [[], [0, 1, 2, 3, 4, 5], [3], [0, 4, 5]]) {
      const gates = Array.from({ length: 6 }, (_, place) => (placement.includes(place) ? 1 : 0));
      expect((await loss(gates)).loss).toBeCloseTo(await lossOf(network, pathOf(placement)), 5);
    }
  });

  test('the gradient is the slope of the loss', async () => {
    const { network, pathOf } = windows(true);
    await checkGradient(gated(network, pathOf([]), 2), [0.7, 0.4, 0.9, 0.2, 0.5, 0.6]);
  });

  test('alike for all heads of a layer they are that of the layer', async () => {
    const { network, pathOf } = windows(false);
    const byLayer = await gated(network, pathOf([]), 1)([0.3, 0.8, 0.5]);
    const byHead = await gated(network, pathOf([]), 2)([0.3, 0.3, 0.8, 0.8, 0.5, 0.5]);
    expect(byHead.loss).toBeCloseTo(byLayer.loss, 5);
    for (const [layer, own] of byLayer.gradient.entries()) {
      expect(byHead.gradient[2 * layer]! + byHead.gradient[2 * layer + 1]!).toBeCloseTo(own, 4);
    }
  });
});

async function checkGradient(loss: ReturnType<typeof gated>, gates: readonly number[]): Promise<void> {
  const { gradient } = await loss(gates);
  expect(Math.max(...gradient.map(Math.abs))).toBeGreaterThan(1e-3);
  for (const i of gates.keys()) {
    const moved = async (by: number) => (await loss(gates.map((gate, j) => gate + (i === j ? by : 0)))).loss;
    const slope = ((await moved(0.005)) - (await moved(-0.005))) / 0.01;
    expect(gradient[i]).toBeCloseTo(slope, 2);
  }
}

test('a gate that changes nothing closes first', async () => {
  const { network } = windows(false);
  const weights = (layer: number) => network.branches[layer]![0]!.weights;
  // A window of everything is full attention.
  const branch = [0, 1, 2].map((layer) =>
    layer === 1
      ? network.branches[1]!.findIndex(({ spec }) => spec.kind === 'sliding_window')
      : network.addBranch(layer, {
          ...{ spec: { kind: 'sliding_window' as const, window: LENGTH }, weights: weights(layer) },
        }),
  );
  const settings = { branch, gatesPerLayer: 1, budget: 1, rate: 0.2, batch: 3, seed: 1, threads: 1 };
  const taught = await answersOf(network, [0, branch[1]!, 0]);
  const { gates, trainedTokens } = await learnGates(network, taught, { ...settings, steps: 16 });
  expect(gates[1]).toBeGreaterThan(0.9);
  expect(gates[0]).toBeLessThan(0.2);
  expect(gates[2]).toBeLessThan(0.2);
  expect(trainedTokens).toBe(16 * 3 * LENGTH);
});

/** Rows whose last token is the one that the parent finds more probable by most than another path does. */
async function answersOf(network: Network, path: readonly number[]): Promise<RecallRow[]> {
  const scorer = new PathScorer(network, { threads: 1 });
  const candidates = Array.from({ length: 64 }, (_, id) => id);
  const asked = rows.map(({ ids }) => {
    const begun = ids.slice(0, -1);
    return { ids: begun, spans: [{ from: begun.length, to: begun.length, candidates }] };
  });
  const [parent, other] = await scorer.score([[0, 0, 0], path], asked);
  await scorer.dispose();
  return asked.map(({ ids }, row) => {
    const gained = candidates.map(
      (id) => parent![row]![0]!.candidates![id]! - other![row]![0]!.candidates![id]!,
    );
    return { ids: [...ids, gained.indexOf(Math.max(...gained))], places: [ids.length - 1] };
  });
}

describe('limited', () => {
  test.each([
    [[0.5, 0.2], 1, [0.5, 0.2]],
    [[1.4, -0.2, 0.5], 2, [1, 0, 0.5]],
    [[0.9, 0.5, 0.1], 0.9, [0.65, 0.25, 0]],
    [[3, 1.2, 0.2], 1, [1, 0, 0]],
    [[0.5, 0.5], 0, [0, 0]],
  ])('%j to a sum of %d', (values, limit, expected) => {
    for (const [i, value] of limited(values, limit).entries()) expect(value).toBeCloseTo(expected[i]!, 6);
  });
});
