import {
  add,
  concat,
  exp,
  fill,
  matmul,
  mul,
  squeeze,
  swapLast,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import {
  chunkDecay,
  chunkLength,
  fromChunks,
  type Recurrence,
  type RecurrenceResult,
  staticTokens,
  steps,
  toChunks,
  zeroState,
} from './chunks.ts';
import { decayPath } from './decay-gradient.ts';
import { fusedRecurrence } from './fused.ts';
import type { Form } from './mixer.ts';

/**
 * Linear attention with decay, in two forms of one signature (spec §2.7 A and B):
 *
 *   S_t = e^(g_t) S_(t-1) + k_t v_t^T,   o_t = scale S_t^T q_t
 *
 * with g absent (plain linear attention), of a head (RetNet, Mamba2) or of a key channel (GLA).
 */

/** Token by token: the definition, and with one token the decode step. */
export function linearAttentionRecurrent(input: Recurrence): RecurrenceResult {
  const { q, k, v, g, scale = 1 } = input;
  let state = input.state ?? zeroState(k, v);
  staticTokens(q);
  const [qs, ks, vs, gs] = [steps(q), steps(k), steps(v), g && steps(g)];
  const o = qs.map((query, t) => {
    if (gs) state = mul(state, swapLast(exp(gs[t]!)));
    state = add(state, matmul(ks[t]!, vs[t]!, { transA: true }));
    return matmul(query, state, { alpha: scale });
  });
  return { o: concat(o, 2), state };
}

/** In chunks of at most `longest` tokens (a power of two): matrix products over all chunks, and a loop over states. */
export function linearAttentionChunk(input: Recurrence, longest = 64): RecurrenceResult {
  const T = staticTokens(input.q);
  const C = chunkLength(T, longest);
  const path = decayPath(input.g, [input.q], [input.k]);
  const [q, k, v] = [...path.readers, ...path.writers, input.v].map((x) => toChunks(x, C)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const decay = chunkDecay(path.g && toChunks(path.g, C), C);
  const own = [toChunks(input.q, C), toChunks(input.k, C)] as const;
  const scale = input.scale ?? 1;

  // What each chunk adds to the state, and the state that enters each chunk.
  const added = steps(matmul(decay.toEnd(k), v, { transA: true }));
  const wholes = decay.whole && steps(decay.whole);
  let state: Tensor | null = input.state ? unsqueeze(input.state, 2) : null;
  const entering: Tensor[] = [];
  for (const [n, more] of added.entries()) {
    entering.push(state ?? fill(0, more.shape, more.dtype));
    state = state ? add(wholes ? mul(state, wholes[n]!) : state, more) : more;
  }

  let o = matmul(decay.scores(q, k, scale, own), v);
  if (input.state || added.length > 1) {
    o = add(o, matmul(decay.fromStart(q), concat(entering, 2), { alpha: scale }));
  }
  return { o: fromChunks(o, T), state: path.last(squeeze(state!, 2)) };
}

/** The forms by name. */
export const LINEAR_ATTENTION: Readonly<Record<Form, (input: Recurrence) => RecurrenceResult>> = {
  recurrent: linearAttentionRecurrent,
  chunk: linearAttentionChunk,
  fused: fusedRecurrence,
};
