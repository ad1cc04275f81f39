import type { Tensor } from './tensor.ts';

/** What was given to `swapLast` to make x; null where x was made otherwise. */
export function swappedFrom({ node, rank }: Tensor): Tensor | null {
  if (node.op.name !== 'transpose') return null;
  const axes = node.attributes.permutation as readonly number[];
  const swaps = axes.every((axis, i) => axis === (i < rank - 2 ? i : 2 * rank - 3 - i));
  return swaps ? node.inputs[0]! : null;
}
