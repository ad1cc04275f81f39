import { type Device, float32, type Program, type Values } from '../graph/index.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { modelParameters } from '../model/parameters.ts';
import type { WeightDtype } from '../model/quantized-tensors.ts';
import type { TensorSource } from '../model/tensor-source.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import { turn } from '../util/turn.ts';
import { Batch } from './batch.ts';
import { CachedAttentionPrograms } from './cached-attention.ts';
import { EngineWeights } from './engine-weights.ts';
import { KvCache } from './kv-cache.ts';
import { Lane, like } from './lane.ts';
import { cachedLayers, compileHead, fixedState, Segments } from './segments.ts';
import { Sequence } from './sequence.ts';

/**
 * The decoder compiled as a whole: given what the layers remember of earlier tokens, it takes further ones and says
 * what may follow the last. Prompts are read in pieces of one sequence; a step takes one token.
 */

/** Tokens of a prompt that are worked on at once, which bounds memory. */
const LONGEST_PIECE = 512;
/** The same where a mixer has no fused form, so that it works on pieces padded to this size. */
const PADDED_PIECE = 64;

/** Tokens whose logits are computed at once where those of all tokens are asked for. */
const HEAD_ROWS = 32;

export type EachLogits = (place: number, logits: Float32Array) => void;

export interface EngineOptions {
  device?: Device;
  /** Of ONNX Runtime; 0 for all cores. */
  threads?: number;
  /** Of the weights: as they are stored when absent, in few bits or as float32. */
  dtype?: WeightDtype;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

export class Engine {
  private readonly piece: number;
  private pieces: Promise<{ segments: Segments; spare: Values }> | null = null;
  /** Steps of a sequence, which keep their buffers. */
  private readonly lanes = new WeakMap<Sequence, { lane: Lane; logits: () => Promise<Values> }>();
  private turn: Promise<unknown> = Promise.resolve();
  private disposed = false;

  private constructor(
    readonly config: ModelConfig,
    private readonly weights: EngineWeights,
    /** Writes rows of the embedding [T, D]. */
    private readonly embed: (ids: readonly number[], into: Float32Array) => void,
    private readonly steps: Segments,
    private readonly head: Program,
    private readonly attention: CachedAttentionPrograms,
    private readonly options: Pick<EngineOptions, 'device' | 'threads'>,
  ) {
    const fused = config.layers.every((spec) => mixerOf(spec).cached || mixerOf(spec).fused);
    this.piece = fused ? LONGEST_PIECE : PADDED_PIECE;
  }

  /**
   * Reads all weights and compiles the model for single tokens; for prompts it is compiled when there is the first.
   *
   * @param weights are read again then
   * @throws InputError for weights that are missing, of the wrong shape or not finite
   */
  static async create(
    config: ModelConfig,
    weights: TensorSource,
    options: EngineOptions = {},
  ): Promise<Engine> {
    const { device, threads, dtype, onProgress, signal } = options;
    const source = new EngineWeights(config, weights, dtype);
    const embed = source.embedding();
    // All but the embedding, which is the head's if it is tied.
    const total = modelParameters(config).length - (config.tieWordEmbeddings ? 0 : 1);
    const compiling = { device, threads, reading: { onProgress, signal }, total };
    const steps = await Segments.compile(config, 'step', source, { ...compiling, padTo: 1 });
    try {
      const head = await compileHead(config, source, compiling);
      const { numHeads: H, numKvHeads: KV, headDim: d } = config;
      const attention = new CachedAttentionPrograms({ H, KV, d }, { device, threads });
      return new Engine(config, source, embed, steps, head, attention, { device, threads });
    } catch (error) {
      await steps.dispose();
      throw error;
    }
  }

  /** The longest sequence in tokens. */
  get contextLength(): number {
    return this.config.maxPositionEmbeddings;
  }

  /** A sequence without tokens. */
  start(): Sequence {
    const { numKvHeads: heads, headDim: width } = this.config;
    const caches = cachedLayers(this.config).map(({ window }) => new KvCache({ heads, width, window }));
    return new Sequence(fixedState(this.config), caches);
  }

  /**
   * Adds tokens to a sequence. Where it fails between pieces of a prompt, or for want of memory, the sequence is left
   * with the tokens that were added until then, and can be gone on from.
   *
   * @param ids at least one
   * @param options.each is given the logits after every token, by its place in the sequence, valid during the call
   * @returns the logits of what may follow [vocabulary], valid until the sequence is next appended to
   * @throws InputError for an id outside the vocabulary, or when the context does not hold so many tokens
   */
  async append(
    sequence: Sequence,
    ids: readonly number[],
    options: { onProgress?: OnProgress; signal?: AbortSignal; each?: EachLogits } = {},
  ): Promise<Float32Array> {
    const { onProgress, signal, each } = options;
    sequence.check();
    this.check(sequence, ids);
    if (ids.length === 1 && !each) return this.exclusively(() => this.step(sequence, ids[0]!));
    let logits: Float32Array | undefined;
    for (let done = 0; done < ids.length; ) {
      await turn();
      signal?.throwIfAborted();
      // Pieces end at fixed places of a sequence, wherever they begin, so that the same tokens are read alike.
      const piece = ids.slice(done, done + this.piece - (sequence.length % this.piece));
      done += piece.length;
      logits = await this.exclusively(() => this.read(sequence, piece, done === ids.length, each));
      onProgress?.({ stage: 'read prompt', done, total: ids.length, unit: 'tokens' });
    }
    return logits!;
  }

  /** Sequences that take their steps together. */
  batch(): Batch {
    return new Batch(this.config, {
      segments: this.steps,
      head: this.head,
      attention: this.attention,
      embed: this.embed,
      check: (sequence, id) => this.check(sequence, [id]),
      exclusively: (run) => this.exclusively(run),
    });
  }

  /** @throws InputError for tokens that cannot follow after so many */
  check({ length }: Pick<Sequence, 'length'>, ids: readonly number[]): void {
    if (ids.length === 0) throw new InputError('there are no tokens to go on from: the prompt is empty');
    const { vocabSize } = this.config;
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new InputError(`token id ${wrong} is not in the vocabulary, expected 0 to ${vocabSize - 1}`);
    }
    if (length + ids.length > this.contextLength) {
      const given = length > 0 ? `${length} tokens and ${ids.length} more` : `${ids.length} tokens`;
      throw new InputError(`${given} do not fit the model's context of ${this.contextLength} tokens`);
    }
  }

  /** Runs share buffers, so they wait for each other. */
  private exclusively<T>(run: () => Promise<T>): Promise<T> {
    const result = this.turn.then(() => {
      if (this.disposed) throw new Error('the model has been disposed of');
      return run();
    });
    this.turn = result.catch(() => {});
    return result;
  }

  /** One token, the states in place. */
  private async step(sequence: Sequence, id: number): Promise<Float32Array> {
    for (const cache of sequence.caches) cache.reserve(1);
    let known = this.lanes.get(sequence);
    if (!known) {
      const lane = new Lane(this.config, this.steps, 1, 1, sequence.state, sequence.state);
      const { hiddenSize, vocabSize } = this.config;
      const x = float32(lane.x, [1, 1, hiddenSize]);
      const logits = this.head.prepare(
        { x },
        { logits: float32(new Float32Array(vocabSize), [1, 1, vocabSize]) },
      );
      known = { lane, logits };
      this.lanes.set(sequence, known);
    }
    this.embed([id], known.lane.x);
    await sequence.writing(1, () => known.lane.run([sequence.length], [sequence.caches], this.attention));
    return (await known.logits()).logits!.data as Float32Array;
  }

  /** A piece of a prompt. */
  private async read(
    sequence: Sequence,
    ids: readonly number[],
    last: boolean,
    each: EachLogits | undefined,
  ): Promise<Float32Array | undefined> {
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
    const { hiddenSize, vocabSize } = this.config;
    const logits = async (from: number, to: number) => {
      const rows = lane.x.subarray(from * hiddenSize, to * hiddenSize);
      const { logits } = await this.head.run({ x: float32(rows, [1, to - from, hiddenSize]) });
      return logits!.data as Float32Array;
    };
    for (let from = 0; each && from < T; from += HEAD_ROWS) {
      const to = Math.min(T, from + HEAD_ROWS);
      const all = await logits(from, to);
      for (let i = from; i < to; i++) {
        each(length + i, all.subarray((i - from) * vocabSize, (i - from + 1) * vocabSize));
      }
    }
    return last ? logits(T - 1, T) : undefined;
  }

  private forPieces(): Promise<{ segments: Segments; spare: Values }> {
    this.pieces ??= this.compilePieces();
    this.pieces.catch(() => {
      this.pieces = null;
    });
    return this.pieces;
  }

  private async compilePieces(): Promise<{ segments: Segments; spare: Values }> {
    const { device, threads } = this.options;
    const options = { device, threads, padTo: PADDED_PIECE };
    const segments = await Segments.compile(this.config, 'piece', this.weights, options);
    const spare = Object.entries(this.start().state).map(([name, value]) => [name, like(value)]);
    return { segments, spare: Object.fromEntries(spare) as Values };
  }

  /** Frees the memory once the run under way has ended. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.turn;
    await this.steps.dispose();
    await this.head.dispose();
    await this.attention.dispose();
    await (await this.pieces?.catch(() => null))?.segments.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
