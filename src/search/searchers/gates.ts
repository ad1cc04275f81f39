import {
  float32,
  gradients,
  input,
  int64,
  logSoftmax,
  mean,
  memoryOf,
  neg,
  pick,
  reshape,
  take,
  unsqueeze,
  type Value,
} from '../../graph/index.ts';
import { head, weightInputs } from '../../model/decoder.ts';
import { headParameters, headValues, LayerPrograms } from '../../model/layer-programs.ts';
import { Random } from '../../util/random.ts';
import type { Network } from '../network/network.ts';
import { GatedLayer } from './gated-layer.ts';

/**
 * Gates between full attention and what it is exchanged for, trained on the answers of recall with all weights frozen (as
 * DuoAttention, arXiv 2410.10819, and FlashMorph, arXiv 2606.30562, choose heads and layers). Their sum is held to a limit that
 * falls from all of them to the budget, by projection onto it: what brings least closes first.
 */

/** A text, and the places in it whose next tokens are answers. */
export interface RecallRow {
  ids: readonly number[];
  places: readonly number[];
}

export interface GateSettings {
  /** Of each layer, the branch that its attention is exchanged for. */
  branch: readonly number[];
  /** Of each layer: 1, or as many as KV heads. */
  gatesPerLayer: number;
  budget: number;
  steps: number;
  /** The most that a gate moves in a step before the limit counts. */
  rate: number;
  batch: number;
  seed: number;
  threads?: number;
  signal?: AbortSignal | undefined;
  onStep?: (step: number, loss: number) => void;
}

/** Of gradients, over the steps before. */
const MOMENTUM = 0.8;

/** @returns the gates, by layer and head: the mean of the second half of the steps; and the tokens that they were trained on */
export async function learnGates(
  network: Network,
  rows: readonly RecallRow[],
  settings: GateSettings,
): Promise<{ gates: number[]; trainedTokens: number }> {
  const { branch, gatesPerLayer, budget, steps, rate, batch, seed, signal } = settings;
  const count = branch.length * gatesPerLayer;
  const length = Math.max(...rows.map(({ ids }) => ids.length));
  const memory = memoryOf();
  const programs = new LayerPrograms(network.config, { batch, length }, memory, settings.threads);
  const layer = new GatedLayer(programs, network, branch, gatesPerLayer);
  const random = new Random(seed);
  const momentum = new Array<number>(count).fill(0);
  const sums = new Array<number>(count).fill(0);
  let gates = new Array<number>(count).fill(1);
  try {
    for (let step = 0; step < steps; step++) {
      signal?.throwIfAborted();
      const drawn = Array.from({ length: batch }, () => random.pick(rows));
      const { loss, gradient } = await gateGradient(programs, network, layer, drawn, gates);
      settings.onStep?.(step, loss);
      for (const [i, own] of gradient.entries()) momentum[i] = MOMENTUM * momentum[i]! + (1 - MOMENTUM) * own;
      const largest = Math.max(1e-12, ...momentum.map(Math.abs));
      const fall = Math.min(1, (2 * (step + 1)) / steps);
      const limit = count + fall * (budget - count);
      gates = limited(
        gates.map((gate, i) => gate - (rate * momentum[i]!) / largest),
        limit,
      );
      if (2 * step >= steps) for (const [i, gate] of gates.entries()) sums[i]! += gate;
    }
  } finally {
    await programs.dispose();
  }
  const counted = steps - Math.ceil(steps / 2);
  return { gates: sums.map((sum) => sum / counted), trainedTokens: steps * batch * length };
}

/** The loss of the rows' answers, nats a token, and its gradient by the gates. */
export async function gateGradient(
  programs: LayerPrograms,
  network: Network,
  gated: GatedLayer,
  rows: readonly RecallRow[],
  gates: readonly number[],
): Promise<{ loss: number; gradient: number[] }> {
  const { config } = network;
  const { length } = programs.shape;
  const ids = new Int32Array(rows.length * length);
  for (const [i, row] of rows.entries()) ids.set(row.ids, i * length);
  const asked = rows.flatMap((row, i) =>
    row.places.map((place) => ({ at: i * length + place, target: row.ids[place + 1]! })),
  );
  const layers = network.branches.length;
  const perLayer = gates.length / layers;
  const gateOf = (layer: number): Value =>
    float32(Float32Array.from(gates.slice(layer * perLayer, (layer + 1) * perLayer)), [perLayer]);
  const hidden = [await programs.embed(ids, network.embedding)];
  for (let layer = 0; layer < layers; layer++)
    hidden.push(await gated.forward(layer, hidden[layer]!, gateOf(layer)));
  const answers = await programs.compiled('gate answers', () => {
    const x = programs.hidden('x');
    const places = take(reshape(x, [-1, config.hiddenSize]), input('at', 'int64', ['M']));
    const logProbs = logSoftmax(head(config, places, weightInputs(headParameters(config))));
    const loss = neg(mean(pick(logProbs, unsqueeze(input('targets', 'int64', ['M']), 1))));
    return { loss, above: gradients([{ output: loss }], [x])[0]! };
  });
  const found = await programs.memory.run(answers, {
    x: hidden[layers]!,
    at: int64(
      asked.map(({ at }) => at),
      [asked.length],
    ),
    targets: int64(
      asked.map(({ target }) => target),
      [asked.length],
    ),
    ...(await programs.memory.place(headValues(config, network.outer))),
  });
  let above = found.above!;
  const gradient = new Array<number>(gates.length).fill(0);
  for (let layer = layers - 1; layer >= 0; layer--) {
    const { below, gate } = await gated.backward(layer, hidden[layer]!, gateOf(layer), above);
    for (const [i, own] of (gate.data as Float32Array).entries()) gradient[layer * perLayer + i] = own;
    above = below;
  }
  const [loss] = await programs.memory.numbers([found.loss!]);
  return { loss: loss!, gradient };
}

/** The nearest values within 0 to 1 whose sum is at most the limit: all are lowered alike until it holds. */
export function limited(values: readonly number[], limit: number): number[] {
  const lowered = (by: number) => values.map((value) => Math.min(1, Math.max(0, value - by)));
  const sum = (list: readonly number[]) => list.reduce((total, value) => total + value, 0);
  if (sum(lowered(0)) <= limit) return lowered(0);
  let [low, high] = [0, Math.max(...values)];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (sum(lowered(middle)) > limit) low = middle;
    else high = middle;
  }
  return lowered(high);
}
