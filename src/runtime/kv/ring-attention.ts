import {
  addDims,
  concat,
  type Dim,
  type DType,
  gather,
  input,
  mul,
  mulDims,
  pad,
  reshape,
  type Shape,
  scatter,
  slice,
  type Tensor,
} from '../../graph/index.ts';
import { attend } from './online-softmax.ts';
import { type Ring, ringInput, type Window } from './ring.ts';
import { exact, floored } from './source.ts';

/**
 * Attention of heads that see a window, over the ring of their keys and values (ring.ts), within a larger graph. What
 * depends on where the tokens stand, and not on the layer, is an input that all layers of a window share.
 */

type Heads = Record<'q' | 'k' | 'v', Tensor>;

/** What the queries get, shaped as they are, and the rings afterwards [B, KV, places, d]. */
type Attended = Record<'attended' | 'k' | 'v', Tensor>;

export class RingAttention {
  private readonly inputs = new Map<string, Tensor>();
  private readonly seen = new Map<string, Ring>();

  /** @param form several tokens of one sequence, or one token of each of several */
  constructor(private readonly form: 'prefill' | 'decode') {}

  /** What the recorded layers have. */
  get all(): Ring[] {
    return [...this.seen.values()];
  }

  /**
   * @param name of the layer: inputs are its rings `{name}.window_k` and `{name}.window_v` [B, KV, places, d]
   * @param heads q [B, H, T, d], k and v [B, KV, T, d]
   */
  attend(name: string, heads: Heads, { window, sinks }: Window): Attended {
    return this[this.form](name, heads, { window, sinks });
  }

  /**
   * A token of each of B sequences: its key and value are written first, in the place of those that leave the window, and
   * all that is there is seen.
   */
  private decode(name: string, { q, k, v }: Heads, window: Window): Attended {
    const [B, H, , d] = q.shape as [Dim, number, 1, number];
    const KV = k.shape[1] as number;
    const { places, input: shared } = this.ring(window, KV);
    const at = shared(`at.${KV}`, 'int64', [B, KV, 1, 3]);
    const mask = shared('mask', 'float32', [B, places]);
    const written = (part: 'k' | 'v', own: Tensor) =>
      scatter(input(`${name}.window_${part}`, 'float32', [B, KV, places, d]), at, own);
    const [keys, values] = [written('k', k), written('v', v)];
    // Matrix by vector for each head: of other products ONNX Runtime copies the keys, as of those with a factor.
    const queries = mul(reshape(q, [B, KV, H / KV, 1, d]), d ** -0.5);
    const rows = (x: Tensor) => reshape(x, [B, KV, 1, places, d]);
    const source = exact(rows(keys), rows(values), { mask: reshape(mask, [B, 1, 1, 1, places]) });
    const attended = attend(queries, [floored(source)]);
    return { attended: reshape(attended, [B, H, 1, d]), k: keys, v: values };
  }

  /** T tokens of one sequence, in blocks of Q queries, each over the sinks, the window before it and its own tokens. */
  private prefill(name: string, { q, k, v }: Heads, window: Window): Attended {
    const [, H, T, d] = q.shape as [1, number, Dim, number];
    const KV = k.shape[1] as number;
    const G = H / KV;
    const { places, input: shared } = this.ring(window, KV);
    const [N, Q, S]: [Dim, Dim, Dim] = ['N', 'Q', addDims(places, 'Q')];
    const near = shared('near', 'int64', [N, S]);
    const mask = shared('mask', 'float32', [N, Q, S]);
    const kept = shared('kept', 'int64', [places]);
    const all = (part: 'k' | 'v', own: Tensor) =>
      concat([input(`${name}.window_${part}`, 'float32', [1, KV, places, d]), own], 2);
    const [keys, values] = [all('k', k), all('v', v)];
    const blocks = (x: Tensor) => reshape(gather(x, 2, near), [1, KV, 1, N, S, d]);
    const rows = mulDims(N, Q);
    const queries = reshape(pad(q, 2, 0, addDims(rows, mulDims(T, -1))), [1, KV, G, N, Q, d]);
    const source = exact(blocks(keys), blocks(values), { mask, scale: d ** -0.5 });
    const attended = reshape(attend(queries, [source]), [1, H, rows, d]);
    return {
      attended: slice(attended, 2, 0, T),
      k: gather(keys, 2, kept),
      v: gather(values, 2, kept),
    };
  }

  /** A ring of so many heads, and its inputs by name. */
  private ring(window: Window, heads: number) {
    this.seen.set(ringInput(window, `${heads}`), { ...window, heads });
    return {
      places: window.sinks + window.window,
      input: (part: string, dtype: DType, shape: Shape) => {
        const name = ringInput(window, part);
        const known = this.inputs.get(name) ?? input(name, dtype, shape);
        this.inputs.set(name, known);
        return known;
      },
    };
  }
}
