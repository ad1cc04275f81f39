import {
  add,
  addDims,
  arange,
  concat,
  type Dim,
  div,
  exp,
  input,
  matmul,
  max,
  maximum,
  mulDims,
  reshape,
  slice,
  sub,
  sum,
  swapLast,
  type Tensor,
  transpose,
} from '../../graph/index.ts';
import { attendWithin, placesOf } from '../../mixers/attention.ts';
import { attendByGroup } from '../../mixers/head-attention.ts';
import type { LinearPart } from '../../mixers/mixer.ts';
import { linearPart, mixerOf } from '../../mixers/registry.ts';
import type { ModelConfig } from '../../model/config.ts';
import { type Layer, recordLayers, type Stream, weightInputs } from '../../model/decoder.ts';
import { type Heads, mixByParts } from '../../model/mix-by-parts.ts';
import { modelParameters } from '../../model/parameters.ts';
import { AngleInputs, type Rotation } from '../angle-tables.ts';
import { attend } from '../kv/online-softmax.ts';
import { exact, type Source, sideBySide } from '../kv/source.ts';
import { formOf, linearOf } from '../linear-part.ts';
import { cachedGroups, type FixedState } from '../sequence-parts.ts';

/**
 * The whole decoder in one program, for a device, where starting a run costs more than on the host and a value, once
 * computed, cannot be written to. What attention layers remember is in two parts: the past, which runs only read, and
 * the tail of the newest tokens, which each run gives anew; now and then the tail goes over into the past (rows.ts).
 */

/** Places of the past come in so many, some of them hidden: kernels are fastest on multiples. */
export const BLOCK = 128;

/** Bytes of the keys of so many tokens in the layer that has most of them. */
export function keyBytes(config: ModelConfig, tokens: number): number {
  return 4 * Math.max(0, ...growingLayers(config).values()) * config.headDim * tokens;
}

/** Parts of the state of a size that no number of tokens changes: of linear mixers, and windows with the places they have. */
export function deviceState(config: ModelConfig): FixedState[] {
  return config.layers.flatMap((spec, layer) => {
    const mixer = mixerOf(spec);
    const windows = (mixer.cached?.reach(spec, config) ?? []).filter(({ window }) => Number.isFinite(window));
    const ofWindows = windows.flatMap(({ heads, window, sinks }) => {
      const keys = [heads.length, sinks + window, config.headDim];
      return [
        { name: 'window_k', shape: keys },
        { name: 'window_v', shape: keys },
        { name: 'window_valid', shape: [sinks + window] },
      ];
    });
    const linear = linearPart(mixer)?.state(spec, config) ?? [];
    return [
      ...ofWindows,
      ...linear.map(({ name, shape }) => ({ name, shape: shape.slice(1) as number[] })),
    ].map(({ name, shape }) => ({ name: `${layer}.${name}`, shape, layer }));
  });
}

/** Of layers that keep the keys and values of all tokens: how many heads do. */
export function growingLayers(config: ModelConfig): Map<number, number> {
  const growing = cachedGroups(config).filter(({ window }) => window === Number.POSITIVE_INFINITY);
  return new Map(growing.map(({ layer, heads }) => [layer, heads.length]));
}

export interface RecordedDecoder {
  /**
   * `last` [B, 1, D], hidden states of the last token; `x` [B, T, D], those of all, in pieces; and what is
   * remembered, by the names of the inputs.
   */
  outputs: Record<string, Tensor>;
  /** Inputs for the weights. */
  weights: Record<string, Tensor>;
  /** Tables of angles that it takes. */
  rotated: Rotation[];
}

/**
 * Inputs: `x` [B, T, D]; tables of angles `cos.{width}` and `sin.{width}` [B * T, width / 2]; the state by its names; of
 * growing layers `{layer}.pastK` [B, KV, d, P], `.pastV` [B, KV, P, d] with P = N BLOCK, `.tailK` [B, KV, d, R], `.tailV`
 * [B, KV, R, d], of the KV heads that see all; and what is added to scores, `hidden` [B, N, BLOCK] for the past and `bias` [B, T, R + T] for the rest.
 *
 * @param form a step, one token of each of B sequences; or a piece, T tokens of one
 * @param padTo tokens of a piece are padded to so many where a mixer has no fused form
 */
export function recordDecoder(config: ModelConfig, form: 'step' | 'piece', padTo: number): RecordedDecoder {
  const [B, T]: [Dim, Dim] = form === 'step' ? ['B', 1] : [1, 'T'];
  const weights = weightInputs(modelParameters(config));
  const angles = new AngleInputs(mulDims(B, T));
  const positions = reshape(arange(mulDims(B, T)), [B, T]);
  const growing = growingLayers(config);
  const fixed = deviceState(config);
  const hiding =
    growing.size > 0
      ? {
          hidden: input('hidden', 'float32', [B, 'N', BLOCK]),
          bias: input('bias', 'float32', [B, T, addDims('R', T)]),
        }
      : null;
  const outputs: Record<string, Tensor> = {};
  const stream: Stream = { x: input('x', 'float32', [B, T, config.hiddenSize]) };
  const stateOf = (index: number) =>
    Object.fromEntries(
      fixed
        .filter(({ layer }) => layer === index)
        .map(({ name, shape }) => [name.slice(`${index}.`.length), input(name, 'float32', [B, ...shape])]),
    );
  const remember = (index: number, state: Record<string, Tensor>, prefix = '') => {
    for (const [name, tensor] of Object.entries(state)) outputs[`${index}.${prefix}${name}`] = tensor;
  };
  const attend = (heads: Heads, { index, spec }: Layer) => {
    const state = stateOf(index);
    return attendByGroup(heads, mixerOf(spec).cached!.reach(spec, config), config, (own, group) => {
      if (group.window === Number.POSITIVE_INFINITY) {
        const { attended, ...tail } = attendToAll(`${index}`, own, hiding!);
        remember(index, tail);
        return attended;
      }
      const { attended, state: after } = attendWithin({}, own, placesOf({ state }, 'window_'), group);
      remember(index, after, 'window_');
      return attended;
    });
  };
  const linear = (part: LinearPart, layer: Layer) => {
    const { index, spec } = layer;
    const { firstValues } = stream;
    const options = { form: formOf(spec, form === 'piece'), positions, angles: angles.of, firstValues };
    const made = linearOf(config, part, layer, { ...options, state: stateOf(index) }, padTo);
    remember(index, made.state);
    return made;
  };
  recordLayers(config, stream, weights, mixByParts(config, { positions, angles: angles.of, attend, linear }));
  const { x } = stream;
  outputs.last = T === 1 ? x : slice(x, 1, -1);
  if (form === 'piece') outputs.x = x;
  return { outputs, weights, rotated: angles.rotations };
}

/** Softmax attention over past, tail and the tokens at hand; each key is read once for its group of query heads. */
function attendToAll(
  name: string,
  { q, k, v }: Record<'q' | 'k' | 'v', Tensor>,
  { hidden, bias }: Record<'hidden' | 'bias', Tensor>,
): Record<'attended' | 'tailK' | 'tailV', Tensor> {
  const [B, H, T, d] = q.shape as [Dim, number, Dim, number];
  const KV = k.shape[1] as number;
  const P = mulDims(BLOCK, 'N');
  const kept = (part: string, shape: readonly Dim[]) =>
    input(`${name}.${part}`, 'float32', [B, KV, ...shape]);
  const tailK = concat([kept('tailK', [d, 'R']), swapLast(k)], 3);
  const tailV = concat([kept('tailV', ['R', d]), v], 2);
  const queries = reshape(q, [B, KV, mulDims(H / KV, T), d]);
  // Keys lie along the last axis: transposing them for the product would be a copy of all of them.
  const options = { scale: d ** -0.5, transposed: true };
  const pastV = kept('pastV', [P, d]);
  const past = exact(kept('pastK', [d, P]), pastV, { ...options, mask: reshape(hidden, [B, 1, 1, P]) });
  const mask = reshape(bias, [B, 1, 1, T, addDims('R', T)]);
  const tail = exact(tailK, tailV, { ...options, mask, heads: H / KV });
  const attended =
    T === 1 ? attendByBlock(queries, past, pastV, tail) : attend(queries, [sideBySide(past, tail)]);
  return { attended: reshape(attended, q.shape), tailK, tailV };
}

/**
 * The rows of a step are few and long, and a kernel gives a row to a group of threads: all that goes over the past is cut into
 * blocks, so that the whole device has something to do. softmax is spelt out, since past and tail together are no multiple
 * of anything, for which kernels are slow.
 */
function attendByBlock(q: Tensor, past: Source, pastV: Tensor, tail: Source): Tensor {
  const [B, KV, rows, d] = q.shape as [Dim, number, Dim, number];
  const [early, late] = [past.score(q), tail.score(q)];
  const blocks = (x: Tensor) => reshape(x, [B, KV, rows, 'N', BLOCK]);
  const largest = maximum(max(max(blocks(early), -1, false), -1, true), max(late, -1, true));
  const [before, after] = [exp(sub(early, largest)), exp(sub(late, largest))];
  const total = add(sum(sum(blocks(before), -1, false), -1, true), sum(after, -1, true));
  const parts = matmul(transpose(blocks(before), [0, 1, 3, 2, 4]), reshape(pastV, [B, KV, 'N', BLOCK, d]));
  return div(add(sum(parts, 2), tail.weigh(after)), total);
}
