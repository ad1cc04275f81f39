/**
 * Rotary position encoding turns pairs of a head's channels. llama2.c and GGUF's Llama files pair channel 2j with
 * 2j + 1, Hugging Face pairs j with j + headDim / 2. Reordering the rows of the query and key projections within
 * each head turns the one into the other; the attention scores stay the same.
 */

/** Rows (or entries of a bias) 2j and 2j + 1 of each head go to j and j + headDim / 2. A copy. */
export function pairsToHalves(
  values: Float32Array,
  shape: readonly number[],
  headDim: number,
): Float32Array<ArrayBuffer> {
  return reordered(values, shape, headDim, (row) => 2 * (row % (headDim / 2)) + (row < headDim / 2 ? 0 : 1));
}

/** The other way: rows j and j + headDim / 2 of each head go to 2j and 2j + 1. A copy. */
export function halvesToPairs(
  values: Float32Array,
  shape: readonly number[],
  headDim: number,
): Float32Array<ArrayBuffer> {
  return reordered(values, shape, headDim, (row) => (row >> 1) + (row & 1 ? headDim / 2 : 0));
}

/** Each row of a head is taken from the row that `from` says. */
function reordered(
  values: Float32Array,
  shape: readonly number[],
  headDim: number,
  from: (row: number) => number,
): Float32Array<ArrayBuffer> {
  const rows = shape[0]!;
  const width = values.length / rows;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const source = row - inHead + from(inHead);
    out.set(values.subarray(source * width, (source + 1) * width), row * width);
  }
  return out;
}
