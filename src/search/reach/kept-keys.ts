import { float32, type Value, type Values } from '../../graph/index.ts';
import type { MixerContext } from '../../mixers/spec.ts';
import { MASKED } from '../../runtime/kv/mask.ts';
import type { LayerReach } from './placement.ts';
import { keptNames } from './reach-programs.ts';

/** Keys and values of a text's first tokens, of all layers. */
export class KeptKeys {
  /** By layer: [KV, capacity, d]. */
  private readonly keys: { k: Float32Array; v: Float32Array }[];

  constructor(
    layers: number,
    private readonly context: Pick<MixerContext, 'numKvHeads' | 'headDim'>,
    /** Tokens, at most. */
    private readonly capacity: number,
  ) {
    const size = context.numKvHeads * capacity * context.headDim;
    this.keys = Array.from({ length: layers }, () => ({
      k: new Float32Array(size),
      v: new Float32Array(size),
    }));
  }

  get bytes(): number {
    return this.keys.reduce((sum, { k, v }) => sum + k.byteLength + v.byteLength, 0);
  }

  /** Keeps those of tokens from `at` on: k, v [1, KV, n, d]. */
  put(layer: number, at: number, fresh: Readonly<Record<'k' | 'v', Value>>): void {
    const { numKvHeads, headDim } = this.context;
    const n = fresh.k.dims[2]!;
    for (const name of ['k', 'v'] as const) {
      const from = fresh[name].data as Float32Array;
      for (let head = 0; head < numKvHeads; head++) {
        const rows = from.subarray(head * n * headDim, (head + 1) * n * headDim);
        this.keys[layer]![name].set(rows, (head * this.capacity + at) * headDim);
      }
    }
  }

  /** What the heads of a layer read of the first `length` tokens, by the names that its program takes. */
  feeds(layer: number, length: number, reach: LayerReach): Values {
    const feeds: Values = {};
    const places = nearPlaces(length, reach);
    for (let head = 0; head < this.context.numKvHeads; head++) {
      const names = keptNames(head);
      const full = reach.fullHeads.includes(head);
      for (const name of ['k', 'v'] as const) {
        feeds[names[name]] = full
          ? this.rows(layer, name, head, 0, length)
          : this.gathered(layer, name, head, places);
      }
    }
    return feeds;
  }

  private rows(layer: number, name: 'k' | 'v', head: number, from: number, to: number): Value {
    const { headDim } = this.context;
    const start = head * this.capacity;
    const rows = this.keys[layer]![name].subarray((start + from) * headDim, (start + to) * headDim);
    return float32(rows, [to - from, headDim]);
  }

  private gathered(layer: number, name: 'k' | 'v', head: number, { sinks, from, to }: NearPlaces): Value {
    if (sinks === 0) return this.rows(layer, name, head, from, to);
    const { headDim } = this.context;
    const both = new Float32Array((sinks + to - from) * headDim);
    both.set(this.rows(layer, name, head, 0, sinks).data as Float32Array);
    both.set(this.rows(layer, name, head, from, to).data as Float32Array, sinks * headDim);
    return float32(both, [sinks + to - from, headDim]);
  }
}

/** Earlier tokens that some token of a call sees by a window: the first `sinks`, and those from `from` to `to`. */
interface NearPlaces {
  sinks: number;
  from: number;
  to: number;
}

function nearPlaces(length: number, { window, sinks }: LayerReach): NearPlaces {
  const from = Math.max(0, length - window + 1);
  return from <= sinks ? { sinks: 0, from: 0, to: length } : { sinks, from, to: length };
}

/**
 * What is added to the scores of n tokens that follow `length` others: of all before them in the call (`causal`), of those that
 * a window and sinks show (`near`), and of the kept ones that `KeptKeys.feeds` gives heads with a window (`near_kept`).
 */
export function masks(length: number, n: number, { window, sinks }: LayerReach): Values {
  const mask = (keys: readonly number[], sees: (query: number, key: number) => boolean) => {
    const data = new Float32Array(n * keys.length);
    for (let i = 0; i < n; i++) {
      for (const [j, key] of keys.entries()) data[i * keys.length + j] = sees(length + i, key) ? 0 : MASKED;
    }
    return float32(data, [n, keys.length]);
  };
  const sees = (query: number, key: number) => key <= query && (query - key < window || key < sinks);
  const own = Array.from({ length: n }, (_, i) => length + i);
  const places = nearPlaces(length, { fullHeads: [], window, sinks });
  const kept = Array.from({ length: places.to }, (_, j) => j);
  return {
    causal: mask(own, (query, key) => key <= query),
    near: mask(own, sees),
    near_kept: mask([...kept.slice(0, places.sinks), ...kept.slice(places.from)], sees),
  };
}
