import { add, input, linear, mul, rmsNorm, silu, type Tensor, take } from '../graph/index.ts';
import { project } from '../mixers/attention.ts';
import type { MixerInput, MixerOutput, Parameter } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from './config.ts';
import { layerPrefix } from './parameters.ts';

/**
 * The decoder as graph: embed, then in each layer x += mixer(RMSNorm(x)) and x += MLP(RMSNorm(x)), then RMSNorm
 * and the head (spec §1.4). Every piece takes its weights by name, so that one program can hold a piece, a layer
 * or the whole model.
 */
export type Weights = Readonly<Record<string, Tensor>>;

/** Inputs for weights, under their own names. */
export function weightInputs(
  parameters: readonly Pick<Parameter, 'name' | 'shape'>[],
): Record<string, Tensor> {
  return Object.fromEntries(parameters.map(({ name, shape }) => [name, input(name, 'float32', shape)]));
}

/** The entries below a prefix, without it. */
export function under(prefix: string, weights: Weights): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(weights)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}

/** What a mixer is given beside its input and weights. */
export type MixerOptions = Pick<
  MixerInput,
  | 'form'
  | 'state'
  | 'mask'
  | 'paddedLeft'
  | 'positions'
  | 'maxPositions'
  | 'angles'
  | 'firstValues'
  | 'windowKept'
>;

/**
 * The mixer of a layer with the norm before it, without the residual: RMSNorm(x) mixed. `weights` are the
 * layer's, relative to its prefix.
 */
export function mixerBlock(
  config: ModelConfig,
  spec: MixerSpec,
  x: Tensor,
  weights: Weights,
  options: MixerOptions,
): MixerOutput {
  const normed = rmsNorm(x, weights['input_layernorm.weight']!, config.rmsNormEps);
  return mixerOf(spec).forward(spec, config, { x: normed, params: under('self_attn.', weights), ...options });
}

/** x + MLP(RMSNorm(x)), MLP = down(silu(gate) * up). x [B, T, D]; `weights` relative to the layer's prefix. */
export function mlpBlock(config: ModelConfig, x: Tensor, weights: Weights): Tensor {
  const normed = rmsNorm(x, weights['post_attention_layernorm.weight']!, config.rmsNormEps);
  const gate = silu(project(normed, weights, 'mlp.gate_proj'));
  return add(x, project(mul(gate, project(normed, weights, 'mlp.up_proj')), weights, 'mlp.down_proj'));
}

/** One layer: [B, T, D] -> [B, T, D], with the mixer's new state. */
export function decoderLayer(
  config: ModelConfig,
  spec: MixerSpec,
  x: Tensor,
  weights: Weights,
  options: MixerOptions,
): MixerOutput {
  const { y, ...rest } = mixerBlock(config, spec, x, weights, options);
  return { y: mlpBlock(config, add(x, y), weights), ...rest };
}

/** Token ids [B, T] -> [B, T, D]. */
export function embed(ids: Tensor, weights: Weights): Tensor {
  return take(weights['model.embed_tokens.weight']!, ids);
}

/** The hidden states after the last layer, [.., D] -> logits [.., vocabulary]. */
export function head(config: ModelConfig, x: Tensor, weights: Weights): Tensor {
  const normed = rmsNorm(x, weights['model.norm.weight']!, config.rmsNormEps);
  return linear(normed, weights[config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight']!);
}

/** Token ids [B, T] -> hidden states after the last layer, before the final norm, from the start of sequences. */
export function decoder(config: ModelConfig, ids: Tensor, weights: Weights, options: MixerOptions): Tensor {
  let x = embed(ids, weights);
  let firstValues: Tensor | undefined;
  for (const [i, spec] of config.layers.entries()) {
    const layerWeights = under(layerPrefix(i), weights);
    const layer = decoderLayer(config, spec, x, layerWeights, { ...options, firstValues });
    x = layer.y;
    firstValues ??= layer.firstValues;
  }
  return x;
}
