import { type Device, float32, type Program, type Values } from '../graph/index.ts';
import { needsLength } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { type Batch, HostBatch } from './batch.ts';
import { draw } from './draw.ts';
import type { EngineWeights, Reading } from './engine-weights.ts';
import type { HostScoring } from './host-scoring.ts';
import { HostSequence } from './host-sequence.ts';
import type { KvDtype } from './kv/blocks.ts';
import { KvCache } from './kv/cache.ts';
import { type AttentionPrograms, CacheAttention } from './kv/cache-attention.ts';
import { Packer } from './kv/packed-blocks.ts';
import { Lane, like } from './lane.ts';
import type { BatchGuard, EachLogits, Runs } from './runs.ts';
import { compileHead, type Form, Segments } from './segments.ts';
import type { SequenceContent } from './sequence-content.ts';
import { cachedGroups, fixedState, hostState } from './sequence-parts.ts';
import type { Asked, TokenScores } from './token-scores.ts';
import type { TokenTree } from './token-tree.ts';
import { WholeLane } from './whole-lane.ts';

/**
 * The decoder over states and caches in the host's memory, which runs overwrite in place. Prompts are read in pieces of
 * one sequence; a step takes one token.
 */

/** Tokens of a prompt that are worked on at once, which bounds memory. */
const LONGEST_PIECE = 512;
/** The same where a mixer has no fused form, so that it works on pieces padded to this size. */
const PADDED_PIECE = 64;

/** Tokens whose logits are computed at once where those of all tokens are asked for. */
const HEAD_ROWS = 32;

export interface RunsOptions {
  device?: Device;
  threads?: number;
  /** Of keys and values; f32 when absent. */
  kvDtype?: KvDtype;
  reading?: Reading;
  /** Tensors that are read in all, for progress. */
  total?: number;
  /** Compile for steps of batches first. */
  batches?: boolean | undefined;
  /** Compile for steps when there is the first. */
  scoring?: boolean | undefined;
  /** Where profiles go to. */
  profile?: string;
}

type StepForm = Exclude<Form, 'piece'>;

/** Steps of a sequence, which keep their buffers, and the logits after the last one. */
interface Steps {
  form: StepForm;
  /** Over which they run. */
  state: Values;
  /** Of the embedded token, which is overwritten. */
  x: Float32Array;
  run: (position: number, caches: readonly KvCache[]) => Promise<void>;
  logits: () => Promise<Values>;
}

export class HostRuns implements Runs {
  private readonly piece: number;
  private readonly packer: Packer | null;
  private pieces: Promise<{ segments: Segments; spare: Values }> | null = null;
  /** The model for single tokens, in the forms that have been needed so far. */
  private readonly steps = new Map<StepForm, Promise<Segments>>();
  private readonly lanes = new WeakMap<HostSequence, Steps>();
  /** Loaded when it is needed: a page that generates has no use for it. */
  private scoring: Promise<HostScoring> | null = null;

  private constructor(
    private readonly config: ModelConfig,
    private readonly weights: EngineWeights,
    /** Writes rows of the embedding [T, D]. */
    private readonly embed: (ids: readonly number[], into: Float32Array) => void,
    private readonly head: Program,
    private readonly attention: AttentionPrograms,
    private readonly options: RunsOptions,
  ) {
    const longest = config.maxPositionEmbeddings;
    this.packer = options.kvDtype === 'q8' ? new Packer({ threads: options.threads, longest }) : null;
    this.piece = anyLength(config) ? LONGEST_PIECE : PADDED_PIECE;
  }

  /** Compiles the model for single tokens; for prompts it is compiled when there is the first. */
  static async create(config: ModelConfig, source: EngineWeights, options: RunsOptions): Promise<HostRuns> {
    const { reading, total, ...later } = options;
    const embed = source.embedding();
    const head = await compileHead(config, source, options);
    const { numHeads, numKvHeads, headDim: d } = config;
    const attention = new Map(
      cachedGroups(config).map(({ heads: { length: KV } }) => {
        const shape = { H: (numHeads / numKvHeads) * KV, KV, d };
        return [KV, new CacheAttention(shape, { threads: options.threads })];
      }),
    );
    const runs = new HostRuns(config, source, embed, head, attention, later);
    try {
      if (!options.scoring)
        await runs.compiled(options.batches || !runs.whole ? 'step' : 'whole', { reading, total });
      return runs;
    } catch (error) {
      await runs.dispose();
      throw error;
    }
  }

  /**
   * Whether there are whole steps: every token of a cache is seen. Forms that are spelt out may read what a layer remembers after it
   * has been overwritten, in a graph that is all there is.
   */
  private get whole(): boolean {
    const { config } = this;
    const all = cachedGroups(config).every(({ window }) => window === Number.POSITIVE_INFINITY);
    return all && anyLength(config);
  }

  private compiled(form: StepForm, reading: Pick<RunsOptions, 'reading' | 'total'> = {}): Promise<Segments> {
    const known = this.steps.get(form);
    if (known) return known;
    const options = { ...this.options, ...reading, padTo: 1 };
    const segments = Segments.compile(this.config, form, this.weights, options);
    this.steps.set(form, segments);
    segments.catch(() => this.steps.delete(form));
    return segments;
  }

  start(): HostSequence {
    const { headDim: width } = this.config;
    const caches = cachedGroups(this.config).map(
      ({ heads, window, sinks }) => new KvCache({ heads: heads.length, width, window, sinks }, this.packer),
    );
    return new HostSequence(hostState(this.config), caches);
  }

  async drawn(count: number, tokens: number): Promise<HostSequence[]> {
    const sequences = Array.from({ length: count }, () => this.start());
    for (const sequence of sequences) await sequence.writing(tokens, () => draw(sequence, tokens));
    return sequences;
  }

  async content({ state, caches }: HostSequence): Promise<SequenceContent> {
    return {
      state: this.reordered(state),
      caches: caches.map((cache) => ({ k: cache.rows('k'), v: cache.rows('v'), start: cache.start })),
    };
  }

  async restored({ state, caches }: SequenceContent, tokens: number): Promise<HostSequence> {
    const sequence = this.start();
    for (const [i, cache] of sequence.caches.entries()) {
      const { k, v, start } = caches[i]!;
      await cache.restore(k, v, start, tokens);
    }
    sequence.restore(this.reordered(state), tokens);
    return sequence;
  }

  /** States from the order that files have to the one that is kept here, or back. */
  private reordered(state: Values): Values {
    return Object.fromEntries(
      fixedState(this.config).map(({ name, transposed }) => {
        const value = state[name]!;
        if (!transposed) return [name, value];
        const [a, b] = value.dims.slice(-2) as [number, number];
        const rows = value.data as Float32Array;
        const columns = rows.map((_, i) => rows[(i % a) * b + Math.floor(i / a)]!);
        return [name, float32(columns, [...value.dims.slice(0, -2), b, a])];
      }),
    ) as Values;
  }

  /** Pieces end at fixed places of a sequence, wherever they begin, so that the same tokens are read alike. */
  pieceAt(place: number): number {
    return this.piece - (place % this.piece);
  }

  get readsTrees(): boolean {
    return anyLength(this.config);
  }

  async scoreTrees(
    trees: readonly TokenTree[],
    asked: readonly (readonly Asked[])[],
  ): Promise<TokenScores[][]> {
    return (await this.forScoring()).scoreTrees(trees, asked);
  }

  private forScoring(): Promise<HostScoring> {
    const { config, weights, embed, head, options } = this;
    this.scoring ??= import('./host-scoring.ts').then(
      ({ HostScoring }) => new HostScoring(config, weights, embed, head, options.threads),
    );
    return this.scoring;
  }

  batch(guard: BatchGuard, room = 0): Batch {
    const parts = {
      segments: () => this.compiled('step'),
      head: this.head,
      attention: this.attention,
      embed: this.embed,
      ...guard,
    };
    return new HostBatch(this.config, parts, room);
  }

  /** One token, the states in place. */
  async step(sequence: HostSequence, id: number): Promise<Float32Array> {
    const { caches, state, length } = sequence;
    const form = (this.whole && WholeLane.formFor(caches)) || 'step';
    const segments = await this.compiled(form);
    for (const cache of caches) cache.reserve(1);
    let steps = this.lanes.get(sequence);
    if (steps?.form !== form || steps.state !== state) {
      steps = { form, state, ...this.stepsOf(form, segments, state) };
      this.lanes.set(sequence, steps);
    }
    const { x, run, logits } = steps;
    this.embed([id], x);
    await sequence.writing(1, () => run(length, caches));
    return (await logits()).logits!.data as Float32Array;
  }

  private stepsOf(form: StepForm, segments: Segments, state: Values): Omit<Steps, 'form' | 'state'> {
    const { hiddenSize, vocabSize } = this.config;
    const withLogits = (x: Float32Array, run: Steps['run']) => {
      const logits = this.head.prepare(
        { x: float32(x, [1, 1, hiddenSize]) },
        { logits: float32(new Float32Array(vocabSize), [1, 1, vocabSize]) },
      );
      return { x, run, logits };
    };
    if (form === 'step') {
      const lane = new Lane(this.config, segments, 1, 1, state, state);
      return withLogits(lane.x, (position, caches) => lane.run([position], [caches], this.attention));
    }
    const lane = new WholeLane(this.config, segments, state);
    return withLogits(lane.x, (position, caches) => lane.run(position, caches));
  }

  /** A piece of a prompt. */
  async read(
    sequence: HostSequence,
    ids: readonly number[],
    last: boolean,
    each: EachLogits | undefined,
  ): Promise<Float32Array | undefined> {
    const T = ids.length;
    const first = sequence.length;
    const x = await this.readHidden(sequence, ids);
    const { hiddenSize, vocabSize } = this.config;
    const logits = async (from: number, to: number) => {
      const rows = x.subarray(from * hiddenSize, to * hiddenSize);
      const { logits } = await this.head.run({ x: float32(rows, [1, to - from, hiddenSize]) });
      return logits!.data as Float32Array;
    };
    for (let from = 0; each && from < T; from += HEAD_ROWS) {
      const to = Math.min(T, from + HEAD_ROWS);
      const all = await logits(from, to);
      for (let i = from; i < to; i++) {
        await each(first + i, all.subarray((i - from) * vocabSize, (i - from + 1) * vocabSize));
      }
    }
    return last ? logits(T - 1, T) : undefined;
  }

  async score(
    sequence: HostSequence,
    ids: readonly number[],
    asked: readonly Asked[],
  ): Promise<TokenScores[]> {
    const first = sequence.length;
    const x = await this.readHidden(sequence, ids);
    return (await this.forScoring()).scoreRows(x, first, asked);
  }

  /** Hidden states of the last layer [T, D] after each token of a piece. */
  private async readHidden(sequence: HostSequence, ids: readonly number[]): Promise<Float32Array> {
    for (const cache of sequence.caches) cache.reserve(ids.length);
    const { segments, spare } = await this.forPieces();
    const { state, caches, length } = sequence;
    const T = ids.length;
    const lane = new Lane(this.config, segments, 1, T, state, spare);
    this.embed(ids, lane.x);
    await sequence.writing(T, async () => {
      await lane.run(
        ids.map((_, i) => length + i),
        [caches],
        this.attention,
      );
      // Not in place: chunk forms read the old state after they have written the new one.
      for (const [name, value] of Object.entries(spare)) {
        (state[name]!.data as Float32Array).set(value.data as Float32Array);
      }
    });
    return lane.x;
  }

  private forPieces(): Promise<{ segments: Segments; spare: Values }> {
    this.pieces ??= this.compilePieces();
    this.pieces.catch(() => {
      this.pieces = null;
    });
    return this.pieces;
  }

  private async compilePieces(): Promise<{ segments: Segments; spare: Values }> {
    const { threads } = this.options;
    const options = { threads, padTo: PADDED_PIECE };
    const segments = await Segments.compile(this.config, 'piece', this.weights, options);
    const spare = Object.entries(this.start().state).map(([name, value]) => [name, like(value)]);
    return { segments, spare: Object.fromEntries(spare) as Values };
  }

  async dispose(): Promise<void> {
    for (const steps of this.steps.values()) await (await steps.catch(() => null))?.dispose();
    await (await this.scoring)?.dispose();
    await this.head.dispose();
    for (const programs of this.attention.values()) await programs.dispose();
    await this.packer?.[Symbol.asyncDispose]();
    await (await this.pieces?.catch(() => null))?.segments.dispose();
  }
}

/** Whether every mixer has a form for any number of tokens. */
function anyLength(config: ModelConfig): boolean {
  return !config.layers.some(needsLength);
}
