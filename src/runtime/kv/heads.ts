import type { Tensor } from '../../graph/index.ts';

/** Query heads, key heads, width of a head. */
export interface HeadShape {
  H: number;
  KV: number;
  d: number;
}

/** Keys [KV, C, d] and values [KV, C, d] of a block. */
export interface Keys {
  k: Tensor;
  v: Tensor;
  /** Makes queries [..., d] comparable to the keys. */
  turn(q: Tensor): Tensor;
}
