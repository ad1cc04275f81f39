/** Recurrences of linear attention over any number of tokens, as ONNX Runtime computes them in one node. */
import { type Dim, showShape } from '../dim.ts';
import { type NdArray, ndarray } from '../ndarray.ts';
import { GraphError, isFloat, type Op, recordMany, type Tensor } from '../tensor.ts';

interface RecurrenceAttributes {
  [name: string]: boolean | number;
  heads: number;
  decays: boolean;
  corrects: boolean;
  scale: number;
}

const recurrenceOp: Op<RecurrenceAttributes> = {
  name: 'recurrence',
  emit: (emitter, [q, k, v, state, ...rest], { attributes: { heads, decays, corrects, scale } }) => {
    const [g, beta] = [decays ? rest.shift()! : '', corrects ? rest.shift()! : ''];
    const rule = decays ? (corrects ? 'gated_delta' : 'gated') : corrects ? 'delta' : 'linear';
    const inputs = [q!, k!, v!, state!, ...(corrects ? [g, beta] : decays ? [g] : [])];
    const attributes = { q_num_heads: heads, kv_num_heads: heads, update_rule: rule, scale };
    return emitter.nodeMany('LinearAttention', inputs, 2, attributes, { domain: 'com.microsoft' });
  },
  evaluate: ([q, k, v, state, ...rest], { attributes: { heads, decays, corrects, scale } }): NdArray[] => {
    const [g, beta] = [decays ? rest.shift()! : null, corrects ? rest.shift()! : null];
    const [B, T] = q!.shape as [number, number];
    const [K, V] = state!.shape.slice(2) as [number, number];
    const o = ndarray(v!.shape);
    const last = ndarray(state!.shape, state!.data);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < heads; h++) {
        const S = last.data.subarray((b * heads + h) * K * V, (b * heads + h + 1) * K * V);
        for (let t = 0; t < T; t++) {
          const row = (x: NdArray, width: number) => {
            const at = ((b * T + t) * heads + h) * width;
            return x.data.subarray(at, at + width);
          };
          const [query, key, value] = [row(q!, K), row(k!, K), row(v!, V)];
          const decay = g && row(g, g.shape[2]! / heads);
          for (let i = 0; decay && i < K * V; i++) {
            S[i]! *= Math.exp(decay[decay.length === 1 ? 0 : Math.floor(i / V)]!);
          }
          for (let j = 0; j < V; j++) {
            let held = 0;
            for (let i = 0; i < K; i++) held += S[i * V + j]! * key[i]!;
            const written = beta ? row(beta, 1)[0]! * (value[j]! - held) : value[j]!;
            let read = 0;
            for (let i = 0; i < K; i++) {
              S[i * V + j]! += key[i]! * written;
              read += S[i * V + j]! * query[i]!;
            }
            row(o, V)[j] = scale * read;
          }
        }
      }
    }
    return [o, last];
  },
};

/**
 * S' = e^g S,  S = S' + k w^T,  o = scale S^T q  token by token, where what is written w is v, or with `beta` what
 * corrects the state: beta (v - S'^T k). There is no gradient.
 *
 * q and k [B, T, H * K]; v [B, T, H * V]; state [B, H, K, V], which must not be absent; g, the logarithms of the decays,
 * of a head [B, T, H] or a key channel [B, T, H * K]; beta [B, T, H].
 *
 * @returns o [B, T, H * V] and the state after the last token
 */
export function recurrence({
  q,
  k,
  v,
  state,
  g,
  beta,
  scale = 1,
}: Record<'q' | 'k' | 'v' | 'state', Tensor> & {
  g?: Tensor | undefined;
  beta?: Tensor | undefined;
  scale?: number;
}): { o: Tensor; state: Tensor } {
  const [B, H, K, V] = state.shape as [Dim, number, number, number];
  const T = q.shape[1]!;
  const fits = (x: Tensor, ...widths: number[]) =>
    x.dtype === state.dtype && widths.some((width) => x.shape.join() === [B, T, width].join());
  const all =
    isFloat(state.dtype) &&
    [H, K, V].every((dim) => typeof dim === 'number') &&
    fits(q, H * K) &&
    fits(k, H * K) &&
    fits(v, H * V) &&
    (!g || fits(g, H, H * K)) &&
    (!beta || fits(beta, H));
  if (!all) {
    const given = { q, k, v, state, g, beta };
    const shown = Object.entries(given).map(([name, x]) => `${name} ${x ? showShape(x.shape) : 'absent'}`);
    throw new GraphError(`recurrence: ${shown.join(', ')}`);
  }
  const inputs = [q, k, v, state, ...(g ? [g] : []), ...(beta ? [beta] : [])];
  const [o, last] = recordMany(
    recurrenceOp,
    inputs,
    { heads: H, decays: g !== undefined, corrects: beta !== undefined, scale },
    [v, state].map(({ dtype, shape }) => ({ dtype, shape })),
  );
  return { o: o!, state: last! };
}
