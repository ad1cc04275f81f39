import {
  add,
  exp,
  log,
  logSoftmax,
  logSumExp,
  maximum,
  mean,
  mul,
  pick,
  sub,
  sum,
  type Tensor,
  unsqueeze,
} from '../graph/index.ts';
import { type Op, record } from '../graph/tensor.ts';

/** Losses as graph, in nats where they are of probabilities. */

/** Mean over tokens of -log softmax(logits)[target]. logits [..., V], targets int64 [...]. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const picked = pick(logits, unsqueeze(targets, -1));
  return mean(sub(logSumExp(logits), picked));
}

/** KL(teacher || student) of each token, from log-probabilities [..., V] -> [...]. */
export function divergence(teacher: Tensor, student: Tensor): Tensor {
  return sum(mul(exp(teacher), sub(teacher, student)), [-1]);
}

const slopedOp: Op = {
  name: 'sloped',
  emit: (_emitter, [value]) => [value!],
  vjp: ({ inputs: [, , slope] }, [dy]) => [null, mul(unsqueeze(dy!, -1), slope!), null],
  evaluate: ([value]) => [value!],
};

/**
 * KL(teacher || student) of each token, from logits [..., V] -> [...]. Its gradient is written down, the student's
 * probabilities less the teacher's: to differentiate it step by step takes twice as many passes over the vocabulary. None
 * goes to the teacher.
 */
export function divergenceOfLogits(teacher: Tensor, student: Tensor): Tensor {
  const [told, said] = [logSoftmax(teacher), logSoftmax(student)];
  const value = divergence(told, said);
  const { dtype, shape } = value;
  return record(slopedOp, [value, student, sub(exp(said), exp(told))], {}, dtype, shape);
}

/** Below what probability the rest of a distribution is not told from nothing: float32 sums are good to 1e-7. */
const LEAST = 1e-6;

/**
 * The same where only the teacher's most probable tokens are known, ids and log-probabilities [..., k]; all other
 * tokens count as a single one. Never above the divergence over all tokens.
 */
export function topDivergence(ids: Tensor, teacher: Tensor, student: Tensor): Tensor {
  const picked = pick(student, ids);
  const rest = (logProbs: Tensor) => maximum(sub(1, sum(exp(logProbs), [-1])), LEAST);
  const [left, leftByStudent] = [rest(teacher), rest(picked)];
  return add(divergence(teacher, picked), mul(left, sub(log(left), log(leftByStudent))));
}
