import { logSumExp, mean, pick, sub, type Tensor, unsqueeze } from '../graph/index.ts';

/** Losses as graph; each is a scalar, in nats where it is a likelihood. */

/** Mean over tokens of -log softmax(logits)[target]. logits [..., V], targets int64 [...]. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const picked = pick(logits, unsqueeze(targets, -1));
  return mean(sub(logSumExp(logits), picked));
}
