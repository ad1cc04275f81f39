import {
  argMax,
  type Dim,
  float32,
  input,
  int64,
  logSoftmax,
  type Memory,
  memoryOf,
  type Program,
  pick,
  reshape,
  type Tensor,
  take,
  type Value,
  type Values,
} from '../graph/index.ts';
import type { Parameter } from '../mixers/mixer.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from './config.ts';
import { decoderLayer, head, mixerBlock, weightInputs } from './decoder.ts';
import { layerParameters } from './parameters.ts';
import type { TensorSource } from './tensor-source.ts';

/**
 * The decoder in pieces: one program per kind of mixer, whatever the number of layers, which takes the weights of
 * a layer as inputs. Search and training call it layer by layer, so that sampling another path compiles nothing.
 */

/** Reads weights as values for programs. */
export function readValues(weights: TensorSource, names: readonly string[], prefix = ''): Values {
  return Object.fromEntries(
    names.map((name) => [name, float32(weights.read(prefix + name), weights.info(prefix + name).shape)]),
  );
}

export interface BatchShape {
  /** Sequences. */
  batch: number;
  /** Tokens of each. */
  length: number;
}

/**
 * Programs for batches of one shape; with a symbol for the batch, of any number of sequences. Compiled when first
 * asked for; dispose of them when done.
 */
export class LayerPrograms {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(
    readonly config: ModelConfig,
    readonly shape: { batch: Dim; length: number },
    /** Where weights and hidden states lie. Results belong to the caller, who frees them there. */
    readonly memory: Memory = memoryOf('cpu'),
    private readonly threads = 0,
  ) {}

  /** Compiles `build`'s outputs once under this key; `read` if the caller reads them. */
  compiled(
    key: string,
    build: () => Record<string, Tensor>,
    { read = false }: { read?: boolean } = {},
  ): Promise<Program> {
    const known = this.programs.get(key);
    if (known) return known;
    const program = this.memory.compile(build(), { threads: this.threads, read });
    this.programs.set(key, program);
    return program;
  }

  /** The symbolic hidden states of a batch, [B, T, D]. */
  hidden(name: string): Tensor {
    return input(name, 'float32', [this.shape.batch, this.shape.length, this.config.hiddenSize]);
  }

  /** Token ids [B * T] -> hidden states [B, T, D]. */
  async embed(ids: ArrayLike<number>, table: Value): Promise<Value> {
    const { batch, length } = this.shape;
    const { vocabSize, hiddenSize } = this.config;
    const program = await this.compiled('embed', () => ({
      y: take(input('table', 'float32', [vocabSize, hiddenSize]), input('ids', 'int64', [batch, length])),
    }));
    const feeds = { ...(await this.memory.place({ table })), ids: int64(ids, [ids.length / length, length]) };
    return (await this.memory.run(program, feeds)).y!;
  }

  /** By row, whether the window counts (MixerInput): symbolic, under the name of the feed. */
  windowKept(): Tensor {
    return input('window_kept', 'float32', [this.shape.batch]);
  }

  /**
   * x through a layer: what its mixer adds, and the hidden states after it.
   *
   * @param kept of which rows the window counts, where not of all [B]
   */
  async layer(spec: MixerSpec, x: Value, weights: Values, kept?: Value): Promise<{ mixed: Value; y: Value }> {
    const program = await this.compiled(`layer ${!!kept} ${JSON.stringify(spec)}`, () => {
      const inputs = weightInputs(layerParameters(this.config, spec));
      const { mixed, y } = decoderLayer(this.config, spec, this.hidden('x'), inputs, {
        form: 'chunk',
        ...(kept && { windowKept: this.windowKept() }),
      });
      return { mixed, y };
    });
    const { mixed, y } = await this.memory.run(program, {
      x,
      ...(await this.memory.place(weights)),
      ...(kept && { window_kept: kept }),
    });
    return { mixed: mixed!, y: y! };
  }

  /** What a layer's mixer adds to x, without the MLP after it. */
  async mixed(spec: MixerSpec, x: Value, weights: Values): Promise<Value> {
    const program = await this.compiled(`mixed ${JSON.stringify(spec)}`, () => {
      const inputs = weightInputs(layerParameters(this.config, spec));
      return { mixed: mixerBlock(this.config, spec, this.hidden('x'), inputs, { form: 'chunk' }).y };
    });
    const given: Values = { x, ...weights };
    const feeds = Object.fromEntries(program.inputNames.map((name) => [name, given[name]!]));
    return (await this.memory.run(program, await this.memory.place(feeds))).mixed!;
  }

  /**
   * What the model says of tokens at some positions, given all before them.
   *
   * @param x hidden states after the last layer
   * @param at for each question the flat index (row * T + position) of the hidden state that predicts it
   * @param candidates [questions, C] token ids
   * @returns log-probability of each candidate [questions * C], and the most probable token of each question
   */
  async answers(
    x: Value,
    at: ArrayLike<number>,
    candidates: ArrayLike<number>,
    weights: Values,
  ): Promise<{ logProbs: Float32Array; best: BigInt64Array }> {
    const build = () => {
      const { hiddenSize } = this.config;
      const rows = take(reshape(this.hidden('x'), [-1, hiddenSize]), input('at', 'int64', ['M']));
      const logProbs = logSoftmax(head(this.config, rows, weightInputs(headParameters(this.config))));
      return {
        logProbs: pick(logProbs, input('candidates', 'int64', ['M', 'C'])),
        best: argMax(logProbs),
      };
    };
    const program = await this.compiled('answers', build, { read: true });
    const M = at.length;
    const { logProbs, best } = await program.run({
      x,
      at: int64(at, [M]),
      candidates: int64(candidates, [M, candidates.length / M]),
      ...(await this.memory.place(headValues(this.config, weights))),
    });
    return { logProbs: logProbs!.data as Float32Array, best: best!.data as BigInt64Array };
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await this.memory.release(await program);
    this.programs.clear();
  }
}

/** The weights that the head needs, the norm before it included, by their full names. */
export function headParameters(config: ModelConfig): Pick<Parameter, 'name' | 'shape'>[] {
  const { hiddenSize, vocabSize, tieWordEmbeddings } = config;
  return [
    { name: 'model.norm.weight', shape: [hiddenSize] },
    {
      name: tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight',
      shape: [vocabSize, hiddenSize],
    },
  ];
}

/** The entries of `weights` that the head needs. */
export function headValues(config: ModelConfig, weights: Values): Values {
  return Object.fromEntries(headParameters(config).map(({ name }) => [name, weights[name]!]));
}
