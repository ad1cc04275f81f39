import { float32, type Program, type Value, type Values } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import type { HostSequence } from './host-sequence.ts';
import type { AttentionPrograms } from './kv/cache-attention.ts';
import { Lane } from './lane.ts';
import type { BatchGuard } from './runs.ts';
import { argMaxOf } from './sampler.ts';
import type { Segments } from './segments.ts';
import type { Sequence } from './sequence.ts';
import { type FixedState, hostState } from './sequence-parts.ts';

/** Sequences of any lengths that take their steps together. */
export interface Batch {
  /** How many sequences there are. */
  readonly size: number;
  /** Takes a sequence in, which the engine must not append to until it is removed. */
  add(sequence: Sequence): void;
  /** Gives a sequence back, with all its tokens. */
  remove(sequence: Sequence): void;
  /**
   * A token for each of the sequences.
   *
   * @returns for each the logits of what may follow [vocabulary], valid until the next step
   * @throws InputError for a token outside the vocabulary or a sequence without room for it; nothing is added then
   */
  step(ids: ReadonlyMap<Sequence, number>): Promise<Map<Sequence, Float32Array>>;
  /** The same, but for each only the most probable token: on a device the logits stay there. */
  greedyStep(ids: ReadonlyMap<Sequence, number>): Promise<Map<Sequence, number>>;
}

/**
 * A batch in the host's memory: the products with the weights are shared, which costs little more than one of them.
 * While the sequences are here, the states of their layers lie one behind the other and nowhere else, so that a
 * step overwrites them in place; caches of keys and values stay where they are, and each sequence attends to its own.
 *
 * What a sequence gets does not depend on the others: each row of a product is summed up in the same order, however
 * many rows there are, and the attention is computed one by one.
 */

/** A product of a single row is summed up in another order than one of several: one row of two may be unused. */
const FEWEST_ROWS = 2;

/** What of an engine a batch works with. */
interface Parts extends BatchGuard {
  segments: () => Promise<Segments>;
  head: Program;
  attention: AttentionPrograms;
  embed: (ids: readonly number[], into: Float32Array) => void;
}

export class HostBatch implements Batch {
  private readonly sequences: HostSequence[] = [];
  private readonly states: readonly FixedState[];
  /** [rows, ...] by name. */
  private slabs: Values = {};
  private rows = 0;
  /** Of all rows [rows, vocabulary]; runs of fewer use its beginning. */
  private logits = new Float32Array(0);
  private readonly lanes = new Map<number, { lane: Lane; logits: () => Promise<Values> }>();

  /** @internal */
  constructor(
    private readonly config: ModelConfig,
    private readonly parts: Parts,
    /** Sequences that it has room for before it grows. */
    room: number,
  ) {
    this.states = hostState(config);
    if (room > 0) this.resize(Math.max(FEWEST_ROWS, room));
  }

  get size(): number {
    return this.sequences.length;
  }

  add(sequence: HostSequence): void {
    sequence.check();
    if (this.sequences.includes(sequence)) throw new Error('the sequence is in the batch already');
    if (this.size === this.rows) this.resize(Math.max(FEWEST_ROWS, 2 * this.rows));
    for (const { name } of this.states) this.row(name, this.size).set(data(sequence.state[name]!));
    sequence.moveTo(this.stateAt(this.size));
    this.sequences.push(sequence);
  }

  remove(sequence: HostSequence): void {
    const place = this.sequences.indexOf(sequence);
    if (place < 0) throw new Error('the sequence is not in the batch');
    const last = this.sequences.pop()!;
    if (sequence.usable) {
      const own = Object.entries(sequence.state).map(([name, value]) => {
        return [name, float32(data(value).slice(), value.dims)];
      });
      sequence.moveTo(Object.fromEntries(own) as Values);
    }
    if (last === sequence) return;
    // The last row takes the free place.
    for (const { name } of this.states) this.row(name, place).set(this.row(name, this.size));
    if (last.usable) last.moveTo(this.stateAt(place));
    this.sequences[place] = last;
  }

  step(ids: ReadonlyMap<Sequence, number>): Promise<Map<Sequence, Float32Array>> {
    return this.parts.exclusively(async () => {
      const { sequences } = this;
      if (ids.size !== this.size || !sequences.every((sequence) => ids.has(sequence))) {
        throw new Error(`a step of a batch takes a token for each of its ${this.size} sequences`);
      }
      if (this.size === 0) return new Map();
      for (const sequence of sequences) {
        sequence.check();
        this.parts.check(sequence, ids.get(sequence)!);
      }
      for (const { caches } of sequences) for (const cache of caches) cache.reserve(1);
      const segments = await this.parts.segments();
      const { lane, logits } = this.lane(segments, Math.max(this.size, FEWEST_ROWS));
      this.parts.embed(
        sequences.map((sequence) => ids.get(sequence)!),
        lane.x,
      );
      const positions = sequences.map(({ length }) => length);
      const run = () =>
        lane.run(
          positions,
          sequences.map(({ caches }) => caches),
          this.parts.attention,
        );
      // All of them advance, or none can be gone on from.
      await sequences.reduce<() => Promise<void>>(
        (inner, sequence) => () => sequence.writing(1, inner),
        run,
      )();
      const rows = data((await logits()).logits!);
      const { vocabSize } = this.config;
      return new Map(
        sequences.map((sequence, i) => [sequence, rows.subarray(i * vocabSize, (i + 1) * vocabSize)]),
      );
    });
  }

  async greedyStep(ids: ReadonlyMap<Sequence, number>): Promise<Map<Sequence, number>> {
    const logits = await this.step(ids);
    return new Map([...logits].map(([sequence, row]) => [sequence, argMaxOf(row)]));
  }

  /** What one sequence has of a part of the state. */
  private row(name: string, index: number): Float32Array {
    const slab = this.slabs[name]!;
    const size = slab.size / slab.dims[0]!;
    return data(slab).subarray(index * size, (index + 1) * size);
  }

  /** A row of all parts, as the state of the sequence there. */
  private stateAt(index: number): Values {
    return Object.fromEntries(
      this.states.map(({ name, shape }) => [name, float32(this.row(name, index), [1, ...shape])]),
    ) as Values;
  }

  private resize(rows: number): void {
    const slabs = this.states.map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const values = new Float32Array(rows * size);
      if (this.size > 0) values.set(data(this.slabs[name]!).subarray(0, this.size * size));
      return [name, float32(values, [rows, ...shape])];
    });
    this.slabs = Object.fromEntries(slabs) as Values;
    this.rows = rows;
    for (const [i, sequence] of this.sequences.entries()) {
      if (sequence.usable) sequence.moveTo(this.stateAt(i));
    }
    this.logits = new Float32Array(rows * this.config.vocabSize);
    this.lanes.clear();
  }

  /** The runs for so many rows, over the first rows of the states. */
  private lane(segments: Segments, B: number): { lane: Lane; logits: () => Promise<Values> } {
    const known = this.lanes.get(B);
    if (known) return known;
    const state: Values = {};
    for (const { name, shape } of this.states) {
      const size = shape.reduce((a, b) => a * b, 1);
      state[name] = float32(data(this.slabs[name]!).subarray(0, B * size), [B, ...shape]);
    }
    const { hiddenSize, vocabSize } = this.config;
    const lane = new Lane(this.config, segments, B, 1, state, state);
    const logits = this.parts.head.prepare(
      { x: float32(lane.x, [B, 1, hiddenSize]) },
      { logits: float32(this.logits.subarray(0, B * vocabSize), [B, 1, vocabSize]) },
    );
    const made = { lane, logits };
    this.lanes.set(B, made);
    return made;
  }
}

function data(value: Value): Float32Array {
  return value.data as Float32Array;
}
