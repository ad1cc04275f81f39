import { logSoftmax, neg, pad, slice, softplus, squeeze, type Tensor, unsqueeze } from '../graph/index.ts';

/**
 * log(1 + e^x) of an x [B, T, ...]. ONNX Runtime rounds the last few elements of a tensor otherwise than the rest, so
 * that in steps of a batch a sequence would come out differently by its place among the others. Softmax goes row by
 * row, so for steps it is computed as log softmax(0, x): the first of the two is -log(1 + e^x).
 */
export function evenSoftplus(x: Tensor): Tensor {
  if (x.shape[1] !== 1) return softplus(x);
  const pairs = pad(unsqueeze(x, -1), -1, 1, 0);
  return neg(squeeze(slice(logSoftmax(pairs), -1, 0, 1), -1));
}

/** The x of which log(1 + e^x) is a `y` above 0. */
export function inverseSoftplus(y: number): number {
  return y + Math.log(-Math.expm1(-y));
}
