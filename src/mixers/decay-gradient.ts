import { add, cumsum, expand, mul, reshape, stopGradient, sub, sum, type Tensor } from '../graph/index.ts';
import { type Op, recordMany } from '../graph/tensor.ts';

/**
 * Gradients of log decays per key channel without differentiating the decays, which in chunks are many. In a
 * linear recurrence the logarithm G_i of the decay since the start enters only as reader_i e^(G_i - G_j) writer_j,
 * where queries (and a delta rule's look-ups) read and keys write. So dG = reader * d reader at a reader and
 * -writer * d writer at a writer, channel by channel, and dg is the sum of dG from its token on. The state after
 * the last token is a reader of its own: dG_T = sum over V of S * dS.
 *
 * What a token reads of its own writing does not decay. It must not go through these copies: its two gradients
 * cancel, but for rounding errors that would drown the gradient of a strong decay.
 */

const rowsOp: Op<{ readers: number }> = {
  name: 'decayOfRows',
  emit: (_emitter, [, ...rows]) => rows,
  vjp: ({ inputs: [, ...rows], attributes: { readers } }, gradients) => {
    const part = (from: number, to: number) =>
      rows
        .map((row, i) => (i >= from && i < to && gradients[i] ? mul(row, gradients[i]) : null))
        .filter((x) => x !== null)
        .reduce<Tensor | null>((a, b) => (a ? add(a, b) : b), null);
    const [read, written] = [part(0, readers), part(readers, rows.length)];
    // A single token reads nothing but a state, and writes nothing but the next.
    const dG = read && written ? sub(read, written) : (read ?? (written && mul(written, -1)));
    return [dG && cumsum(dG, 2, { reverse: true }), ...gradients];
  },
  evaluate: ([, ...rows]) => rows,
};

const stateOp: Op = {
  name: 'decayOfState',
  emit: (_emitter, [, state]) => [state!],
  vjp: ({ inputs: [g, state] }, [dState]) => {
    const dG = sum(mul(state!, dState!), 3);
    const [B, H, K] = dG.shape;
    return [expand(reshape(dG, [B!, H!, 1, K!]), g!.shape), dState!];
  },
  evaluate: ([, state]) => [state!],
};

/** What a chunk form takes instead of its inputs. All are copies. */
export interface DecayPath {
  /** Log decays, to be taken as constant where `readers` and `writers` are used. */
  g: Tensor | undefined;
  readers: Tensor[];
  writers: Tensor[];
  /** To be applied to the state after the last token. */
  last(state: Tensor): Tensor;
}

/**
 * @param g log decays; what is said above is done for those of key channels [B, H, T, K], others are left to be
 *   differentiated
 * @param readers rows [B, H, T, K] that read the state
 * @param writers rows [B, H, T, K] under which is written
 */
export function decayPath(
  g: Tensor | undefined,
  readers: readonly Tensor[],
  writers: readonly Tensor[],
): DecayPath {
  const rows = [...readers, ...writers];
  if (!g || g.shape[3] === 1) {
    return { g, readers: [...readers], writers: [...writers], last: (state) => state };
  }
  const copies = recordMany(
    rowsOp,
    [g, ...rows],
    { readers: readers.length },
    rows.map(({ dtype, shape }) => ({ dtype, shape })),
  );
  return {
    g: stopGradient(g),
    readers: copies.slice(0, readers.length),
    writers: copies.slice(readers.length),
    last: (state) => recordMany(stateOp, [g, state], {}, [{ dtype: state.dtype, shape: state.shape }])[0]!,
  };
}
