import type { ModelConfig } from '../../model/config.ts';
import { modelParameters } from '../../model/parameters.ts';
import { bitsOf, quantizedBytes, type WeightDtype } from '../../model/quantized-tensors.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import type { OnProgress } from '../../util/progress.ts';
import { Random } from '../../util/random.ts';
import type { Batch } from '../batch.ts';
import { Engine } from '../engine.ts';
import type { KvDtype } from '../kv/blocks.ts';
import { cacheBytes } from '../kv/cache.ts';
import { argMaxOf } from '../sampler.ts';
import type { Sequence } from '../sequence.ts';
import { cachedGroups, fixedState } from '../sequence-parts.ts';

/** What the benchmarks measure. This file alone knows how the engine is called. */

export interface SubjectOptions {
  dtype?: WeightDtype;
  kvDtype?: KvDtype;
  threads?: number;
  /** Several sequences take their steps together. */
  batches?: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** A model at work on one batch of sequences of equal length, each with greedy decoding. */
export class Subject implements AsyncDisposable {
  private sequences: Sequence[] = [];
  private next: number[] = [];
  /** Where several sequences take their steps together. */
  private batch: Batch | null = null;

  private constructor(
    readonly config: ModelConfig,
    private readonly engine: Engine,
    private readonly random: Random,
  ) {}

  static async open(
    config: ModelConfig,
    weights: TensorSource,
    options: SubjectOptions = {},
  ): Promise<Subject> {
    const engine = await Engine.create(config, weights, options);
    return new Subject(config, engine, new Random(1));
  }

  /** Reads prompts of uniformly drawn tokens up to the first token that follows each. */
  async prefill(
    batch: number,
    tokens: number,
    options: { onProgress?: OnProgress; signal?: AbortSignal } = {},
  ): Promise<void> {
    this.begin(batch);
    for (let i = 0; i < batch; i++) {
      const ids = Array.from({ length: tokens }, () => this.random.below(this.config.vocabSize));
      const sequence = this.engine.start();
      const next = argMaxOf(await this.engine.append(sequence, ids, options));
      this.take(sequence, next);
    }
  }

  /** Makes sequences of so many tokens without reading any: states and caches are drawn. */
  async fill(batch: number, tokens: number): Promise<void> {
    this.begin(batch);
    for (let i = 0; i < batch; i++) {
      const [sequence] = (await this.engine.drawn(1, tokens)) as [Sequence];
      this.take(sequence, this.random.below(this.config.vocabSize));
    }
  }

  /** What was there may be large: it goes before the new grows. */
  clear(): void {
    for (const sequence of this.sequences) sequence.dispose();
    this.sequences = [];
    this.next = [];
    this.batch = null;
  }

  private begin(batch: number): void {
    this.clear();
    if (batch > 1) this.batch = this.engine.batch(batch);
  }

  /** Each joins at once: the states are the batch's from then on, and no second ones wait for all to be there. */
  private take(sequence: Sequence, next: number): void {
    this.sequences.push(sequence);
    this.next.push(next);
    this.batch?.add(sequence);
  }

  /** One more token for each sequence. */
  async step(): Promise<void> {
    const { sequences, next, batch } = this;
    if (!batch) {
      next[0] = argMaxOf(await this.engine.append(sequences[0]!, [next[0]!]));
      return;
    }
    const best = await batch.greedyStep(new Map(sequences.map((sequence, i) => [sequence, next[i]!])));
    for (const [i, sequence] of sequences.entries()) next[i] = best.get(sequence)!;
  }

  get kvDtype(): KvDtype {
    return this.engine.kvDtype;
  }

  /** Tokens of each sequence. */
  get length(): number {
    return this.sequences[0]?.length ?? 0;
  }

  /** What one sequence holds, in bytes, places for tokens to come included. */
  stateBytes(): number {
    return this.sequences[0]?.bytes ?? 0;
  }

  /** The same by the formula of the states, without such places. */
  formulaBytes(): number {
    return formulaBytes(this.config, this.length, this.kvDtype);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.clear();
    await this.engine.dispose();
  }
}

/**
 * What the engine holds of the weights, in bytes: packed for steps of one kind, and once more for pieces of prompts. Those
 * of few bits are held once more as they were read.
 */
export function weightBytes(config: ModelConfig, dtype: WeightDtype = 'f32'): number {
  return modelParameters(config).reduce((sum, { name, shape }) => {
    const bits = bitsOf(name, shape, dtype);
    const once = bits ? quantizedBytes(shape, bits) : 4 * shape.reduce((a, b) => a * b, 1);
    return sum + 2 * once;
  }, 0);
}

/** What the engine holds of a sequence of so many tokens, in bytes. */
export function formulaBytes(config: ModelConfig, tokens: number, kvDtype: KvDtype = 'f32'): number {
  const size = (shape: readonly number[]) => 4 * shape.reduce((a, b) => a * b, 1);
  const fixed = fixedState(config).reduce((sum, { shape }) => sum + size(shape), 0);
  const { headDim: width } = config;
  return cachedGroups(config).reduce((sum, { heads, window, sinks }) => {
    return sum + cacheBytes({ heads: heads.length, width, window, sinks }, tokens, kvDtype);
  }, fixed);
}
