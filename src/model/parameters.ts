import { linearWeight, normalInit, type Parameter, vector } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from './config.ts';

/** Every weight of a model by its Hugging Face name, with its shape and its fresh values. */

export function layerPrefix(layer: number): string {
  return `model.layers.${layer}.`;
}

/** Norms of a layer, by their names in it: before the mixer and after, before the MLP and after. */
export interface LayerNorms {
  beforeMixer?: string;
  afterMixer?: string;
  beforeMlp?: string;
  afterMlp?: string;
}

const NORMS: Record<'before' | NonNullable<ModelConfig['norms']>, LayerNorms> = {
  before: { beforeMixer: 'input_layernorm', beforeMlp: 'post_attention_layernorm' },
  after: { afterMixer: 'post_attention_layernorm', afterMlp: 'post_feedforward_layernorm' },
  around: {
    beforeMixer: 'input_layernorm',
    afterMixer: 'post_attention_layernorm',
    beforeMlp: 'pre_feedforward_layernorm',
    afterMlp: 'post_feedforward_layernorm',
  },
};

export function layerNorms({ norms }: Pick<ModelConfig, 'norms'>): LayerNorms {
  return NORMS[norms ?? 'before'];
}

function normParameters({ hiddenSize }: ModelConfig, names: readonly (string | undefined)[]): Parameter[] {
  return names.flatMap((name) => (name === undefined ? [] : [vector(`${name}.weight`, hiddenSize, 1)]));
}

/** The weights of one layer with a mixer, named relative to the layer's prefix. */
export function layerParameters(config: ModelConfig, spec: MixerSpec): Parameter[] {
  const { beforeMixer, afterMixer } = layerNorms(config);
  return [
    ...normParameters(config, [beforeMixer]),
    ...prefixed('self_attn.', mixerOf(spec).parameters(spec, config)),
    ...normParameters(config, [afterMixer]),
    ...mlpParameters(config),
  ];
}

/** The MLP's weights of one layer, its norms included; names relative to the layer. */
export function mlpParameters(config: ModelConfig): Parameter[] {
  const { hiddenSize: d, intermediateSize: f, mlpBias } = config;
  const { beforeMlp, afterMlp } = layerNorms(config);
  const linear = (name: string, out: number, inputs: number) => [
    linearWeight(`mlp.${name}.weight`, out, inputs),
    ...(mlpBias ? [vector(`mlp.${name}.bias`, out, 0)] : []),
  ];
  return [
    ...normParameters(config, [beforeMlp]),
    ...linear('gate_proj', f, d),
    ...linear('up_proj', f, d),
    ...linear('down_proj', d, f),
    ...normParameters(config, [afterMlp]),
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
    ...config.layers.flatMap((spec, i) => prefixed(layerPrefix(i), layerParameters(config, spec))),
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
