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
  const rows = shape[0]!;
  const width = values.length / rows;
  const half = headDim / 2;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const head = row - (row % headDim);
    const j = row % half;
    const second = row % headDim >= half ? 1 : 0;
    const from = head + 2 * j + second;
    out.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return out;
}
