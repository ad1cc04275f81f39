import type { Tensor } from './tensor.ts';

/** How the axes of a tensor's only input were permuted to make it; null for what is no transposition. */
export function permutationOf({ node }: Tensor): readonly number[] | null {
  return node.op.name === 'transpose' ? (node.attributes.permutation as readonly number[]) : null;
}

/** What was given to `swapLast` to make x; null where x was made otherwise. */
export function swappedFrom(x: Tensor): Tensor | null {
  const { node, rank } = x;
  const swaps = permutationOf(x)?.every((axis, i) => axis === (i < rank - 2 ? i : 2 * rank - 3 - i));
  return swaps ? node.inputs[0]! : null;
}
