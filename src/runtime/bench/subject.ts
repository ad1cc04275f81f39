import { float32 } from '../../graph/index.ts';
import { mixerOf } from '../../mixers/registry.ts';
import type { ModelConfig } from '../../model/config.ts';
import { countParameters, modelParameters } from '../../model/parameters.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import type { OnProgress } from '../../util/progress.ts';
import { Random } from '../../util/random.ts';
import { Engine, type Sequence } from '../engine.ts';
import { argMaxOf } from '../sampler.ts';

/** What the benchmarks measure. This file alone knows how the engine is called. */

/** Of weights, as far as the engine has them. */
export const BENCH_DTYPES = ['f32'] as const;
export type BenchDtype = (typeof BENCH_DTYPES)[number];

/** Sequences that the engine decodes together at most. */
export const MAX_BATCH = 1;

/** Bytes of a number in caches and in the inputs that convolutions keep. */
export const CACHE_VALUE_BYTES = 4;

export interface SubjectOptions {
  dtype?: BenchDtype;
  threads?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** A model at work on one batch of sequences of equal length, each with greedy decoding. */
export class Subject implements AsyncDisposable {
  private sequences: Sequence[] = [];
  private next: number[] = [];

  private constructor(
    readonly config: ModelConfig,
    private readonly engine: Engine,
    private readonly random: Random,
  ) {}

  static async open(
    config: ModelConfig,
    weights: TensorSource,
    { threads, onProgress, signal }: SubjectOptions = {},
  ): Promise<Subject> {
    const engine = await Engine.create(config, weights, { threads, onProgress, signal });
    return new Subject(config, engine, new Random(1));
  }

  /** Reads prompts of uniformly drawn tokens up to the first token that follows each. */
  async prefill(
    batch: number,
    tokens: number,
    options: { onProgress?: OnProgress; signal?: AbortSignal } = {},
  ): Promise<void> {
    // What was there may be large: it goes before the new grows.
    this.sequences = [];
    const sequences: Sequence[] = [];
    this.next = [];
    for (let i = 0; i < batch; i++) {
      const ids = Array.from({ length: tokens }, () => this.random.below(this.config.vocabSize));
      const { sequence, logits } = await this.engine.append(this.engine.start(), ids, options);
      sequences.push(sequence);
      this.next.push(argMaxOf(logits));
    }
    this.sequences = sequences;
  }

  /** Makes sequences of so many tokens without reading any: states and caches are drawn. */
  fill(batch: number, tokens: number): void {
    this.sequences = [];
    this.next = Array.from({ length: batch }, () => this.random.below(this.config.vocabSize));
    for (let i = 0; i < batch; i++) {
      this.sequences.push({ length: tokens, state: drawnState(this.config, tokens, this.random) });
    }
  }

  /** One more token for each sequence. */
  async step(): Promise<void> {
    for (const [i, id] of this.next.entries()) {
      const { sequence, logits } = await this.engine.append(this.sequences[i]!, [id]);
      this.sequences[i] = sequence;
      this.next[i] = argMaxOf(logits);
    }
  }

  /** Tokens of each sequence. */
  get length(): number {
    return this.sequences[0]?.length ?? 0;
  }

  /** What one sequence's state holds, in bytes; places of a batch that say which hold a token do not count. */
  stateBytes(): number {
    return Object.entries(this.sequences[0]?.state ?? {})
      .filter(([name]) => !name.endsWith('.valid'))
      .reduce((sum, [, value]) => sum + (value.data as Float32Array).byteLength, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.dispose();
  }
}

/**
 * What the engine holds of the weights, in bytes: packed for single tokens; and once more for pieces of prompts, where
 * recurrences have a program of their own for them.
 */
export function weightBytes(config: ModelConfig): number {
  const copies = config.layers.every((spec) => mixerOf(spec).anyLength) ? 1 : 2;
  return copies * 4 * countParameters(modelParameters(config));
}

/** Numbers of no meaning but of a usual size, so that nothing overflows or becomes denormal. */
function drawnState(config: ModelConfig, tokens: number, random: Random): Sequence['state'] {
  const noise = Float32Array.from({ length: 65_521 }, () => random.normal());
  const drawn = (size: number): Float32Array<ArrayBuffer> => {
    const values = new Float32Array(size);
    for (let at = 0; at < size; at += noise.length) values.set(noise.subarray(0, size - at), at);
    return values;
  };
  const state: Sequence['state'] = {};
  for (const [i, spec] of config.layers.entries()) {
    for (const { name, shape } of mixerOf(spec).state(spec, config)) {
      const sizes = shape.map((dim) => (dim === 'B' ? 1 : dim === 'P' ? tokens : (dim as number)));
      const count = sizes.reduce((a, b) => a * b, 1);
      state[`${i}.${name}`] = float32(
        name === 'valid' ? new Float32Array(count).fill(1) : drawn(count),
        sizes,
      );
    }
  }
  return state;
}
