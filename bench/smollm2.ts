import type { ModelConfig } from '../src/model/config.ts';
import { MemoryTensors } from '../src/model/memory-tensors.ts';
import { modelParameters } from '../src/model/parameters.ts';
import { Network } from '../src/search/network/network.ts';
import { Random } from '../src/util/random.ts';

/** The shape of SmolLM2-135M, all layers attention. */
export function smolLm2({ layers = 30, vocabSize = 49152 } = {}): ModelConfig {
  return {
    modelType: 'llama',
    vocabSize,
    hiddenSize: 576,
    intermediateSize: 1536,
    numHeads: 9,
    numKvHeads: 3,
    headDim: 64,
    rmsNormEps: 1e-5,
    ropeTheta: 100_000,
    ropeScaling: null,
    qkvBias: false,
    oBias: false,
    qkNorm: false,
    mlpBias: false,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: 8192,
    initializerRange: 0.02,
    bosTokenId: null,
    eosTokenIds: [],
    layers: Array.from({ length: layers }, () => ({ kind: 'attention' })),
  };
}

/** Uniform values instead of a checkpoint's own draw: normal ones of 135 M take a while. */
export function randomNetwork(config: ModelConfig): Network {
  const random = new Random(1);
  return new Network(
    config,
    new MemoryTensors(
      modelParameters(config).map(({ name, shape, init }) => {
        const size = shape.reduce((a, b) => a * b, 1);
        if (shape.length < 2) return [name, { shape, data: Float32Array.from(init(random)) }];
        const data = new Float32Array(size);
        for (let i = 0; i < size; i++) data[i] = 0.07 * (random.uniform() - 0.5);
        return [name, { shape, data }];
      }),
    ),
  );
}
