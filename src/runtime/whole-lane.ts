import { float32, type Value, type Values, zeros } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { AngleTables } from './angle-tables.ts';
import type { Block } from './kv/blocks.ts';
import type { KvCache } from './kv/cache.ts';
import { stepInputs } from './kv/decode.ts';
import { MASKED } from './kv/mask.ts';
import type { Packed } from './kv/packed-blocks.ts';
import { DecodePlaces } from './kv/ring.ts';
import type { Segments } from './segments.ts';
import { cachedGroups } from './sequence-parts.ts';

/** The run over some blocks and what is packed. */
interface Prepared {
  run: () => Promise<Values>;
  blocks: readonly Block[];
  packed: readonly (Packed | undefined)[];
  /** What is added to the scores of their places, of which so many are seen. */
  mask: Float32Array;
  seen: number;
}

/** Whole steps of one sequence, each a run of one program, over buffers of their own. */
export class WholeLane {
  /** Hidden states [1, 1, D]: what goes in is overwritten by what comes out. */
  readonly x: Float32Array;
  private readonly buffers: Values;
  private readonly tables: AngleTables;
  private readonly places: DecodePlaces;
  /** With a cache. */
  private readonly layers: readonly number[];
  /** The run over these blocks, and what is added to the scores of their places. */
  private prepared: Prepared | null = null;

  /** @param state by name, overwritten in place */
  constructor(
    config: ModelConfig,
    private readonly segments: Segments,
    private readonly state: Values,
  ) {
    const { hiddenSize, headDim } = config;
    const groups = cachedGroups(config);
    this.tables = new AngleTables(config, segments.rotated, 1);
    this.places = new DecodePlaces(segments.rings, 1);
    this.layers = groups.map(({ layer }) => layer);
    this.buffers = { x: zeros([1, 1, hiddenSize]), ...this.tables.values, ...this.places.values };
    for (const { layer, heads } of groups) {
      for (const part of ['k', 'v']) this.buffers[`${layer}.${part}`] = zeros([1, heads.length, 1, headDim]);
    }
    this.x = memory(this.buffers.x!);
  }

  /** The form of a step in which a token more finds room in one block of each cache; null where it does not. */
  static formFor(caches: readonly KvCache[]): 'whole' | 'whole, packed' | null {
    const packed = caches[0]?.packed.length ?? 0;
    const room = caches.every(
      (cache) => cache.packed.length === packed && cache.length - cache.exactStart < cache.blockSize,
    );
    return room && packed <= 1 ? (packed === 1 ? 'whole, packed' : 'whole') : null;
  }

  /**
   * From the embedded token in `x` to its hidden state after the last layer.
   *
   * @param caches of the layers that have one, with room for the token
   */
  async run(position: number, caches: readonly KvCache[]): Promise<void> {
    this.tables.fill([position]);
    this.places.fill([position]);
    const prepared = this.over(caches);
    // Tokens that have come since, in pieces perhaps, can be seen from now on.
    const seen = position - (caches[0]?.exactStart ?? 0);
    prepared.mask.fill(0, prepared.seen, seen);
    prepared.seen = seen;
    await prepared.run();
    for (const [n, cache] of caches.entries()) {
      const of = (part: string) => memory(this.buffers[`${this.layers[n]}.${part}`]!);
      cache.write(of('k'), of('v'), 1);
      await cache.settle();
    }
  }

  private over(caches: readonly KvCache[]): Prepared {
    const blocks = caches.map((cache) => cache.blocks[0]!);
    const packed = caches.map((cache) => cache.packed[0]);
    const known = this.prepared;
    const same = known?.blocks.every((block, n) => block === blocks[n] && known.packed[n] === packed[n]);
    if (known && same) return known;
    const [{ program }] = this.segments.segments as [Segments['segments'][number]];
    const capacity = blocks[0]?.capacity ?? 0;
    const mask = new Float32Array(capacity).fill(MASKED);
    const feeds: Values = { ...this.buffers, ...this.state, mask: float32(mask, [1, capacity]) };
    for (const [n, { shape, packed }] of caches.entries()) {
      const before = packed.map((packed) => ({ packed, mask: null }));
      Object.assign(feeds, stepInputs(`${this.layers[n]}`, shape, before, [], blocks[n]!));
    }
    const among = (names: readonly string[], values: Values) =>
      Object.fromEntries(names.map((name) => [name, values[name]!]));
    const run = program.prepare(
      among(program.inputNames, feeds),
      among(program.outputNames, { ...this.buffers, ...this.state }),
    );
    this.prepared = { run, blocks, packed, mask, seen: 0 };
    return this.prepared;
  }
}

function memory(value: Value): Float32Array {
  return value.data as Float32Array;
}
