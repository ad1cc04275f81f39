import { attentionSpec } from '../../src/mixers/head-attention.ts';
import type { MixerSpec } from '../../src/mixers/spec.ts';
import type { ModelConfig } from '../../src/model/config.ts';

/**
 * The shapes that are measured: two small models that people run, hybrids with two full layers of them, and the models
 * themselves with as many KV heads that see everything, and windows else.
 */

export interface Shape {
  name: string;
  /** With attention in all layers. */
  config: ModelConfig;
  /** Layers, counted from 0, that keep attention in the hybrids. */
  full: readonly number[];
  /** KV heads, each of another layer, that see everything where all others see a window: layer and head. */
  heads: readonly (readonly [layer: number, head: number])[];
}

/** Longer than anything that is measured: all weights are random, so that no training has set a limit. */
const MAX_POSITIONS = 66_560;

const common = {
  rmsNormEps: 1e-5,
  ropeScaling: null,
  oBias: false,
  qkNorm: false,
  mlpBias: false,
  tieWordEmbeddings: true,
  maxPositionEmbeddings: MAX_POSITIONS,
  initializerRange: 0.02,
  bosTokenId: null,
  eosTokenIds: [],
};

function layers(count: number): MixerSpec[] {
  return Array.from({ length: count }, () => ({ kind: 'attention' }));
}

export const SHAPES: readonly Shape[] = [
  {
    name: 'SmolLM2-135M',
    config: {
      ...common,
      modelType: 'llama',
      vocabSize: 49_152,
      hiddenSize: 576,
      intermediateSize: 1536,
      numHeads: 9,
      numKvHeads: 3,
      headDim: 64,
      ropeTheta: 100_000,
      qkvBias: false,
      layers: layers(30),
    },
    full: [9, 19],
    heads: [
      [10, 2],
      [15, 2],
      [17, 1],
      [18, 2],
      [20, 2],
      [23, 0],
    ],
  },
  {
    name: 'Qwen2.5-0.5B',
    config: {
      ...common,
      modelType: 'qwen2',
      vocabSize: 151_936,
      hiddenSize: 896,
      intermediateSize: 4864,
      numHeads: 14,
      numKvHeads: 2,
      headDim: 64,
      ropeTheta: 1_000_000,
      qkvBias: true,
      layers: layers(24),
    },
    full: [11, 17],
    heads: [
      [8, 0],
      [11, 1],
      [14, 0],
      [17, 1],
    ],
  },
];

/**
 * What stands in the layers: attention in all; Gated DeltaNet or JetBlock, with states of the same size, in most; attention
 * with windows, in which some KV heads see everything.
 */
export const MODELS = ['full', 'hybrid', 'jet', 'heads'] as const;
export type ModelName = (typeof MODELS)[number];

export function modelConfig({ config, full, heads }: Shape, model: ModelName): ModelConfig {
  if (model === 'full') return config;
  if (model === 'heads') return byHeads(config, heads);
  const linear = model === 'hybrid' ? gatedDeltaNet(config) : jetBlock(config);
  return {
    ...config,
    modelType: 'postnas',
    layers: config.layers.map((attention, i) => (full.includes(i) ? attention : linear)),
  };
}

/** Of heads that do not see everything: the last tokens and the first of the text. */
const NEAR = { window: 128, sinks: 4 };

function byHeads(config: ModelConfig, heads: Shape['heads']): ModelConfig {
  const layers = config.layers.map((_, i) => {
    const full = heads.filter(([layer]) => layer === i).map(([, head]) => head);
    return attentionSpec(full, config, NEAR);
  });
  return { ...config, modelType: 'postnas', layers };
}

/** As many heads as attention has, with keys and values of its width: the state is a matrix [d, d] per head. */
function gatedDeltaNet({ numHeads: heads, headDim }: ModelConfig): MixerSpec {
  return { kind: 'gated_deltanet', heads, keyDim: headDim, valueDim: headDim, convSize: 4, rope: false };
}

function jetBlock({ numHeads: heads, headDim }: ModelConfig): MixerSpec {
  return {
    kind: 'jet_block',
    heads,
    keyDim: headDim,
    valueDim: headDim,
    qConv: 'none',
    kConv: 'none',
    vConv: 'dynamic',
    convSize: 4,
    generatorReduction: 8,
    generatorInput: 'hidden',
    gate: 'silu',
  };
}
