import {
  add,
  concat,
  exp,
  fill,
  matmul,
  mul,
  squeeze,
  sub,
  swapLast,
  type Tensor,
  unitLowerInverse,
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
 * The delta rule with decay, in two forms of one signature (spec §1.9 and §2.7 C):
 *
 *   S' = e^(g_t) S_(t-1),   S_t = S' + k_t (beta_t (v_t - S'^T k_t))^T,   o_t = scale S_t^T q_t
 *
 * with g absent (DeltaNet), of a head (Gated DeltaNet, JetBlock) or of a key channel (Kimi Delta Attention). Keys
 * must not be longer than 1 where beta is up to 1, or the rule itself blows up.
 */

export interface DeltaRule extends Recurrence {
  /** Strength of the correction [B, H, T, 1]. */
  beta: Tensor;
}

/** Token by token: the definition, and with one token the decode step. */
export function deltaRuleRecurrent(input: DeltaRule): RecurrenceResult {
  const { q, k, v, g, beta, scale = 1 } = input;
  let state = input.state ?? zeroState(k, v);
  staticTokens(q);
  const [qs, ks, vs, gs, betas] = [steps(q), steps(k), steps(v), g && steps(g), steps(beta)];
  const o = qs.map((query, t) => {
    if (gs) state = mul(state, swapLast(exp(gs[t]!)));
    const missing = sub(vs[t]!, matmul(ks[t]!, state));
    state = add(state, matmul(ks[t]!, mul(missing, betas[t]!), { transA: true }));
    return matmul(query, state, { alpha: scale });
  });
  return { o: concat(o, 2), state };
}

/**
 * In chunks of at most `longest` tokens (a power of two). Within a chunk the corrections depend on each other
 * through a unit lower triangular system, whose inverse does not depend on the state: it is computed for all
 * chunks at once, and the loop over chunks is left with three products each.
 */
export function deltaRuleChunk(input: DeltaRule, longest = 32): RecurrenceResult {
  const T = staticTokens(input.q);
  const C = chunkLength(T, longest);
  // A key looks up what the state holds under it, and writes.
  const path = decayPath(input.g, [input.q, input.k], [input.k]);
  const rows = [...path.readers, ...path.writers].map((x) => toChunks(x, C));
  const [q, lookup, k] = rows as [Tensor, Tensor, Tensor];
  const [v, beta] = [toChunks(input.v, C), toChunks(input.beta, C)];
  const decay = chunkDecay(path.g && toChunks(path.g, C), C);
  const own = [toChunks(input.q, C), toChunks(input.k, C)] as const;
  const scale = input.scale ?? 1;

  const inverse = unitLowerInverse(mul(decay.scores(lookup, k), beta));
  const solves = steps(mul(inverse, swapLast(beta)));
  const reads = steps(decay.fromStart(lookup));
  const writes = steps(decay.toEnd(k));
  const wholes = decay.whole && steps(decay.whole);
  const values = steps(v);
  let state: Tensor | null = input.state ? unsqueeze(input.state, 2) : null;
  const entering: Tensor[] = [];
  const corrections: Tensor[] = [];
  for (const [n, value] of values.entries()) {
    const missing = state ? sub(value, matmul(reads[n]!, state)) : value;
    const correction = matmul(solves[n]!, missing);
    const added = matmul(writes[n]!, correction, { transA: true });
    entering.push(state ?? fill(0, added.shape, added.dtype));
    corrections.push(correction);
    state = state ? add(wholes ? mul(state, wholes[n]!) : state, added) : added;
  }

  let o = matmul(decay.scores(q, k, scale, own), concat(corrections, 2));
  if (input.state || values.length > 1) {
    o = add(o, matmul(decay.fromStart(q), concat(entering, 2), { alpha: scale }));
  }
  return { o: fromChunks(o, T), state: path.last(squeeze(state!, 2)) };
}

/** The forms by name. */
export const DELTA_RULE: Readonly<Record<Form, (input: DeltaRule) => RecurrenceResult>> = {
  recurrent: deltaRuleRecurrent,
  chunk: deltaRuleChunk,
  fused: fusedRecurrence,
};
