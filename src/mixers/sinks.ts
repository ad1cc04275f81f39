import {
  add,
  arange,
  cast,
  cumsum,
  type Dim,
  equal,
  fill,
  greater,
  greaterOrEqual,
  matmul,
  mul,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
} from '../graph/index.ts';
import type { MixerInput } from './mixer.ts';

/**
 * Attention sinks (Xiao et al. 2023, arXiv 2309.17453): the first tokens of a text, which stay visible when a window has
 * moved on. A model of full attention lets its heads look there when there is nothing else to look at, and falls apart
 * without. Positions stay those in the text.
 *
 * Sinks are kept apart from the tokens of the window, which hides its own copies of them: so no token counts twice, and
 * a sink is visible however far away it is.
 */
export interface Sinks {
  /** Of the first tokens [B, KV, s, d]; anything where there is none yet. */
  k: Tensor;
  v: Tensor;
  /** 1 where a query sees a sink [B, T, s]. */
  seen: Tensor;
  /** 1 for a token of the call that is neither padding nor a sink [B, T]. */
  others: Tensor;
  /** 1 for a sink that there is after the call [B, s]. */
  valid: Tensor;
}

/**
 * The first `count` tokens of every text, those of earlier calls and of this one.
 *
 * @param state whose places are filled from the first on, and begin with as many
 * @param own keys and values of the call's tokens [B, KV, T, d]
 */
export function sinksOf(
  { mask, state }: { [K in 'mask' | 'state']: MixerInput[K] | undefined },
  own: Record<'k' | 'v', Tensor>,
  count: number,
): Sinks {
  const [B, , T] = own.k.shape as [Dim, Dim, Dim];
  const tokens = mask ?? fill(1, [B, T]);
  // How many tokens a text has, up to each of this call's, without those that are no sinks.
  const taken = state && sum(slice(state.valid!, 1, 0, count), 1, true);
  const sofar = taken ? add(cumsum(tokens, 1), taken) : cumsum(tokens, 1);
  const places = arange(count, 'float32');
  const ordinals = sub(sofar, 1);
  // [B, s, T]: the token that a place gets in this call, if any; a text that has all its sinks gets no more.
  const among = (x: Tensor) => reshape(x, [B, 1, T]);
  const same = cast(equal(among(ordinals), reshape(places, [1, count, 1])), 'float32');
  const chosen = mul(same, among(tokens));
  const filled = (name: 'k' | 'v') => {
    const fresh = matmul(reshape(chosen, [B, 1, count, T]), own[name]);
    if (!state) return fresh;
    const kept = reshape(slice(state.valid!, 1, 0, count), [B, 1, count, 1]);
    return add(mul(slice(state[name]!, 2, 0, count), kept), fresh);
  };
  const column = (x: Tensor) => reshape(x, [B, T, 1]);
  const all = slice(sofar, 1, -1);
  return {
    k: filled('k'),
    v: filled('v'),
    seen: cast(greaterOrEqual(column(ordinals), reshape(places, [1, 1, count])), 'float32'),
    others: sub(tokens, sum(chosen, 1)),
    valid: cast(greater(all, reshape(places, [1, count])), 'float32'),
  };
}
