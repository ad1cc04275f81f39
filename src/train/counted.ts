/** Which places of rows count in a loss, where it is not all of them. */

/**
 * By place, whether it counts what is said there of the next token: where that is an answer's. What is said behind the
 * last token of a row never counts then.
 *
 * @param answers by token, 1 for those of answers [B * T]
 * @param length T
 */
export function predictsAnswers(answers: Uint8Array, length: number): Float32Array {
  return Float32Array.from(answers, (_, i) => (i % length === length - 1 ? 0 : answers[i + 1]!));
}

/** The weights of a mean over the places that count; all 0 where none does. */
export function meanWeights(counted: Float32Array): Float32Array {
  const sum = counted.reduce((a, b) => a + b, 0);
  return counted.map((value) => value / Math.max(1, sum));
}
