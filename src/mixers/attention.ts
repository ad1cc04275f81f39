import {
  add,
  concat,
  type Dim,
  fill,
  linear,
  mul,
  pad,
  reshape,
  rmsNorm,
  sigmoid,
  slice,
  type Tensor,
  transpose,
} from '../graph/index.ts';
import { range } from '../util/range.ts';
import { attend } from './attend.ts';
import { linearWeight, type Mixer, type MixerInput, type Parameter, vector } from './mixer.ts';
import { newestPlaces, trailing } from './padding.ts';
import { rope } from './rope.ts';
import { type Sinks, sinksOf } from './sinks.ts';
import type { AttentionForm, AttentionSpec, MixerContext, SlidingWindowSpec } from './spec.ts';

/**
 * Softmax attention with grouped key and value heads (spec §1.5), and its sliding-window form (§1.6), which has
 * the same weights. Llama, Qwen2 (biases) and Qwen3 (query and key norms) differ by the context alone.
 */

export function attentionParameters(_spec: unknown, context: MixerContext): Parameter[] {
  const { hiddenSize, numHeads, numKvHeads, headDim, qkvBias, oBias, qkNorm, qkNormOfAll, attentionGate } =
    context;
  const [q, kv] = [numHeads * headDim, numKvHeads * headDim];
  return [
    linearWeight('q_proj.weight', q, hiddenSize),
    linearWeight('k_proj.weight', kv, hiddenSize),
    linearWeight('v_proj.weight', kv, hiddenSize),
    ...(attentionGate ? [linearWeight('gate_proj.weight', q, hiddenSize)] : []),
    ...(attentionGate && qkvBias ? [vector('gate_proj.bias', q, 0)] : []),
    linearWeight('o_proj.weight', hiddenSize, q),
    ...(qkvBias
      ? [vector('q_proj.bias', q, 0), vector('k_proj.bias', kv, 0), vector('v_proj.bias', kv, 0)]
      : []),
    ...(oBias ? [vector('o_proj.bias', hiddenSize, 0)] : []),
    ...(qkNorm
      ? [
          vector('q_norm.weight', qkNormOfAll ? q : headDim, 1),
          vector('k_norm.weight', qkNormOfAll ? kv : headDim, 1),
        ]
      : []),
  ];
}

/** x W^T (+ b), with the bias if the layer has one. */
export function project(x: Tensor, params: Readonly<Record<string, Tensor>>, name: string): Tensor {
  const y = linear(x, params[`${name}.weight`]!);
  const bias = params[`${name}.bias`];
  return bias ? add(y, bias) : y;
}

/** [B, T, heads * width] -> [B, heads, T, width] */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [B, T, width] = x.shape as [Dim, Dim, number];
  return transpose(reshape(x, [B, T, heads, width / heads]), [0, 2, 1, 3]);
}

/** [B, heads, T, width] -> [B, T, heads * width] */
export function joinHeads(x: Tensor): Tensor {
  const [B, heads, T, width] = x.shape as [Dim, number, Dim, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [B, T, heads * width]);
}

/** Rotated queries [B, H, T, d], rotated keys and values [B, KV, T, d]; not rotated where the layer says so. */
export function rotatedHeads(
  context: MixerContext,
  input: MixerInput,
  { noRope, localRope }: AttentionForm = {},
): Record<'q' | 'k' | 'v', Tensor> {
  const { x, params } = input;
  const { numHeads, numKvHeads, qkNorm, qkNormOfAll, rmsNormEps } = context;
  const heads = (name: string, count: number) => {
    const norm = (x: Tensor) => rmsNorm(x, params[`${name}_norm.weight`]!, rmsNormEps);
    const all = project(x, params, `${name}_proj`);
    if (!qkNorm || name === 'v') return splitHeads(all, count);
    return qkNormOfAll ? splitHeads(norm(all), count) : norm(splitHeads(all, count));
  };
  const [q, k, v] = [heads('q', numHeads), heads('k', numKvHeads), heads('v', numKvHeads)];
  if (noRope) return { q, k, v };
  const rotate = rope(context, input, localRope);
  return { q: rotate(q), k: rotate(k), v };
}

/**
 * What the heads got [B, H, T, d] through the output projection [B, T, D]; through a gate before it, where there is one.
 *
 * @param input x of the mixer [B, T, D]
 */
export function output(attended: Tensor, params: MixerInput['params'], input: () => Tensor): Tensor {
  const joined = joinHeads(attended);
  const gated = params['gate_proj.weight']
    ? mul(joined, sigmoid(project(input(), params, 'gate_proj')))
    : joined;
  return project(gated, params, 'o_proj');
}

/** Places of a cache, and which of them hold a token. */
export type Places = Record<'k' | 'v' | 'valid', Tensor>;

/**
 * Attention of the call's tokens over those of the state and their own.
 *
 * @param own rotated queries [B, H, T, d], rotated keys and values [B, KV, T, d]
 * @param state [B, KV, P, d]
 * @param count of the first tokens of a text that stay visible, which the state begins with
 * @returns what the queries get [B, H, T, d], the state with the call's tokens behind it
 */
export function attendAfter(
  { mask }: Pick<MixerInput, 'mask'>,
  { q, ...own }: Record<'q' | 'k' | 'v', Tensor>,
  state: Places | undefined,
  window: number,
  count = 0,
): { attended: Tensor; state: Places; sinks?: Sinks } {
  const [B, , T] = q.shape as [Dim, Dim, Dim];
  const sinks = count > 0 ? sinksOf({ mask, state }, own, count) : undefined;
  let { k, v } = own;
  let valid = sinks?.others ?? mask;
  if (state) {
    const behind = (x: Tensor, axis: number) => (sinks ? slice(x, axis, count) : x);
    k = concat([behind(state.k, 2), k], 2);
    v = concat([behind(state.v, 2), v], 2);
    valid = concat([behind(state.valid, 1), valid ?? fill(1, [B, T])], 1);
  }
  const attended = attend(q, k, v, { window, valid, sinks });
  return {
    attended,
    state: { k, v, valid: valid ?? fill(1, [B, T]) },
    ...(sinks ? { sinks } : {}),
  };
}

/**
 * The same over a window, whose state always has `sinks` + `window` places: the first tokens of the text in theirs, and the
 * newest of all others, the last token last.
 */
export function attendWithin(
  input: Pick<MixerInput, 'mask' | 'paddedLeft'>,
  own: Record<'q' | 'k' | 'v', Tensor>,
  before: Places | undefined,
  { window, sinks: count = 0 }: Pick<SlidingWindowSpec, 'window' | 'sinks'>,
): { attended: Tensor; state: Places } {
  const { attended, state, sinks } = attendAfter(input, own, before, window, count);
  const [B] = own.q.shape as [Dim];
  // At the start of a sequence the places before the first token are zeros.
  const newest = (x: Tensor) => newestPlaces(before ? x : pad(x, 2, window, 0), window, trailing(input));
  const places = newest(reshape(state.valid, [B, 1, state.valid.shape[1]!, 1]));
  const last = { k: newest(state.k), v: newest(state.v), valid: reshape(places, [B, window]) };
  if (!sinks) return { attended, state: last };
  return {
    attended,
    state: {
      k: concat([sinks.k, last.k], 2),
      v: concat([sinks.v, last.v], 2),
      valid: concat([sinks.valid, last.valid], 1),
    },
  };
}

export function copyAttention(
  attention: ReadonlyMap<string, Float32Array>,
  context: MixerContext,
): Map<string, Float32Array> {
  return new Map(attentionParameters(null, context).map(({ name }) => [name, attention.get(name)!]));
}

/** The places of a state, whose names begin with `prefix`. */
export function placesOf({ state }: Pick<MixerInput, 'state'>, prefix = ''): Places | undefined {
  if (!state) return undefined;
  const of = (name: string) => state[`${prefix}${name}`]!;
  return { k: of('k'), v: of('v'), valid: of('valid') };
}

export const attention: Mixer<AttentionSpec> = {
  kind: 'attention',
  letter: 'A',
  anyLength: true,
  parameters: attentionParameters,
  state: (_spec, { numKvHeads, headDim }) => [
    { name: 'k', shape: ['B', numKvHeads, 'P', headDim] },
    { name: 'v', shape: ['B', numKvHeads, 'P', headDim] },
    { name: 'valid', shape: ['B', 'P'] },
  ],
  forward: (spec, context, input) => {
    const own = rotatedHeads(context, input, spec);
    const { attended, state } = attendAfter(input, own, placesOf(input), Number.POSITIVE_INFINITY);
    return { y: output(attended, input.params, () => input.x), state };
  },
  cached: {
    reach: (_spec, context) => [
      { heads: range(context.numKvHeads), window: Number.POSITIVE_INFINITY, sinks: 0 },
    ],
    heads: (spec, context, input) => rotatedHeads(context, input, spec),
    output,
  },
  fromAttention: (_spec, context, weights) => copyAttention(weights, context),
};

export const slidingWindow: Mixer<SlidingWindowSpec> = {
  kind: 'sliding_window',
  letter: 'W',
  anyLength: true,
  parameters: attentionParameters,
  state: ({ window, sinks = 0 }, { numKvHeads, headDim }) => [
    { name: 'k', shape: ['B', numKvHeads, sinks + window, headDim] },
    { name: 'v', shape: ['B', numKvHeads, sinks + window, headDim] },
    { name: 'valid', shape: ['B', sinks + window] },
  ],
  forward: (spec, context, input) => {
    const { attended, state } = attendWithin(
      input,
      rotatedHeads(context, input, spec),
      placesOf(input),
      spec,
    );
    return { y: output(attended, input.params, () => input.x), state };
  },
  cached: {
    reach: ({ window, sinks = 0 }, context) => [{ heads: range(context.numKvHeads), window, sinks }],
    heads: (spec, context, input) => rotatedHeads(context, input, spec),
    output,
  },
  fromAttention: (_spec, context, weights) => copyAttention(weights, context),
};
