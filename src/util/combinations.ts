/** Sets of layers: how many there are, and all of them. */

/** How many sets of `size` there are of `layers` layers. */
export function countCombinations(layers: number, size: number): number {
  let count = 1;
  // Whole at every step: the product so far counts the sets of i.
  for (let i = 1; i <= size; i++) count = (count * (layers - size + i)) / i;
  return count;
}

/** All sets of `size` of `layers` layers, in lexicographic order. */
export function combinations(layers: number, size: number): number[][] {
  if (size === 0) return [[]];
  const result: number[][] = [];
  const extend = (chosen: number[], from: number) => {
    if (chosen.length === size) {
      result.push(chosen);
      return;
    }
    for (let layer = from; layer <= layers - (size - chosen.length); layer++)
      extend([...chosen, layer], layer + 1);
  };
  extend([], 0);
  return result;
}
