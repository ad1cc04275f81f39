import { add, input, linear, mul, rmsNorm, silu, type Tensor, take, tanh } from '../graph/index.ts';
import { project } from '../mixers/attention.ts';
import type { MixerInput, MixerOutput, Parameter } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from './config.ts';
import { layerNorms, layerPrefix } from './parameters.ts';

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

/** The residual stream where a layer finds it. What is recorded in pieces puts other tensors in the place of these. */
export interface Stream {
  /** [B, T, D] */
  x: Tensor;
  /** Values of the first layer that gives some (RWKV7). */
  firstValues?: Tensor | undefined;
}

/** A layer while it is recorded. */
export interface Layer {
  index: number;
  spec: MixerSpec;
  /** Weights of the mixer. */
  params: Weights;
  /** RMSNorm(x), of x as the stream has it now. */
  normed(): Tensor;
}

/** What a layer's mixer adds to x. */
export type Mix = (layer: Layer, stream: Stream) => Tensor;

/**
 * One layer: x += mix, x += MLP(RMSNorm(x)), with the norms where the model has them. `weights` are the layer's, relative to
 * its prefix.
 *
 * @param narrow which rows of x go on to the MLP, where not all are wanted
 */
export function recordLayer(
  config: ModelConfig,
  { index, spec }: Pick<Layer, 'index' | 'spec'>,
  stream: Stream,
  weights: Weights,
  mix: Mix,
  narrow: (x: Tensor) => Tensor = (x) => x,
): void {
  const { afterMixer, beforeMlp, afterMlp } = layerNorms(config);
  const norm = (name: string | undefined, x: Tensor) =>
    name === undefined ? x : normalise(config, name, x, weights);
  let known: { x: Tensor; normed: Tensor } | undefined;
  const normed = () => {
    if (known?.x !== stream.x) known = { x: stream.x, normed: mixerInput(config, stream.x, weights) };
    return known.normed;
  };
  const mixed = mix({ index, spec, params: under('self_attn.', weights), normed }, stream);
  const x = narrow(add(stream.x, norm(afterMixer, mixed)));
  stream.x = add(x, norm(afterMlp, mlp(config, norm(beforeMlp, x), weights)));
}

/**
 * All layers, one after the other. Every recording of the decoder goes through here: the plain one below, the engine's, whose
 * attention is over caches, and the exported one.
 *
 * @param weights of the whole model
 * @param narrow which rows go on to the last MLP, where not all are wanted
 */
export function recordLayers(
  config: ModelConfig,
  stream: Stream,
  weights: Weights,
  mix: Mix,
  narrow?: (x: Tensor) => Tensor,
): void {
  for (const [index, spec] of config.layers.entries()) {
    const last = index === config.layers.length - 1;
    recordLayer(
      config,
      { index, spec },
      stream,
      under(layerPrefix(index), weights),
      mix,
      last ? narrow : undefined,
    );
  }
}

/** A mixer as it is defined, of whose outputs `also` is told. */
export function forward(
  config: ModelConfig,
  optionsOf: (layer: Layer) => MixerOptions,
  also: (layer: Layer, output: MixerOutput) => void = () => {},
): Mix {
  return (layer, stream) => {
    const { spec, params } = layer;
    const options = { ...optionsOf(layer), firstValues: stream.firstValues };
    const input = { x: layer.normed(), params, ...options };
    const output = mixerOf(spec).forward(spec, config, input);
    stream.firstValues ??= output.firstValues;
    also(layer, output);
    return output.y;
  };
}

function normalise(config: ModelConfig, name: string, x: Tensor, weights: Weights): Tensor {
  return rmsNorm(x, weights[`${name}.weight`]!, config.rmsNormEps);
}

/** What a layer's mixer gets of hidden states: with the norm before it, if there is one. `weights` relative to the layer's prefix. */
export function mixerInput(config: ModelConfig, x: Tensor, weights: Weights): Tensor {
  const { beforeMixer } = layerNorms(config);
  return beforeMixer === undefined ? x : normalise(config, beforeMixer, x, weights);
}

/**
 * The mixer of a layer with the norm before it, if there is one, without the residual: RMSNorm(x) mixed. `weights` are the
 * layer's, relative to its prefix.
 */
export function mixerBlock(
  config: ModelConfig,
  spec: MixerSpec,
  x: Tensor,
  weights: Weights,
  options: MixerOptions,
): MixerOutput {
  const normed = mixerInput(config, x, weights);
  return mixerOf(spec).forward(spec, config, { x: normed, params: under('self_attn.', weights), ...options });
}

/** down(silu(gate) * up), or another activation. x [B, T, D]; `weights` relative to the layer's prefix. */
function mlp({ activation }: ModelConfig, x: Tensor, weights: Weights): Tensor {
  const gate = project(x, weights, 'mlp.gate_proj');
  const active = activation === 'gelu_tanh' ? geluTanh(gate) : silu(gate);
  return project(mul(active, project(x, weights, 'mlp.up_proj')), weights, 'mlp.down_proj');
}

/** x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
function geluTanh(x: Tensor): Tensor {
  const inner = mul(mul(x, Math.sqrt(2 / Math.PI)), add(1, mul(mul(x, x), 0.044715)));
  return mul(mul(x, 0.5), add(1, tanh(inner)));
}

/**
 * One layer by itself: [B, T, D] -> `y` [B, T, D], `mixed`, what its mixer adds, and the mixer's new state. `weights` relative
 * to the layer's prefix.
 */
export function decoderLayer(
  config: ModelConfig,
  spec: MixerSpec,
  x: Tensor,
  weights: Weights,
  options: MixerOptions,
): MixerOutput & { mixed: Tensor } {
  const stream: Stream = { x, firstValues: options.firstValues };
  let output: MixerOutput | undefined;
  const mix = forward(
    config,
    () => options,
    (_, made) => {
      output = made;
    },
  );
  recordLayer(config, { index: 0, spec }, stream, weights, mix);
  return { ...output!, mixed: output!.y, y: stream.x };
}

/** Token ids [B, T] -> [B, T, D]. */
export function embed(ids: Tensor, weights: Weights): Tensor {
  return take(weights['model.embed_tokens.weight']!, ids);
}

/** The hidden states after the last layer, [.., D] -> logits [.., vocabulary]. */
export function head(config: ModelConfig, x: Tensor, weights: Weights): Tensor {
  const normed = normalise(config, 'model.norm', x, weights);
  return linear(normed, weights[config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight']!);
}

/** Token ids [B, T] -> hidden states after the last layer, before the final norm, from the start of sequences. */
export function decoder(config: ModelConfig, ids: Tensor, weights: Weights, options: MixerOptions): Tensor {
  const stream: Stream = { x: embed(ids, weights) };
  recordLayers(
    config,
    stream,
    weights,
    forward(config, () => options),
  );
  return stream.x;
}
