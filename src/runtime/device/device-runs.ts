import { type Device, float32, memoryOf, type Program, type Value, type Values } from '../../graph/index.ts';
import { needsLength } from '../../mixers/registry.ts';
import type { ModelConfig } from '../../model/config.ts';
import { AngleTables, type Rotation } from '../angle-tables.ts';
import type { Batch } from '../batch.ts';
import type { EngineWeights } from '../engine-weights.ts';
import type { RunsOptions } from '../host-runs.ts';
import { MASKED } from '../kv/mask.ts';
import type { BatchGuard, EachLogits, Runs } from '../runs.ts';
import { compileHead, compileWith } from '../segments.ts';
import type { SequenceContent } from '../sequence-content.ts';
import { type Asked, scoresOf, type TokenScores } from '../token-scores.ts';
import { DeviceBatch } from './batch.ts';
import { BLOCK, keyBytes, recordDecoder } from './recording.ts';
import { Rows, RowsStore } from './rows.ts';
import { DeviceSequence } from './sequence.ts';
import { contentOf, rowsOf } from './transfer.ts';

/**
 * The decoder with weights, states and caches on a device: embedded tokens go up, logits come down, and nothing else
 * moves. A step is two runs, the decoder and the head, for however many sequences.
 */

/** Tokens of a piece at most; of one that is padded, where a mixer has no fused form; and at least. */
const LONGEST_PIECE = 256;
const PADDED_PIECE = 64;
const SHORTEST_PIECE = 16;
/** Scores of a layer that a piece may take [H, T, P]: it gets shorter where there is much past. */
const SCORES = 2 ** 26;
/** Bytes of a value that kernels can be given, on NVIDIA's GPUs. */
const LARGEST_VALUE = 2 ** 31 - 4;
/** Tokens of a tail, which every run copies, before it goes over into the past, which copies all: a block of it. */
const TAIL = BLOCK;

interface Decoder {
  program: Program;
  rotated: readonly Rotation[];
}

export class DeviceRuns implements Runs {
  private pieces: Promise<Decoder> | null = null;
  private readonly longest: number;
  /** @internal */
  largestValue = LARGEST_VALUE;

  private constructor(
    private readonly config: ModelConfig,
    private readonly weights: EngineWeights,
    private readonly store: RowsStore,
    private readonly empty: Rows,
    private readonly embed: (ids: readonly number[], into: Float32Array) => void,
    private readonly steps: Decoder,
    private readonly head: Program,
    private readonly options: Pick<RunsOptions, 'device' | 'threads'>,
  ) {
    const padded = config.layers.some(needsLength);
    this.longest = padded ? PADDED_PIECE : LONGEST_PIECE;
  }

  /** Compiles the model for single tokens; for prompts it is compiled when there is the first. */
  static async create(
    config: ModelConfig,
    weights: EngineWeights,
    options: RunsOptions & { device: Device },
  ): Promise<DeviceRuns> {
    const embed = weights.embedding();
    const steps = await compileDecoder(config, 'step', weights, options);
    const memory = memoryOf(options.device);
    let head: Program | undefined;
    try {
      head = await compileHead(config, weights, { ...options, keepOnDevice: 'all' });
      const store = new RowsStore(memory);
      const empty = await Rows.empty(config, store);
      return new DeviceRuns(config, weights, store, empty, embed, steps, head, options);
    } catch (error) {
      await memory.dispose();
      await steps.program.dispose();
      await head?.dispose();
      throw error;
    }
  }

  start(): DeviceSequence {
    return new DeviceSequence({ rows: this.empty.retain(), row: 0 });
  }

  /** Values on the device. */
  get held(): number {
    return this.store.memory.held;
  }

  /** As many as fit are rows of the same values: no step has to bring them together. */
  async drawn(count: number, tokens: number): Promise<DeviceSequence[]> {
    const most = Math.floor(this.largestValue / keyBytes(this.config, tokens + 2 * BLOCK));
    if (count > most && most > 0) {
      return [...(await this.drawn(most, tokens)), ...(await this.drawn(count - most, tokens))];
    }
    const rows = await Rows.drawn(this.empty, count, tokens);
    const sequences = Array.from(
      { length: count },
      (_, row) => new DeviceSequence({ rows: rows.retain(), row }, tokens),
    );
    rows.release();
    return sequences;
  }

  content({ rows, row, length }: DeviceSequence): Promise<SequenceContent> {
    return contentOf(this.config, this.store, { rows, row }, length);
  }

  async restored(content: SequenceContent, tokens: number): Promise<DeviceSequence> {
    return new DeviceSequence(
      { rows: await rowsOf(this.config, this.store, content, tokens), row: 0 },
      tokens,
    );
  }

  pieceAt(place: number): number {
    let size = this.longest;
    while (size > SHORTEST_PIECE && size * place * this.config.numHeads > SCORES) size /= 2;
    return size - (place % size);
  }

  async step(sequence: DeviceSequence, id: number): Promise<Float32Array> {
    return (await this.stepAll([sequence], [id]))[0]!;
  }

  /** A token for each of several sequences; their logits. */
  stepAll(sequences: readonly DeviceSequence[], ids: readonly number[]): Promise<Float32Array[]> {
    return this.decode(sequences, ids, (last) => this.logits(last, false));
  }

  /** The same, but their most probable tokens. */
  greedyStepAll(sequences: readonly DeviceSequence[], ids: readonly number[]): Promise<number[]> {
    return this.decode(sequences, ids, async (last) => {
      const logits = await this.onHead(last, false);
      const best = await this.store.tools.largest(logits);
      this.store.memory.free(logits);
      return best;
    });
  }

  /**
   * A token for each of several sequences.
   *
   * @param read makes of hidden states of the last layer [B, 1, D] what is wanted of each row
   */
  private async decode<Result>(
    sequences: readonly DeviceSequence[],
    ids: readonly number[],
    read: (last: Value) => Promise<readonly Result[]>,
  ): Promise<Result[]> {
    const tokens = new Map(sequences.map((sequence, i) => [sequence, ids[i]!]));
    const groups = this.groups(sequences);
    for (const group of groups) await this.gathered(group);
    const lasts: Value[] = [];
    const places = new Map<DeviceSequence, { group: number; row: number }>();
    const run = async () => {
      for (const [i, group] of groups.entries()) {
        // By row: sequences of one origin lie together, whatever their order here.
        const byRow = [...group].sort((a, b) => a.row - b.row);
        for (const sequence of group) places.set(sequence, { group: i, row: sequence.row });
        const { rows } = byRow[0]!;
        const results = await this.run(
          this.steps,
          rows,
          byRow.map((sequence) => tokens.get(sequence)!),
          byRow.map(({ length }) => length),
        );
        lasts.push(results.last!);
        await this.follow(rows, results, group);
      }
    };
    const found: (readonly Result[])[] = [];
    try {
      // All of them advance, or none can be gone on from.
      await sequences.reduce<() => Promise<void>>(
        (inner, sequence) => () => sequence.writing(1, inner),
        run,
      )();
      for (const last of lasts) found.push(await read(last));
    } finally {
      this.store.memory.free(...lasts);
    }
    return sequences.map((sequence) => {
      const { group, row } = places.get(sequence)!;
      return found[group]![row]!;
    });
  }

  /** Sequences that are rows of the same values: as many as the largest value has room for. */
  private groups(sequences: readonly DeviceSequence[]): DeviceSequence[][] {
    const growing = sequences.some(({ rows }) => rows.growing.size > 0);
    // One more than there are now: tails may go over into the past.
    const places = Math.max(...sequences.map(({ rows }) => rows.past + rows.tail)) + BLOCK;
    const bytes = growing ? keyBytes(this.config, places) : 1;
    const most = Math.floor(this.largestValue / bytes);
    if (most === 0) {
      throw new Error(
        `keys of ${places} tokens take ${bytes} bytes in a layer, the device's values hold ${this.largestValue}: ` +
          'the sequence cannot go on there',
      );
    }
    return Array.from({ length: Math.ceil(sequences.length / most) }, (_, i) =>
      sequences.slice(i * most, (i + 1) * most),
    );
  }

  async read(
    sequence: DeviceSequence,
    ids: readonly number[],
    last: boolean,
    each: EachLogits | undefined,
  ): Promise<Float32Array | undefined> {
    this.pieces ??= compileDecoder(this.config, 'piece', this.weights, this.options);
    this.pieces.catch(() => {
      this.pieces = null;
    });
    const decoder = await this.pieces;
    this.groups([sequence]);
    const rows = await this.gathered([sequence]);
    const first = sequence.length;
    let results: Values = {};
    await sequence.writing(ids.length, async () => {
      const positions = ids.map((_, t) => first + t);
      results = await this.run(decoder, rows, ids, positions);
      await this.follow(rows, results, [sequence]);
    });
    const { memory } = this.store;
    if (each) {
      for (const [t, row] of (await this.logits(results.x!, false)).entries()) await each(first + t, row);
    }
    memory.free(results.x);
    if (last) return (await this.logits(results.last!))[0];
    memory.free(results.last);
    return undefined;
  }

  async score(
    sequence: DeviceSequence,
    ids: readonly number[],
    asked: readonly Asked[],
  ): Promise<TokenScores[]> {
    const scores: TokenScores[] = [];
    await this.read(sequence, ids, false, (place, logits) => {
      for (const { ids } of asked.filter((own) => own.place === place)) scores.push(scoresOf(logits, ids));
    });
    return scores;
  }

  readonly readsTrees = false;

  scoreTrees(): never {
    throw new Error('trees are read on the CPU');
  }

  batch(guard: BatchGuard): Batch {
    return new DeviceBatch(guard, this);
  }

  /** Runs the decoder on T tokens of each row; what is remembered is under the names of the inputs. */
  private run(
    { program, rotated }: Decoder,
    rows: Rows,
    ids: readonly number[],
    positions: readonly number[],
  ): Promise<Values> {
    const { hiddenSize } = this.config;
    const B = rows.size;
    const T = ids.length / B;
    const x = new Float32Array(ids.length * hiddenSize);
    this.embed(ids, x);
    const feeds: Values = { x: float32(x, [B, T, hiddenSize]), ...rows.state };
    const tables = new AngleTables(this.config, rotated, positions.length);
    tables.fill(positions);
    Object.assign(feeds, tables.values);
    for (const [layer, values] of rows.growing) {
      for (const [name, value] of Object.entries(values)) feeds[`${layer}.${name}`] = value as Value;
    }
    if (rows.growing.size > 0) {
      feeds.hidden = rows.hidden;
      feeds.bias = float32(bias(rows, T), [B, T, rows.tail + T]);
    }
    return this.store.memory.run(program, feeds);
  }

  /** The sequences go over to what a run has given. */
  private async follow(before: Rows, results: Values, sequences: readonly DeviceSequence[]): Promise<void> {
    const state = Object.fromEntries(Object.keys(before.state).map((name) => [name, results[name]!]));
    const growing = new Map(
      [...before.growing].map(([layer, { pastK, pastV }]) => [
        layer,
        { pastK, pastV, tailK: results[`${layer}.tailK`]!, tailV: results[`${layer}.tailV`]! },
      ]),
    );
    const { hidden, starts } = before;
    const rows = new Rows(this.store, { state, growing, hidden, starts });
    for (const sequence of sequences) sequence.move(rows, sequence.row);
    rows.release();
    if (rows.tail > TAIL) await rows.settle();
  }

  /** Has the sequences be all rows of the same rows. */
  private async gathered(sequences: readonly DeviceSequence[]): Promise<Rows> {
    const [first] = sequences as [DeviceSequence];
    const alike = sequences.every(({ rows }) => rows === first.rows);
    if (
      alike &&
      sequences.length === first.rows.size &&
      new Set(sequences.map(({ row }) => row)).size === first.rows.size
    ) {
      return first.rows;
    }
    const groups = new Map<Rows, DeviceSequence[]>();
    for (const sequence of sequences)
      groups.set(sequence.rows, [...(groups.get(sequence.rows) ?? []), sequence]);
    const parts: Rows[] = [];
    try {
      for (const [rows, members] of groups) {
        const settled = await rows.settled();
        parts.push(await settled.select(members.map(({ row }) => row)));
        settled.release();
      }
      const joined = await Rows.join(parts);
      for (const [row, sequence] of [...groups.values()].flat().entries()) sequence.move(joined, row);
      joined.release();
    } finally {
      for (const part of parts) part.release();
    }
    return first.rows;
  }

  /** Logits of rows of hidden states [.., D], which are freed unless they are kept. */
  private async logits(x: Value, free = true): Promise<Float32Array[]> {
    const logits = await this.onHead(x, free);
    const all = await this.store.tools.read(logits);
    this.store.memory.free(logits);
    const { vocabSize } = this.config;
    return Array.from({ length: all.length / vocabSize }, (_, i) =>
      all.subarray(i * vocabSize, (i + 1) * vocabSize),
    );
  }

  private async onHead(x: Value, free = true): Promise<Value> {
    const { logits } = await this.store.memory.run(this.head, { x });
    if (free) this.store.memory.free(x);
    return logits!;
  }

  /** Values first: freeing one after the session that computed it ends the process. */
  async dispose(): Promise<void> {
    const pieces = await this.pieces?.catch(() => null);
    await this.store.memory.dispose();
    await this.steps.program.dispose();
    await pieces?.program.dispose();
    await this.head.dispose();
  }
}

async function compileDecoder(
  config: ModelConfig,
  form: 'step' | 'piece',
  source: EngineWeights,
  options: RunsOptions,
): Promise<Decoder> {
  const { outputs, weights, rotated } = recordDecoder(config, form, PADDED_PIECE);
  const program = await compileWith(source, outputs, weights, {
    ...options,
    keepOnDevice: 'all',
    fewRows: form === 'step',
  });
  return { program, rotated };
}

/** What is added to scores of the tail and the tokens at hand [B, T, R + T]: places before the start, later tokens. */
function bias({ starts, past, tail }: Rows, T: number): Float32Array {
  const S = tail + T;
  const values = new Float32Array(starts.length * T * S);
  for (const [b, start] of starts.entries()) {
    for (let t = 0; t < T; t++) {
      const row = values.subarray((b * T + t) * S, (b * T + t + 1) * S);
      row.fill(MASKED, 0, Math.max(0, Math.min(tail, start - past)));
      row.fill(MASKED, tail + t + 1);
    }
  }
  return values;
}
