import type { MixerSpec } from '../../src/mixers/spec.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { MemoryTensors } from '../../src/model/memory-tensors.ts';
import { modelParameters } from '../../src/model/parameters.ts';
import { Random } from '../../src/util/random.ts';

/** A tiny configuration with these layers. */
export function tinyConfig(layers: MixerSpec[], more: Partial<ModelConfig> = {}): ModelConfig {
  return {
    modelType: 'postnas',
    vocabSize: 64,
    hiddenSize: 32,
    intermediateSize: 48,
    numHeads: 4,
    numKvHeads: 2,
    headDim: 8,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    ropeScaling: null,
    qkvBias: false,
    oBias: false,
    qkNorm: false,
    mlpBias: false,
    tieWordEmbeddings: false,
    maxPositionEmbeddings: 1024,
    initializerRange: 0.02,
    bosTokenId: 1,
    eosTokenIds: [2],
    layers,
    ...more,
  };
}

/** Random weights, large enough that every part of the model shows in the logits. */
export function randomWeights(config: ModelConfig, seed = 1): MemoryTensors {
  const random = new Random(seed);
  return new MemoryTensors(
    modelParameters(config).map(({ name, shape, init }) => {
      const data = Float32Array.from(init(random));
      if (shape.length > 1) for (let i = 0; i < data.length; i++) data[i] = 0.3 * random.normal();
      // What starts at 0, a bias or a gate, would hide what it belongs to.
      else if (data.every((value) => value === 0)) data.fill(0.5);
      return [name, { shape, data }];
    }),
  );
}
