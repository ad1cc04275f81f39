import { showArchitecture } from '../mixers/registry.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { type StateBytes, stateBytes, totalBytes } from '../mixers/state-bytes.ts';
import type { ModelConfig } from './config.ts';
import { countParameters, layerPrefix, modelParameters } from './parameters.ts';

/** What a configuration amounts to: parameters, and the memory that a sequence takes. Needs no weights. */

interface LayerSummary {
  mixer: MixerSpec;
  parameters: number;
  /** Of them in the mixer. */
  mixerParameters: number;
  /** Of one sequence, in bytes. */
  state: StateBytes;
}

export interface ModelSummary {
  /** A letter per layer. */
  architecture: string;
  parameters: number;
  /** In the embedding, and the head where it is a matrix of its own. */
  embeddingParameters: number;
  layers: LayerSummary[];
  /** Of one sequence, in bytes. */
  stateBytes: number;
  /** The same decoder with full attention in every layer. */
  parent: { parameters: number; stateBytes: number };
}

/**
 * @param tokens of the sequence
 * @param valueBytes size of a number in caches; recurrent states are float32
 */
export function summarise(config: ModelConfig, tokens: number, valueBytes: number): ModelSummary {
  const parameters = modelParameters(config);
  const below = (prefix: string) => countParameters(parameters.filter(({ name }) => name.startsWith(prefix)));
  const parent: ModelConfig = { ...config, layers: config.layers.map(() => ({ kind: 'attention' })) };
  return {
    architecture: showArchitecture(config.layers),
    parameters: countParameters(parameters),
    embeddingParameters: below('model.embed_tokens.') + below('lm_head.'),
    layers: config.layers.map((mixer, i) => ({
      mixer,
      parameters: below(layerPrefix(i)),
      mixerParameters: below(`${layerPrefix(i)}self_attn.`),
      state: stateBytes(mixer, config, tokens, valueBytes),
    })),
    stateBytes: sequenceBytes(config, tokens, valueBytes),
    parent: {
      parameters: countParameters(modelParameters(parent)),
      stateBytes: sequenceBytes(parent, tokens, valueBytes),
    },
  };
}

function sequenceBytes(config: ModelConfig, tokens: number, valueBytes: number): number {
  return config.layers
    .map((spec) => totalBytes(stateBytes(spec, config, tokens, valueBytes)))
    .reduce((a, b) => a + b, 0);
}
