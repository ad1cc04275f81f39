import {
  add,
  addDims,
  type Device,
  type Dim,
  fill,
  float32,
  input,
  int64,
  mulDims,
  Program,
  pad,
  slice,
  type Tensor,
  type Values,
  zeros,
} from '../graph/index.ts';
import type { MixerOutput } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import {
  embed,
  head,
  type MixerOptions,
  mixerBlock,
  mlpBlock,
  under,
  weightInputs,
} from '../model/decoder.ts';
import { layerPrefix, modelParameters } from '../model/parameters.ts';
import type { TensorSource } from '../model/tensor-source.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';

/**
 * The decoder compiled as a whole, for one sequence at a time: given what the layers remember of earlier tokens, it
 * takes further ones and says what may follow the last. Layers whose mixers take any number of tokens make one
 * program for prompts and single tokens alike. With recurrences among them there are two: single tokens in the
 * recurrent form, with the weights as initialisers, which ONNX Runtime packs; and pieces of prompts in the chunk
 * form, with the same weights as inputs, so that no third copy of them is held.
 */

/** Tokens that are worked on at once where the mixers take any number, which bounds memory. */
const LONGEST_PIECE = 512;
/** Sizes of pieces where recurrences are cut into chunks: the graph is made for each. */
const CHUNK_PIECES = [64, 256];

/** A sequence that is being read or written: how long it is and what the layers remember of it. */
export interface Sequence {
  /** In tokens. */
  readonly length: number;
  /** By layer and name of the mixers' interface, `2.k`. */
  readonly state: Values;
}

export interface EngineOptions {
  device?: Device;
  /** Of ONNX Runtime; 0 for all cores. */
  threads?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

export class Engine {
  private readonly chunkPrograms = new Map<number, Promise<Program>>();
  private disposed = false;

  private constructor(
    readonly config: ModelConfig,
    private readonly step: Program,
    /** Weights for programs of chunks; null where the step takes any number of tokens. */
    private readonly chunkWeights: Values | null,
    private readonly options: EngineOptions,
  ) {}

  /**
   * Reads all weights and compiles the model.
   *
   * @throws InputError for weights that are missing, of the wrong shape or not finite
   */
  static async create(
    config: ModelConfig,
    weights: TensorSource,
    options: EngineOptions = {},
  ): Promise<Engine> {
    const { device, threads, onProgress, signal } = options;
    const values: Values = {};
    const parameters = modelParameters(config);
    for (const [i, { name, shape }] of parameters.entries()) {
      values[name] = float32(weights.read(name), shape);
      onProgress?.({ stage: 'load weights', done: i + 1, total: parameters.length, unit: 'tensors' });
      // Reading blocks: the event loop turns between tensors, so that `signal` can end it.
      await new Promise(setImmediate);
      signal?.throwIfAborted();
    }
    const anyLength = config.layers.every((spec) => mixerOf(spec).anyLength);
    const graph = decoderGraph(config, anyLength ? 'T' : 1);
    const step = await Program.compile(graph.outputs, {
      device,
      threads,
      weights: new Map(Object.entries(graph.weights).map(([name, tensor]) => [tensor, values[name]!])),
    });
    return new Engine(config, step, anyLength ? null : values, { device, threads });
  }

  /** The longest sequence in tokens. */
  get contextLength(): number {
    return this.config.maxPositionEmbeddings;
  }

  /** A sequence without tokens. */
  start(): Sequence {
    const state: Values = {};
    for (const { name, shape } of stateTensors(this.config)) {
      state[name] = zeros(shape.map((dim) => (dim === 'P' ? 0 : (dim as number))));
    }
    return { length: 0, state };
  }

  /**
   * Adds tokens to a sequence; the one that was given stays as it was.
   *
   * @param ids at least one
   * @returns the longer sequence, and the logits of what may follow it [vocabulary]
   * @throws InputError for an id outside the vocabulary, or when the context does not hold so many tokens
   */
  async append(
    sequence: Sequence,
    ids: readonly number[],
    { onProgress, signal }: { onProgress?: OnProgress; signal?: AbortSignal } = {},
  ): Promise<{ sequence: Sequence; logits: Float32Array }> {
    this.check(sequence, ids);
    let { length, state } = sequence;
    let logits: Float32Array | undefined;
    for (let done = 0; done < ids.length; ) {
      signal?.throwIfAborted();
      const { program, weights, size } = await this.programFor(ids.length - done);
      if (this.disposed) throw new Error('the model has been disposed of');
      const piece = ids.slice(done, done + size);
      const positions = piece.map((_, i) => length + i);
      const shape = [1, piece.length];
      const { logits: last, ...remembered } = await program.run({
        ...weights,
        ...state,
        ids: int64(piece, shape),
        // Without attention no layer asks where a token stands.
        ...(program.inputNames.includes('positions') ? { positions: int64(positions, shape) } : {}),
      });
      state = remembered;
      length += piece.length;
      done += piece.length;
      logits = last!.data as Float32Array;
      if (ids.length > 1) onProgress?.({ stage: 'read prompt', done, total: ids.length, unit: 'tokens' });
    }
    return { sequence: { length, state }, logits: logits! };
  }

  private check({ length }: Sequence, ids: readonly number[]): void {
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

  /** The program for the next tokens when so many remain, and how many it takes. */
  private async programFor(remaining: number): Promise<{ program: Program; weights: Values; size: number }> {
    const weights = this.chunkWeights;
    if (!weights) return { program: this.step, weights: {}, size: LONGEST_PIECE };
    if (remaining === 1) return { program: this.step, weights: {}, size: 1 };
    const size = CHUNK_PIECES.findLast((piece) => piece <= remaining) ?? CHUNK_PIECES[0]!;
    let program = this.chunkPrograms.get(size);
    if (!program) {
      const { device, threads } = this.options;
      program = Program.compile(decoderGraph(this.config, 'T', size).outputs, { device, threads });
      program.catch(() => this.chunkPrograms.delete(size));
      this.chunkPrograms.set(size, program);
    }
    return { program: await program, weights, size };
  }

  /** Frees the memory once runs under way have ended. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.step.dispose();
    for (const program of this.chunkPrograms.values()) await (await program).dispose();
    this.chunkPrograms.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/** Every part of the state, under the name it has in a sequence, for one sequence. */
function stateTensors(config: ModelConfig): { name: string; shape: Dim[] }[] {
  return config.layers.flatMap((spec, i) =>
    mixerOf(spec)
      .state(spec, config)
      .map(({ name, shape }) => ({
        name: `${i}.${name}`,
        shape: shape.map((dim) => (dim === 'B' ? 1 : dim)),
      })),
  );
}

/**
 * The decoder over T tokens that follow others: inputs `ids` and `positions` [1, T], the state and the weights;
 * outputs `logits` of the last token [1, 1, vocabulary] and the state.
 *
 * @param T 1, or symbolic
 * @param size the largest T, for recurrences, which are computed in chunks then
 */
function decoderGraph(
  config: ModelConfig,
  T: Dim,
  size?: number,
): { outputs: Record<string, Tensor>; weights: Record<string, Tensor> } {
  const weights = weightInputs(modelParameters(config));
  const ids = input('ids', 'int64', [1, T]);
  const positions = input('positions', 'int64', [1, T]);
  const states = Object.fromEntries(
    stateTensors(config).map(({ name, shape }) => [name, input(name, 'float32', shape)]),
  );
  const outputs: Record<string, Tensor> = {};
  let x = embed(ids, weights);
  let firstValues: Tensor | undefined;
  for (const [i, spec] of config.layers.entries()) {
    const layerWeights = under(layerPrefix(i), weights);
    const options: MixerOptions = {
      form: size === undefined ? 'recurrent' : 'chunk',
      state: under(`${i}.`, states),
      positions,
      maxPositions: config.maxPositionEmbeddings,
      firstValues,
    };
    const block = (x: Tensor, more: Partial<MixerOptions> = {}) =>
      mixerBlock(config, spec, x, layerWeights, { ...options, ...more });
    const { y, state, ...rest } =
      size === undefined || mixerOf(spec).anyLength ? block(x) : padded(x, positions, size, block);
    x = mlpBlock(config, add(x, y), layerWeights);
    firstValues ??= rest.firstValues;
    for (const [name, tensor] of Object.entries(state)) outputs[`${i}.${name}`] = tensor;
  }
  outputs.logits = head(config, slice(x, 1, -1), weights);
  return { outputs, weights };
}

/**
 * A mixer that needs a static number of tokens, on x [1, T, D] with symbolic T up to `size`: padded on the right, which
 * the mask tells it.
 */
function padded(
  x: Tensor,
  positions: Tensor,
  size: number,
  block: (x: Tensor, more: Partial<MixerOptions>) => MixerOutput,
): MixerOutput {
  const [B, T] = x.shape as [Dim, Dim];
  const rest = addDims(size, mulDims(T, -1));
  const { y, ...others } = block(pad(x, 1, 0, rest), {
    mask: pad(fill(1, [B, T]), 1, 0, rest),
    positions: pad(positions, 1, 0, rest),
  });
  // Values for later layers stay padded: those layers are, too.
  return { y: slice(y, 1, 0, T), ...others };
}
