import {
  add,
  concat,
  cumsum,
  exp,
  fill,
  matmul,
  mul,
  pad,
  scan,
  slice,
  squeeze,
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
import type { Form } from './mixer.ts';

/**
 * The recurrence whose transition is diagonal plus low rank, in three forms of one signature (RWKV7; spec §2.6 and
 * §2.7 D):
 *
 *   S_t = e^(g_t) S_(t-1) + b_t (a_t^T S_(t-1)) + k_t v_t^T,   o_t = scale S_t^T q_t
 *
 * with g of a key channel. A delta rule whose keys for looking up, for correcting and for writing may differ; a_t
 * sees the state before it decays.
 */

export interface DiagonalPlusLowRank extends Recurrence {
  /** [B, H, T, K] */
  g: Tensor;
  /** Under which the state is looked up [B, H, T, K]. */
  a: Tensor;
  /** Under which what was found is added [B, H, T, K]. */
  b: Tensor;
}

/** Token by token: the definition, and with one token the decode step. */
export function dplrRecurrent(input: DiagonalPlusLowRank): RecurrenceResult {
  const { q, k, v, g, a, b, scale = 1 } = input;
  let state = input.state ?? zeroState(k, v);
  staticTokens(q);
  const [qs, ks, vs, gs, as, bs] = [steps(q), steps(k), steps(v), steps(g), steps(a), steps(b)];
  const o = qs.map((query, t) => {
    const found = matmul(as[t]!, state);
    const added = add(matmul(bs[t]!, found, { transA: true }), matmul(ks[t]!, vs[t]!, { transA: true }));
    state = add(mul(state, swapLast(exp(gs[t]!))), added);
    return matmul(query, state, { alpha: scale });
  });
  return { o: concat(o, 2), state };
}

/**
 * In chunks of at most `longest` tokens (a power of two). What the look-ups of a chunk find depends on each other
 * through a unit lower triangular system; solved for all chunks at once, it leaves the loop over chunks with two
 * products each.
 */
export function dplrChunk(input: DiagonalPlusLowRank, longest = 32): RecurrenceResult {
  const T = staticTokens(input.q);
  if (T === 1) return dplrRecurrent(input);
  const C = chunkLength(T, longest);
  const scale = input.scale ?? 1;
  // A look-up reads what the token before it has left, so that to the decays it belongs to that token.
  const next = pad(slice(input.a, 2, 1), 2, 0, 1);
  const path = decayPath(input.g, [input.q, next], [input.k, input.b]);
  const [q, a, k, b] = [...path.readers, ...path.writers].map((x) => toChunks(x, C)) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  const own = {
    q: toChunks(input.q, C),
    a: toChunks(next, C),
    k: toChunks(input.k, C),
    b: toChunks(input.b, C),
  };
  const v = toChunks(input.v, C);
  const g = toChunks(path.g!, C);
  const decay = chunkDecay(g, C);
  /** Scores of a, each with those of its own token again: one row further down, and none in the first. */
  const lookups = (columns: Tensor, ownColumns: Tensor, alpha: number) =>
    pad(slice(decay.scores(a, columns, alpha, [own.a, ownColumns]), 3, 0, C - 1), 3, 1, 0);
  // Of the state that enters the chunk the look-ups find what has not decayed by their own token.
  const lookup = toChunks(concat([slice(input.a, 2, 0, 1), slice(path.readers[1]!, 2, 0, T - 1)], 2), C);
  const entered = mul(lookup, exp(cumsum(g, 3, { exclusive: true })));

  const inverse = unitLowerInverse(lookups(b, own.b, -1));
  const foundInChunk = steps(matmul(inverse, matmul(lookups(k, own.k, 1), v)));
  const reads = steps(matmul(inverse, entered));
  const written = steps(matmul(decay.toEnd(k), v, { transA: true }));
  const corrects = steps(decay.toEnd(b));
  const wholes = steps(decay.whole!);
  let state: Tensor | null = input.state ? unsqueeze(input.state, 2) : null;
  const entering: Tensor[] = [];
  const found: Tensor[] = [];
  for (const [n, inChunk] of foundInChunk.entries()) {
    const all = state ? add(inChunk, matmul(reads[n]!, state)) : inChunk;
    const added = add(written[n]!, matmul(corrects[n]!, all, { transA: true }));
    entering.push(state ?? fill(0, added.shape, added.dtype));
    found.push(all);
    state = state ? add(mul(state, wholes[n]!), added) : added;
  }

  let o = add(
    matmul(decay.scores(q, k, scale, [own.q, own.k]), v),
    matmul(decay.scores(q, b, scale, [own.q, own.b]), concat(found, 2)),
  );
  if (input.state || found.length > 1) {
    o = add(o, matmul(decay.fromStart(q), concat(entering, 2), { alpha: scale }));
  }
  return { o: fromChunks(o, T), state: path.last(squeeze(state!, 2)) };
}

/** Token by token in a loop of the graph's own: for a number of tokens that is known only when it runs. */
function dplrLoop(input: DiagonalPlusLowRank): RecurrenceResult {
  const { q, k, v, g, a, b, state, scale } = input;
  if (!state) throw new Error('the loop of a recurrence needs a state');
  const { state: last, outputs } = scan(state, [q, k, v, g, a, b], 2, (state, rows) => {
    const [q, k, v, g, a, b] = rows.map((row) => unsqueeze(row, 2)) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const step = dplrRecurrent({ q, k, v, g, a, b, state, scale });
    return { state: step.state, output: squeeze(step.o, 2) };
  });
  return { o: outputs, state: last };
}

/** The forms by name. */
export const DPLR: Readonly<Record<Form, (input: DiagonalPlusLowRank) => RecurrenceResult>> = {
  recurrent: dplrRecurrent,
  chunk: dplrChunk,
  fused: dplrLoop,
};
