/**
 * Multiplies rows by Hadamard matrices of a size along the diagonal, in place; they are their own inverse. The fast
 * transform.
 */
export function hadamardTransform(rows: Float32Array, size: number): Float32Array {
  for (let half = 1; half < size; half *= 2) {
    for (let from = 0; from < rows.length; from += 2 * half) {
      for (let i = from; i < from + half; i++) {
        const a = rows[i]!;
        const b = rows[i + half]!;
        rows[i] = a + b;
        rows[i + half] = a - b;
      }
    }
  }
  const scale = 1 / Math.sqrt(size);
  for (let i = 0; i < rows.length; i++) rows[i]! *= scale;
  return rows;
}
