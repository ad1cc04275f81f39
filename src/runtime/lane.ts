import { float32, type Value, type Values, zeros } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { AngleTables } from './angle-tables.ts';
import type { KvCache } from './kv/cache.ts';
import type { AttentionPrograms } from './kv/cache-attention.ts';
import { DecodePlaces, PrefillPlaces, type RingPlaces } from './kv/ring.ts';
import { headName, type Segments } from './segments.ts';
import type { CachedGroup } from './sequence-parts.ts';

/**
 * The runs of all segments on T tokens of each of B sequences, over buffers of their own: made once and repeated
 * without further allocation for as long as the sequences stay the same.
 */
export class Lane {
  /** Hidden states [B, T, D]: what goes in is overwritten by what comes out. */
  readonly x: Float32Array;
  /** Heads that go from one segment to the next. */
  private readonly heads = new Map<string, Float32Array>();
  private readonly tables: AngleTables;
  private readonly places: RingPlaces;
  private readonly runs: (() => Promise<Values>)[];

  /**
   * @param state [B, ...] by name
   * @param into receives the new state; the same values, if in place
   */
  constructor(
    config: ModelConfig,
    private readonly segments: Segments,
    private readonly B: number,
    private readonly T: number,
    state: Values,
    into: Values,
  ) {
    const { hiddenSize, headDim } = config;
    const { rings } = segments;
    this.places = segments.form === 'piece' ? new PrefillPlaces(rings, T) : new DecodePlaces(rings, B);
    const buffers: Values = {
      x: zeros([B, T, hiddenSize]),
      ...this.places.values,
      ...(segments.firstShape ? { first: zeros([B, ...segments.firstShape]) } : {}),
    };
    this.tables = new AngleTables(config, segments.rotated, B * T);
    Object.assign(buffers, this.tables.values);
    for (const [name, heads] of segments.crossing) {
      const value = zeros([B, heads, T, headDim]);
      this.heads.set(name, memory(value));
      buffers[name] = value;
    }
    this.runs = segments.segments.map(({ program }) => {
      const among = (names: readonly string[], values: Values) =>
        Object.fromEntries(names.map((name) => [name, values[name]!]));
      return program.prepare(
        among(program.inputNames, { ...buffers, ...state }),
        among(program.outputNames, { ...buffers, ...into }),
      );
    });
    this.x = memory(buffers.x!);
  }

  /**
   * From the embedded tokens in `x` to hidden states after the last layer.
   *
   * @param positions of all tokens, sequence by sequence
   * @param caches of each sequence, by order of the groups that have one, with room for the tokens; of the first sequences
   *   only, where the rest are rows that nobody looks at
   */
  async run(
    positions: readonly number[],
    caches: readonly (readonly KvCache[])[],
    attention: AttentionPrograms,
  ): Promise<void> {
    this.tables.fill(positions);
    this.places.fill(positions);
    let done = 0;
    for (const [s, run] of this.runs.entries()) {
      await run();
      for (const group of this.segments.segments[s]!.groups) {
        for (const [b, own] of caches.entries()) await this.attend(group, b, own[done]!, attention);
        done++;
      }
    }
  }

  /** Heads of one sequence over their cache, which their tokens are written to. */
  private async attend(
    group: CachedGroup,
    b: number,
    cache: KvCache,
    attention: AttentionPrograms,
  ): Promise<void> {
    const of = (part: string) => {
      const x = this.heads.get(headName(part, group))!;
      const size = x.length / this.B;
      return x.subarray(b * size, (b + 1) * size);
    };
    cache.write(of('k'), of('v'), this.T);
    await attention.get(group.heads.length)!.attend(of('q'), this.T, cache, of('attended'));
    await cache.settle();
  }
}

function memory(value: Value): Float32Array {
  return value.data as Float32Array;
}

/** Another value of the same shape over memory of its own. */
export function like(value: Value): Value {
  return float32(new Float32Array(value.size), value.dims);
}
