import { DEVICES, type Device } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { modelParameters } from '../model/parameters.ts';
import { DEVICE_DTYPES, type DeviceDtype } from '../model/quantized-tensors.ts';
import type { TensorSource } from '../model/tensor-source.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import { turn } from '../util/turn.ts';
import type { Batch } from './batch.ts';
import { EngineWeights } from './engine-weights.ts';
import { KV_DTYPES, type KvDtype } from './kv/blocks.ts';
import type { BatchGuard, EachLogits, Runs } from './runs.ts';
import type { Sequence } from './sequence.ts';
import type { SequenceContent } from './sequence-content.ts';
import type { Asked, TokenScores } from './token-scores.ts';
import type { TokenTree } from './token-tree.ts';

/**
 * The decoder compiled as a whole: given what the layers remember of earlier tokens, it takes further ones and says
 * what may follow the last. Prompts are read in pieces of one sequence; a step takes one token.
 */

export interface EngineOptions {
  device?: Device;
  /** Of ONNX Runtime; 0 for all cores. */
  threads?: number;
  /** Of the weights: as they are stored when absent, in few bits, as float32, or on a device as float16. */
  dtype?: DeviceDtype;
  /** Sequences will take their steps in batches: that is what is compiled first, on the CPU. */
  batches?: boolean;
  /** Texts will be scored and none written: nothing is compiled for steps before there is one, on the CPU. */
  scoring?: boolean;
  /** @internal Writes what each op takes to files of this prefix, when the engine is disposed of. */
  profile?: string;
  /**
   * Of the keys and values of attention layers: all exact (f32), or full blocks of 4,096 tokens in 8 bits (q8), which is for
   * the CPU. When absent, as weights are: q8 where those have few bits.
   */
  kvDtype?: KvDtype;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * Where a program is not type-checked, options may be anything.
 *
 * @throws InputError naming the value and what was expected
 */
export function checkOptions(options: Pick<EngineOptions, 'device' | 'dtype' | 'kvDtype' | 'threads'>): void {
  const known = { device: DEVICES, dtype: DEVICE_DTYPES, kvDtype: KV_DTYPES };
  for (const name of ['device', 'dtype', 'kvDtype'] as const) {
    const values: readonly unknown[] = known[name];
    if (options[name] === undefined || values.includes(options[name])) continue;
    throw new InputError(`${name} is ${shown(options[name])}, expected one of ${values.join(', ')}`);
  }
  const { threads = 0 } = options;
  if (Number.isSafeInteger(threads) && threads >= 0) return;
  throw new InputError(`threads is ${shown(threads)}, expected a whole number of at least 0`);
}

const shown = (value: unknown) => (typeof value === 'string' ? JSON.stringify(value) : String(value));

export class Engine {
  private turn: Promise<unknown> = Promise.resolve();
  private disposed = false;

  private constructor(
    readonly config: ModelConfig,
    /** Of keys and values. */
    readonly kvDtype: KvDtype,
    private readonly runs: Runs,
  ) {}

  /**
   * Reads all weights and compiles the model for single tokens; for prompts it is compiled when there is the first.
   *
   * @param weights are read again then
   * @throws InputError for an option that is none of its values, and for weights that are missing, of the wrong shape or
   * not finite
   */
  static async create(
    config: ModelConfig,
    weights: TensorSource,
    options: EngineOptions = {},
  ): Promise<Engine> {
    checkOptions(options);
    const { device = 'cpu', threads, dtype, batches, scoring, profile, onProgress, signal } = options;
    if (dtype === 'f16' && device === 'cpu') {
      throw new InputError("dtype f16 is for device 'webgpu'; on the CPU weights are f32, q8 or q4");
    }
    if (options.kvDtype === 'q8' && device !== 'cpu') {
      throw new InputError(`kvDtype q8 is for device 'cpu'; on ${device} keys and values are f32`);
    }
    const source = new EngineWeights(config, weights, dtype, device === 'cpu');
    const { kvDtype = device === 'cpu' && source.fewBits ? 'q8' : 'f32' } = options;
    // All but the embedding, which is the head's if it is tied.
    const total = modelParameters(config).length - (config.tieWordEmbeddings ? 0 : 1);
    const compiling = { threads, profile, reading: { onProgress, signal }, total };
    // Each is loaded when it is needed: a page has a use for one of them.
    const runs =
      device === 'cpu'
        ? await (await import('./host-runs.ts')).HostRuns.create(config, source, {
            ...compiling,
            kvDtype,
            batches,
            scoring,
          })
        : await (await import('./device/device-runs.ts')).DeviceRuns.create(config, source, {
            ...compiling,
            device,
          });
    return new Engine(config, kvDtype, runs);
  }

  /** The longest sequence in tokens. */
  get contextLength(): number {
    return this.config.maxPositionEmbeddings;
  }

  /** A sequence without tokens. */
  start(): Sequence {
    return this.runs.start();
  }

  /** @internal Sequences of so many tokens that nobody has read, for measurements at long contexts. */
  drawn(count: number, tokens: number): Promise<Sequence[]> {
    return this.exclusively(() => this.runs.drawn(count, tokens));
  }

  /** @internal What a sequence remembers, for its file. */
  content(sequence: Sequence): Promise<SequenceContent> {
    return this.exclusively(() => this.runs.content(sequence));
  }

  /** @internal A sequence of so many tokens that remembers this. */
  restored(content: SequenceContent, tokens: number): Promise<Sequence> {
    return this.exclusively(() => this.runs.restored(content, tokens));
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
    if (ids.length === 1 && !each) return this.exclusively(() => this.runs.step(sequence, ids[0]!));
    let logits: Float32Array | undefined;
    for (let done = 0; done < ids.length; ) {
      await turn();
      signal?.throwIfAborted();
      const piece = ids.slice(done, done + this.runs.pieceAt(sequence.length));
      done += piece.length;
      logits = await this.exclusively(() => this.runs.read(sequence, piece, done === ids.length, each));
      onProgress?.({ stage: 'read prompt', done, total: ids.length, unit: 'tokens' });
    }
    return logits!;
  }

  /**
   * Adds tokens to a sequence as `append` does, and scores tokens that may follow, at some places only.
   *
   * @param ids at least one
   * @param asked about places among those that are added, in ascending order
   * @throws InputError as `append` does
   */
  async score(
    sequence: Sequence,
    ids: readonly number[],
    asked: readonly Asked[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<TokenScores[]> {
    sequence.check();
    this.check(sequence, ids);
    const scores: TokenScores[] = [];
    for (let done = 0; done < ids.length; ) {
      await turn();
      signal?.throwIfAborted();
      const from = sequence.length;
      const piece = ids.slice(done, done + this.runs.pieceAt(from));
      done += piece.length;
      const own = asked.filter(({ place }) => place >= from && place < from + piece.length);
      scores.push(...(await this.exclusively(() => this.runs.score(sequence, piece, own))));
    }
    return scores;
  }

  /** Whether `scoreTrees` reads this model: on the CPU, where each mixer has a form for any number of tokens. */
  get readsTrees(): boolean {
    return this.runs.readsTrees;
  }

  /**
   * Scores of tokens that may follow in sequences that are read from their starts, those with common beginnings as trees.
   * All are worked on at once: their tokens are what bounds the memory, and the square of the largest tree's.
   *
   * @param trees of sequences that `check` finds right
   * @param asked of each tree, by the places of its tokens; at least one in all
   */
  scoreTrees(trees: readonly TokenTree[], asked: readonly (readonly Asked[])[]): Promise<TokenScores[][]> {
    return this.exclusively(() => this.runs.scoreTrees(trees, asked));
  }

  /**
   * Sequences that take their steps together.
   *
   * @param room for so many of them, before it grows
   */
  batch(room?: number): Batch {
    const guard: BatchGuard = {
      check: (sequence, id) => this.check(sequence, [id]),
      exclusively: (run) => this.exclusively(run),
    };
    return this.runs.batch(guard, room);
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

  /** Frees the memory once the run under way has ended. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.turn;
    await this.runs.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
