import { linearWeight, normalInit, type Parameter, vector } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from './config.ts';

/** Every weight of a model by its Hugging Face name, with its shape and its fresh values. */

export function layerPrefix(layer: number): string {
  return `model.layers.${layer}.`;
}

/** The mixer's weights of one layer, with the layer's prefix. */
function mixerParameters(config: ModelConfig, layer: number, spec = config.layers[layer]!): Parameter[] {
  return prefixed(`${layerPrefix(layer)}self_attn.`, mixerOf(spec).parameters(spec, config));
}

/** The MLP's weights of one layer, its norm included; names relative to the layer. */
export function mlpParameters(config: ModelConfig): Parameter[] {
  const { hiddenSize: d, intermediateSize: f, mlpBias } = config;
  const linear = (name: string, out: number, inputs: number) => [
    linearWeight(`mlp.${name}.weight`, out, inputs),
    ...(mlpBias ? [vector(`mlp.${name}.bias`, out, 0)] : []),
  ];
  return [
    vector('post_attention_layernorm.weight', d, 1),
    ...linear('gate_proj', f, d),
    ...linear('up_proj', f, d),
    ...linear('down_proj', d, f),
  ];
}

/** All weights, in the order of the forward pass. */
export function modelParameters(config: ModelConfig): Parameter[] {
  const { vocabSize, hiddenSize: d } = config;
  const table = (name: string): Parameter => ({
    name,
    shape: [vocabSize, d],
    init: normalInit([vocabSize, d], config.initializerRange),
    decay: true,
  });
  return [
    table('model.embed_tokens.weight'),
    ...config.layers.flatMap((_, i) => [
      vector(`${layerPrefix(i)}input_layernorm.weight`, d, 1),
      ...mixerParameters(config, i),
      ...prefixed(layerPrefix(i), mlpParameters(config)),
    ]),
    vector('model.norm.weight', d, 1),
    ...(config.tieWordEmbeddings ? [] : [table('lm_head.weight')]),
  ];
}

/** How many numbers these weights hold together. Nothing is drawn for it. */
export function countParameters(parameters: readonly { shape: readonly number[] }[]): number {
  return parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

function prefixed(prefix: string, parameters: readonly Parameter[]): Parameter[] {
  return parameters.map((parameter) => ({ ...parameter, name: prefix + parameter.name }));
}
