import {
  add,
  concat,
  div,
  exp,
  input,
  matmul,
  max,
  mul,
  reciprocal,
  reshape,
  softmax,
  squeeze,
  sub,
  sum,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import { attendBeside } from './block-attention.ts';
import { PART } from './kv-blocks.ts';
import { packedParts } from './packed-attention.ts';

/** The programs of cached-attention.ts for one query of each head. */

/** Query heads, key heads, width of a head. */
export interface HeadShape {
  H: number;
  KV: number;
  d: number;
}

/** The largest score of some keys, the sum of the exponentials relative to it, and what is made of the values. */
export type Sums = Record<'m' | 'l' | 'o', Tensor>;

/**
 * Of the values it makes their softmax, which takes a score in one pass over memory where exp and sum take three. Its
 * largest weight is e^0 / l.
 */
export function sumsOf(scores: Tensor, weigh: (weights: Tensor) => Tensor): Sums {
  const weights = softmax(scores);
  return { m: max(scores, -1, true), l: reciprocal(max(weights, -1, true)), o: weigh(weights) };
}

/** With sums of earlier blocks; of each block whether it is packed and whether it hides keys; with the division. */
export interface BlocksKind {
  carries: boolean;
  blocks: readonly { packed: boolean; hides: boolean }[];
  ends: boolean;
}

/** One query over the one block that there is, the newest token beside it. */
export function overBlock({ H, KV, d }: HeadShape): Record<string, Tensor> {
  const G = H / KV;
  const block = (name: string) => input(name, 'float32', [KV, 1, 'C', d]);
  const own = (name: string) => input(name, 'float32', [KV, 1, 1, d]);
  const attended = attendBeside({
    q: reshape(input('q', 'float32', [KV, G, d]), [KV, G, 1, d]),
    k: block('k0'),
    v: block('v0'),
    ownK: own('ownK'),
    ownV: own('ownV'),
    hidden: input('bias0', 'float32', [1, 'C']),
  });
  return { o: reshape(attended, [KV, G, d]) };
}

/** Query heads of a key head up to which a product for each of them, which copies no keys, is faster than one for all. */
const FEW = 3;

/** Sums over several sets of keys, which lie along an axis, as over one. */
function together(sets: readonly Sums[], axis: number): Sums {
  const all = (name: keyof Sums) =>
    concat(
      sets.map((sums) => sums[name]),
      axis,
    );
  const largest = all('m');
  const m = max(largest, axis, true);
  const shares = mul(all('l'), exp(sub(largest, m)));
  const l = sum(shares, axis, true);
  return { m, l, o: div(sum(mul(all('o'), shares), axis, true), l) };
}

/**
 * One query of each head over several blocks, in parts of their own softmax. Earlier blocks count as one part more, of
 * which the result is carried. Queries of exact blocks come multiplied by d^-0.5, those of packed ones as
 * packed-attention.ts says.
 */
export function overBlocks(
  shape: HeadShape,
  { carries, blocks, ends }: BlocksKind,
  base: number,
): Record<string, Tensor> {
  const { H, KV, d } = shape;
  const G = H / KV;
  const [ofExact, ofPacked] = [exactParts(shape), packedParts(shape, base)];
  const parts = blocks.map(({ packed, hides }, n) => ({
    packed,
    sums: (packed ? ofPacked : ofExact)(n, hides),
  }));
  const sums = parts.filter(({ packed }) => !packed).map(({ sums }) => sums);
  const packed = parts.filter(({ packed }) => packed).map(({ sums }) => sums);
  // Their parts are the first axis.
  if (packed.length > 0) {
    const { m, l, o } = together(packed, 0);
    sums.push({
      m: unsqueeze(squeeze(m, 0), 1),
      l: unsqueeze(squeeze(l, 0), 1),
      o: unsqueeze(squeeze(o, 0), 1),
    });
  }
  if (carries) {
    const of = (name: string, width: number) => input(name, 'float32', [KV, 1, G, width]);
    sums.push({ m: of('m', 1), l: of('l', 1), o: of('o', d) });
  }
  const { m, l, o } = together(sums, 1);
  return ends ? { o: reshape(o, [KV, G, d]) } : { m, l, o };
}

/**
 * Sums of each part of an exact block, `k{n}` and `v{n}` [KV, N, PART, d]: matrix by vector for each part and head, which
 * copies no keys and finds a part in the cache of the processor for all heads of a group.
 */
function exactParts({ H, KV, d }: HeadShape): (n: number, hides: boolean) => Sums {
  const G = H / KV;
  const q = input('q', 'float32', [KV, G, d]);
  /** [KV, N, G, K] by [KV, N, K, L], or for the transpose of the latter. */
  const product = (rows: Tensor, block: Tensor, transB = false) => {
    if (G > FEW) return matmul(rows, block, { transB });
    return squeeze(matmul(unsqueeze(rows, 3), unsqueeze(block, 2), { transB }), 3);
  };
  return (n, hides) => {
    const of = (name: string) => input(`${name}${n}`, 'float32', [KV, `N${n}`, PART, d]);
    let scores = product(unsqueeze(q, 1), of('k'), true);
    if (hides) scores = add(scores, input(`bias${n}`, 'float32', [`N${n}`, 1, PART]));
    return sumsOf(scores, (weights) => product(weights, of('v')));
  };
}
