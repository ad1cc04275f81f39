import { add, input, matmul, reshape, squeeze, type Tensor, unsqueeze } from '../../graph/index.ts';
import { attendBeside } from './block-attention.ts';
import { PART } from './blocks.ts';
import type { HeadShape } from './heads.ts';
import type { PackedKeys } from './packed-attention.ts';
import { sumsOf, together } from './sums.ts';

/** The programs of cached-attention.ts for one query of each head, which comes multiplied by d^-0.5. */

/**
 * One query over the one exact block that there is, the newest token beside it, and over what is packed before, of which
 * some keys are hidden or not.
 */
export function overBlock(
  { H, KV, d }: HeadShape,
  packed: readonly Pick<PackedKeys, 'hides' | 'bytes'>[],
): Record<string, Tensor> {
  const G = H / KV;
  const block = (name: string) => input(name, 'float32', [KV, 1, 'C', d]);
  const own = (name: string) => input(name, 'float32', [KV, 1, 1, d]);
  const attended = attendBeside({
    q: reshape(input('q', 'float32', [KV, G, d]), [KV, G, 1, d]),
    k: block('k'),
    v: block('v'),
    ownK: own('ownK'),
    ownV: own('ownV'),
    hidden: input('bias', 'float32', [1, 'C']),
    packed: packed.map((keys, n) => ({ ...keys, name: `${n}.`, parts: `N${n}` })),
  });
  return { o: reshape(attended, [KV, G, d]) };
}

/** With sums of earlier blocks, whether it hides keys of each block, with the division. */
export interface PartsKind {
  carries: boolean;
  hides: readonly boolean[];
  ends: boolean;
}

/** Query heads of a key head up to which a product for each of them, which copies no keys, is faster than one for all. */
const FEW = 3;

/**
 * One query of each head over several blocks, in parts of their own softmax: matrix by vector for each part and head,
 * which copies no keys and finds a part in the cache of the processor for all heads of a group. Earlier blocks count as one
 * part more, of which the result is carried.
 */
export function overParts(
  { H, KV, d }: HeadShape,
  { carries, hides, ends }: PartsKind,
): Record<string, Tensor> {
  const G = H / KV;
  const q = input('q', 'float32', [KV, G, d]);
  /** [KV, N, G, K] by [KV, N, K, L], or for the transpose of the latter. */
  const product = (rows: Tensor, block: Tensor, transB = false) => {
    if (G > FEW) return matmul(rows, block, { transB });
    return squeeze(matmul(unsqueeze(rows, 3), unsqueeze(block, 2), { transB }), 3);
  };
  const parts = hides.map((hidden, n) => {
    const count = `N${n}`;
    const of = (name: string) => input(`${name}${n}`, 'float32', [KV, count, PART, d]);
    let scores = product(unsqueeze(q, 1), of('k'), true);
    if (hidden) scores = add(scores, input(`bias${n}`, 'float32', [count, 1, PART]));
    return sumsOf(scores, (weights) => product(weights, of('v')));
  });
  if (carries) {
    const of = (name: string, width: number) => input(name, 'float32', [KV, 1, G, width]);
    parts.push({ m: of('m', 1), l: of('l', 1), o: of('o', d) });
  }
  const { m, l, o } = together(parts);
  return ends ? { o: reshape(o, [KV, G, d]) } : { m, l, o };
}
