import type { LinearSpec, MixerSpec } from '../../src/mixers/spec.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { BranchWeights } from '../../src/search/network/branches.ts';
import { Network } from '../../src/search/network/network.ts';
import type { TrainingData } from '../../src/train/batches.ts';
import { randomWeights, tinyConfig } from './random-model.ts';

/** A GLA that fits tiny attention layers of two heads. */
export const tinyGla: LinearSpec = { kind: 'gla', heads: 2, keyDim: 8, valueDim: 8, gateRank: 4, rope: true };

/** A parent of width 16 with random weights and these layers. */
export function tinyParent(
  layers: MixerSpec[] = [{ kind: 'attention' }, { kind: 'attention' }, { kind: 'attention' }],
  more: Partial<ModelConfig> = {},
): Network {
  const size = { hiddenSize: 16, intermediateSize: 24, numHeads: 2, numKvHeads: 1 };
  const config = tinyConfig(layers, { ...size, ...more });
  return new Network(config, randomWeights(config, 4));
}

/** The parent with a branch beside every layer, as a search has it after alignment. */
export function tinySupernet(parent = tinyParent(), spec: MixerSpec = tinyGla): BranchWeights {
  const branches = new BranchWeights(
    parent,
    parent.branches.map((_, layer) => layer),
    spec,
  );
  branches.initialise(1);
  branches.attach();
  return branches;
}

/** Tokens drawn independently, but that every second one repeats the one before. */
export function tinyBatches(vocabulary = 64): TrainingData {
  return {
    identity: `tiny ${vocabulary}`,
    fill(out, _width, random) {
      for (let i = 0; i < out.length; i++) out[i] = i % 2 ? out[i - 1]! : random.below(vocabulary);
    },
  };
}

/**
 * Options under which the first step of AdamW is the gradient itself: p -= g, as the moments are those of one
 * gradient and an eps this large is all that divides by.
 */
export const gradientStep = {
  schedule: { peak: 1e6, warmup: 0, steps: 1, decay: 'constant', final: 1 },
  optimizer: { eps: 1e6, weightDecay: 0, clipNorm: Number.POSITIVE_INFINITY },
} as const;

/** What `step` takes away from the branches' weights, by their names in the vector. */
export async function taken(
  { vector }: BranchWeights,
  step: () => Promise<unknown>,
): Promise<Map<string, number[]>> {
  const before = vector.data.slice();
  await step();
  return new Map(
    vector.parameters.map(({ name }) => {
      const start = vector.start(name);
      return [name, [...vector.view(name)].map((p, i) => before[start + i]! - p)];
    }),
  );
}
