import { type Dim, expand, recurrence, reshape, type Tensor, transpose } from '../graph/index.ts';
import type { Recurrence, RecurrenceResult } from './chunks.ts';

/**
 * The linear recurrences by ONNX Runtime's own op, for any number of tokens: with `beta` the delta rule, without it
 * linear attention. The same signature as the other forms, but for T, which may be symbolic, and the state, which
 * has to be given.
 */
export function fusedRecurrence(input: Recurrence & { beta?: Tensor }): RecurrenceResult {
  const { q, k, v, g, beta, state, scale } = input;
  if (!state) throw new Error('the fused form of a recurrence needs a state');
  const [B, H, T] = q.shape as [Dim, number, Dim];
  // [B, H, T, W] -> [B, T, H * W]
  const rows = (x: Tensor) => {
    const width = x.shape[3] as number;
    const each = transpose(x, [0, 2, 1, 3]);
    // Decays may be the same for all sequences.
    return reshape(x.shape[0] === B ? each : expand(each, [B, T, H, width]), [B, T, H * width]);
  };
  const result = recurrence({
    q: rows(q),
    k: rows(k),
    v: rows(v),
    g: g && rows(g),
    beta: beta && rows(beta),
    state,
    scale,
  });
  const o = reshape(result.o, [B, T, H, v.shape[3]!]);
  return { o: transpose(o, [0, 2, 1, 3]), state: result.state };
}
