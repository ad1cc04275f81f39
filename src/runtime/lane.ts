import { float32, type Value, type Values, zeros } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { AngleTables } from './angle-tables.ts';
import type { CachedAttentionPrograms } from './cached-attention.ts';
import type { KvCache } from './kv-cache.ts';
import type { Segments } from './segments.ts';

/**
 * The runs of all segments on T tokens of each of B sequences, over buffers of their own: made once and repeated
 * without further allocation for as long as the sequences stay the same.
 */
export class Lane {
  /** Hidden states [B, T, D]: what goes in is overwritten by what comes out. */
  readonly x: Float32Array;
  private readonly heads: Record<'q' | 'k' | 'v' | 'attended', Float32Array>;
  private readonly tables: AngleTables;
  private readonly runs: (() => Promise<Values>)[];

  /**
   * @param state [B, ...] by name
   * @param into receives the new state; the same values, if in place
   */
  constructor(
    config: ModelConfig,
    segments: Segments,
    private readonly B: number,
    private readonly T: number,
    state: Values,
    into: Values,
  ) {
    const { hiddenSize, numHeads, numKvHeads, headDim } = config;
    const buffers: Values = {
      x: zeros([B, T, hiddenSize]),
      q: zeros([B, numHeads, T, headDim]),
      k: zeros([B, numKvHeads, T, headDim]),
      v: zeros([B, numKvHeads, T, headDim]),
      attended: zeros([B, numHeads, T, headDim]),
      ...(segments.firstShape ? { first: zeros([B, ...segments.firstShape]) } : {}),
    };
    this.tables = new AngleTables(config, segments.rotated, B * T);
    Object.assign(buffers, this.tables.values);
    this.runs = segments.segments.map(({ program }) => {
      const among = (names: readonly string[], values: Values) =>
        Object.fromEntries(names.map((name) => [name, values[name]!]));
      return program.prepare(
        among(program.inputNames, { ...buffers, ...state }),
        among(program.outputNames, { ...buffers, ...into }),
      );
    });
    this.x = memory(buffers.x!);
    this.heads = {
      q: memory(buffers.q!),
      k: memory(buffers.k!),
      v: memory(buffers.v!),
      attended: memory(buffers.attended!),
    };
  }

  /**
   * From the embedded tokens in `x` to hidden states after the last layer.
   *
   * @param positions of all tokens, sequence by sequence
   * @param caches of each sequence, by order of the cached layers, with room for the tokens; of the first sequences
   *   only, where the rest are rows that nobody looks at
   */
  async run(
    positions: readonly number[],
    caches: readonly (readonly KvCache[])[],
    attention: CachedAttentionPrograms,
  ): Promise<void> {
    this.tables.fill(positions);
    const { T } = this;
    for (const [s, run] of this.runs.entries()) {
      await run();
      if (s === this.runs.length - 1) break;
      for (const [b, own] of caches.entries()) {
        const of = (x: Float32Array) => {
          const size = x.length / this.B;
          return x.subarray(b * size, (b + 1) * size);
        };
        const { q, k, v, attended } = this.heads;
        const cache = own[s]!;
        cache.write(of(k), of(v), T);
        await attention.attend(of(q), T, cache, of(attended));
        await cache.settle();
      }
    }
  }
}

function memory(value: Value): Float32Array {
  return value.data as Float32Array;
}

/** Another value of the same shape over memory of its own. */
export function like(value: Value): Value {
  return float32(new Float32Array(value.size), value.dims);
}
