import {
  add,
  addDims,
  arange,
  cast,
  concat,
  constant,
  type Dim,
  fill,
  greaterOrEqual,
  linear,
  matmul,
  mul,
  mulDims,
  pad,
  reshape,
  rmsNorm,
  slice,
  softmax,
  split,
  sub,
  subDims,
  type Tensor,
  transpose,
  unsqueeze,
} from '../graph/index.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
import { newestPlaces, trailing } from './padding.ts';
import { rope } from './rope.ts';
import type { AttentionSpec, MixerContext, SlidingWindowSpec } from './spec.ts';

/**
 * Softmax attention with grouped key and value heads (spec §1.5), and its sliding-window form (§1.6), which has
 * the same weights. Llama, Qwen2 (biases) and Qwen3 (query and key norms) differ by the context alone.
 */

/** Added to the scores of what must not be seen: finite, so that a row without any key stays finite. */
const HIDDEN = -1e30;

function parameters(_spec: unknown, context: MixerContext): Parameter[] {
  const { hiddenSize, numHeads, numKvHeads, headDim, qkvBias, oBias, qkNorm } = context;
  const [q, kv] = [numHeads * headDim, numKvHeads * headDim];
  return [
    linearWeight('q_proj.weight', q, hiddenSize),
    linearWeight('k_proj.weight', kv, hiddenSize),
    linearWeight('v_proj.weight', kv, hiddenSize),
    linearWeight('o_proj.weight', hiddenSize, q),
    ...(qkvBias
      ? [vector('q_proj.bias', q, 0), vector('k_proj.bias', kv, 0), vector('v_proj.bias', kv, 0)]
      : []),
    ...(oBias ? [vector('o_proj.bias', hiddenSize, 0)] : []),
    ...(qkNorm ? [vector('q_norm.weight', headDim, 1), vector('k_norm.weight', headDim, 1)] : []),
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

/**
 * What is added to the scores of T queries over P + T keys: 0 where query i may see key j, that is
 * 0 <= (P + i) - j < window, HIDDEN elsewhere. [T, P + T]
 */
function causalBias(T: Dim, P: Dim, window: number): Tensor {
  const S = addDims(P, T);
  if (typeof T === 'number' && typeof S === 'number') {
    const past = S - T;
    const values = Array.from({ length: T * S }, (_, n) => {
      const distance = past + Math.floor(n / S) - (n % S);
      return distance >= 0 && distance < window ? 0 : HIDDEN;
    });
    return constant(values, [T, S]);
  }
  const queries = unsqueeze(slice(arange(S, 'float32'), 0, P), 1);
  const distance = sub(queries, unsqueeze(arange(S, 'float32'), 0));
  const seen = cast(greaterOrEqual(distance, 0), 'float32');
  const near = Number.isFinite(window)
    ? mul(seen, cast(greaterOrEqual(sub(window - 1, distance), 0), 'float32'))
    : seen;
  return mul(sub(near, 1), -HIDDEN);
}

/** Queries of a block: long enough for products of matrices, short enough to leave out much of what is hidden. */
const QUERY_BLOCK = 128;

/**
 * Softmax attention of q [B, H, T, d] over k, v [B, KV, S, d], where query i is the token S - T + i and sees the
 * last `window` keys up to its own; `valid` [B, S] is 0 for keys that are padding.
 *
 * Where the sizes are known it goes block by block of queries, each over the keys that one of them sees: the half
 * of the scores above the diagonal is mostly not computed, and what is lies closer together.
 */
export function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  window: number,
  valid?: Tensor,
  block = QUERY_BLOCK,
): Tensor {
  const [T, S] = [q.shape[2]!, k.shape[2]!];
  if (typeof T !== 'number' || typeof S !== 'number' || T <= block) {
    return attendAll(q, k, v, causalBias(T, subDims(S, T), window), valid);
  }
  const sizes = Array.from({ length: Math.ceil(T / block) }, (_, i) => Math.min(block, T - i * block));
  const outputs = split(q, 2, sizes).map((queries, i) => {
    const size = sizes[i]!;
    const end = S - T + i * block + size;
    const start = Math.max(0, end - size + 1 - window);
    const seen = (x: Tensor, axis: number) => slice(x, axis, start, end);
    const bias = causalBias(size, end - size - start, window);
    return attendAll(queries, seen(k, 2), seen(v, 2), bias, valid && seen(valid, 1));
  });
  return concat(outputs, 2);
}

/** As `attend`, with all scores at once; each key is read once for its group of queries. bias [T, S] */
function attendAll(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, valid: Tensor | undefined): Tensor {
  const [B, H, T, d] = q.shape as [Dim, number, Dim, number];
  const [, KV, S] = k.shape as [Dim, number, Dim];
  const G = H / KV;
  const rows = mulDims(G, T);
  const scores = reshape(matmul(reshape(q, [B, KV, rows, d]), k, { transB: true, alpha: d ** -0.5 }), [
    B,
    KV,
    G,
    T,
    S,
  ]);
  let masked = add(scores, bias);
  if (valid) masked = add(masked, mul(sub(reshape(valid, [B, 1, 1, 1, S]), 1), -HIDDEN));
  const weights = reshape(softmax(masked), [B, KV, rows, S]);
  return reshape(matmul(weights, v), [B, H, T, d]);
}

/** Rotated queries [B, H, T, d], rotated keys and values [B, KV, T, d]. */
function heads(context: MixerContext, input: MixerInput): Record<'q' | 'k' | 'v', Tensor> {
  const { x, params } = input;
  const { numHeads, numKvHeads, qkNorm, rmsNormEps } = context;
  let q = splitHeads(project(x, params, 'q_proj'), numHeads);
  let k = splitHeads(project(x, params, 'k_proj'), numKvHeads);
  const v = splitHeads(project(x, params, 'v_proj'), numKvHeads);
  if (qkNorm) {
    q = rmsNorm(q, params['q_norm.weight']!, rmsNormEps);
    k = rmsNorm(k, params['k_norm.weight']!, rmsNormEps);
  }
  const rotate = rope(context, input);
  return { q: rotate(q), k: rotate(k), v };
}

function output(attended: Tensor, params: MixerInput['params']): Tensor {
  return project(joinHeads(attended), params, 'o_proj');
}

function forward(context: MixerContext, input: MixerInput, window: number): MixerOutput {
  const { x, params, state, mask } = input;
  const [B, T] = x.shape as [Dim, Dim];
  const { q, ...own } = heads(context, input);
  let { k, v } = own;
  let valid = mask;
  if (state) {
    k = concat([state.k!, k], 2);
    v = concat([state.v!, v], 2);
    valid = concat([state.valid!, mask ?? fill(1, [B, T])], 1);
  }
  const y = attend(q, k, v, window, valid);
  return {
    y: output(y, params),
    state: { k, v, valid: valid ?? fill(1, [B, T]) },
  };
}

function copyAttention(
  attention: ReadonlyMap<string, Float32Array>,
  context: MixerContext,
): Map<string, Float32Array> {
  return new Map(parameters(null, context).map(({ name }) => [name, attention.get(name)!]));
}

export const attention: Mixer<AttentionSpec> = {
  kind: 'attention',
  letter: 'A',
  anyLength: true,
  parameters,
  state: (_spec, { numKvHeads, headDim }) => [
    { name: 'k', shape: ['B', numKvHeads, 'P', headDim] },
    { name: 'v', shape: ['B', numKvHeads, 'P', headDim] },
    { name: 'valid', shape: ['B', 'P'] },
  ],
  forward: (_spec, context, input) => forward(context, input, Number.POSITIVE_INFINITY),
  cached: {
    window: () => Number.POSITIVE_INFINITY,
    heads: (_spec, context, input) => heads(context, input),
    output,
  },
  fromAttention: (_spec, context, weights) => copyAttention(weights, context),
};

/** The state always has `window` places, the newest token last; `valid` says which of them hold a token. */
export const slidingWindow: Mixer<SlidingWindowSpec> = {
  kind: 'sliding_window',
  letter: 'W',
  anyLength: true,
  parameters,
  state: ({ window }, { numKvHeads, headDim }) => [
    { name: 'k', shape: ['B', numKvHeads, window, headDim] },
    { name: 'v', shape: ['B', numKvHeads, window, headDim] },
    { name: 'valid', shape: ['B', window] },
  ],
  forward: ({ window }, context, input) => {
    const { y, state } = forward(context, input, window);
    // At the start of a sequence the places before the first token are zeros.
    const newest = (x: Tensor) =>
      newestPlaces(input.state ? x : pad(x, 2, window, 0), window, trailing(input));
    const [B] = input.x.shape as [Dim];
    const valid = newest(reshape(state.valid!, [B, 1, state.valid!.shape[1]!, 1]));
    return { y, state: { k: newest(state.k!), v: newest(state.v!), valid: reshape(valid, [B, window]) } };
  },
  cached: {
    window: ({ window }) => window,
    heads: (_spec, context, input) => heads(context, input),
    output,
  },
  fromAttention: (_spec, context, weights) => copyAttention(weights, context),
};
