import {
  add,
  concat,
  constant,
  cumsum,
  type Dim,
  exp,
  fill,
  matmul,
  mul,
  pad,
  reshape,
  slice,
  split,
  sum,
  swapLast,
  type Tensor,
} from '../graph/index.ts';

/**
 * What the chunked forms of the linear recurrences share: cutting tokens into chunks, and decays within a chunk
 * without overflow (spec §2.7). Letters: B batch, H heads, T tokens, N chunks, C tokens of a chunk, K key width,
 * V value width.
 */

/** A recurrence over tokens, one per head, whose state is a matrix [K, V]. */
export interface Recurrence {
  /** [B, H, T, K]; T static. */
  q: Tensor;
  /** [B, H, T, K] */
  k: Tensor;
  /** [B, H, T, V] */
  v: Tensor;
  /**
   * Logarithm of the decay, at most 0: of a head [B, H, T, 1] ([1, H, T, 1] where all sequences share it) or of a
   * key channel [B, H, T, K]. Absent: none.
   */
  g?: Tensor | undefined;
  /** State before the first token [B, H, K, V]; absent: zeros. */
  state?: Tensor | undefined;
  /** Factor of the queries. */
  scale?: number;
}

export interface RecurrenceResult {
  /** [B, H, T, V] */
  o: Tensor;
  /** State after the last token [B, H, K, V]. */
  state: Tensor;
}

/** T of x [B, H, T, W]. Throws where it is symbolic, for loops over tokens are unrolled. */
export function staticTokens(x: Tensor): number {
  const T = x.shape[2]!;
  if (typeof T !== 'number') throw new Error(`linear recurrences need a static number of tokens, not ${T}`);
  return T;
}

/** State of zeros [B, H, K, V]. */
export function zeroState(k: Tensor, v: Tensor): Tensor {
  const [B, H, , K] = k.shape as [Dim, Dim, Dim, Dim];
  return fill(0, [B, H, K, v.shape[3]!], k.dtype);
}

/** The pieces of one step each along the third axis: tokens of [B, H, T, W], chunks of [B, H, N, ...]. */
export function steps(x: Tensor): Tensor[] {
  return split(x, 2, new Array<number>(x.shape[2] as number).fill(1));
}

/** Tokens of a chunk: a power of two, no longer than `longest` and no longer than T needs. */
export function chunkLength(T: number, longest: number): number {
  return Math.min(longest, 2 ** Math.ceil(Math.log2(T)));
}

/** [B, H, T, W] -> [B, H, N, C, W], zeros at the end: they neither decay nor change the state. */
export function toChunks(x: Tensor, C: number): Tensor {
  const [B, H, T, W] = x.shape as [Dim, Dim, number, Dim];
  const N = Math.ceil(T / C);
  return reshape(pad(x, 2, 0, N * C - T), [B, H, N, C, W]);
}

/** The first T tokens of [B, H, N, C, W]: [B, H, T, W]. */
export function fromChunks(x: Tensor, T: number): Tensor {
  const [B, H, N, C, W] = x.shape as [Dim, Dim, number, number, Dim];
  return slice(reshape(x, [B, H, N * C, W]), 2, 0, T);
}

/** Decays within chunks, for the three kinds of g. All exponents are at most 0. */
export interface ChunkDecay {
  /**
   * Row i, column j <= i: `alpha` times the sum over key channels of a_i b_j times the decay from j to i; else 0.
   * `own` are the same rows for the diagonal, where nothing decays, if they are other tensors.
   */
  scores(a: Tensor, b: Tensor, alpha?: number, own?: readonly [Tensor, Tensor]): Tensor;
  /** Rows times the decay from before the chunk. [B, H, N, C, K] */
  fromStart(rows: Tensor): Tensor;
  /** Rows times the decay up to the end of the chunk. [B, H, N, C, K] */
  toEnd(rows: Tensor): Tensor;
  /** Decay over a whole chunk, for a state [B, H, 1, K, V]: [B, H, N, K or 1, 1]; absent without decay. */
  whole?: Tensor;
}

/** @param g in chunks [B, H, N, C, 1 or K]; undefined for none */
export function chunkDecay(g: Tensor | undefined, C: number): ChunkDecay {
  if (!g) {
    const seen = square(C, (i, j) => (i >= j ? 1 : 0));
    return {
      scores: (a, b, alpha = 1) => mul(matmul(a, b, { transB: true, alpha }), seen),
      fromStart: (rows) => rows,
      toEnd: (rows) => rows,
    };
  }
  const fromStart = exp(cumsum(g, 3));
  const toEnd = exp(cumsum(g, 3, { reverse: true, exclusive: true }));
  const rest = {
    fromStart: (rows: Tensor) => mul(rows, fromStart),
    toEnd: (rows: Tensor) => mul(rows, toEnd),
    whole: swapLast(slice(fromStart, 3, -1)),
  };
  if (g.shape[4] !== 1) {
    const channels = channelScores(g);
    return {
      ...rest,
      scores: (a, b, alpha = 1, own = [a, b]) => {
        const scores = channels(a, b, own);
        return alpha === 1 ? scores : mul(scores, alpha);
      },
    };
  }
  // Row i, column j: the sum of g after j up to i. Not as a difference of running sums, whose rounding error
  // grows with the sums; hidden above the diagonal before the exponential.
  const between = cumsum(
    mul(
      g,
      square(C, (l, j) => (l > j ? 1 : 0)),
    ),
    3,
  );
  const decay = exp(
    add(
      between,
      square(C, (i, j) => (i >= j ? 0 : -1e30)),
    ),
  );
  return { ...rest, scores: (a, b, alpha = 1) => mul(matmul(a, b, { transB: true, alpha }), decay) };
}

/** [C, C] constant. */
function square(C: number, value: (row: number, column: number) => number): Tensor {
  return constant(
    Array.from({ length: C * C }, (_, n) => value(Math.floor(n / C), n % C)),
    [C, C],
  );
}

/**
 * Scores under a decay per key channel: row i, column j <= i is the sum over channels of a_i b_j e^(G_i - G_j), G
 * the running sum of g. As e^(-G_j) alone overflows, the matrix is put together from blocks: for rows in the
 * second half of a block and columns in its first half, both are decayed to the boundary between the halves,
 * which takes no positive exponent, and multiplied; then the same for the halves, down to the diagonal. What rows
 * and columns decay to at each size of block is recorded once for all scores.
 */
function channelScores(g: Tensor): (a: Tensor, b: Tensor, own: readonly [Tensor, Tensor]) => Tensor {
  const [B, H, N, C, K] = g.shape as [Dim, Dim, number, number, number];
  const sizes = Array.from({ length: Math.log2(C) }, (_, level) => 2 ** level);
  const levels = sizes.map((half) => {
    const count = (N * C) / (2 * half);
    const halves = (x: Tensor, width: number) =>
      split(reshape(x, [B, H, count, 2 * half, width]), 3, [half, half]) as [Tensor, Tensor];
    const [gFirst, gSecond] = halves(g, K);
    const fromMiddle = exp(cumsum(gSecond, 3));
    const toMiddle = exp(cumsum(gFirst, 3, { reverse: true, exclusive: true }));
    return {
      half,
      halves,
      rows: remembered((a) => mul(halves(a, K)[1], fromMiddle)),
      columns: remembered((b) => mul(halves(b, K)[0], toMiddle)),
    };
  });
  return (a, b, own) => {
    let blocks = reshape(sum(mul(own[0], own[1]), -1), [B, H, N * C, 1, 1]);
    for (const { half, halves, rows, columns } of levels) {
      const corner = matmul(rows(a), columns(b), { transB: true });
      const [first, second] = halves(blocks, half);
      blocks = concat([pad(first, -1, 0, half), concat([corner, second], 4)], 3);
    }
    return reshape(blocks, [B, H, N, C, C]);
  };
}

/** A function that records each of its results once. */
function remembered(f: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  const known = new Map<Tensor, Tensor>();
  return (x) => {
    const y = known.get(x) ?? f(x);
    known.set(x, y);
    return y;
  };
}
