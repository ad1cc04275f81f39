/** A model folder with fresh weights, of any configuration: for tests of loading and speed, or to train from. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Parameter } from '../mixers/mixer.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import { Random } from '../util/random.ts';
import { hasWeights, openConfig, saveCheckpoint } from './checkpoint.ts';
import type { ModelConfig } from './config.ts';
import { loadTokenizer } from './folder.ts';
import { modelParameters } from './parameters.ts';
import { CONFIG } from './read-checkpoint.ts';
import type { WrittenDtype } from './safetensors.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

/**
 * The initial values of every weight, drawn anew whenever a tensor is read, so that one tensor at a time is in memory.
 * Each has a seed of its own: its values depend on neither the order nor the number of reads.
 */
export class RandomWeights implements TensorSource {
  private readonly parameters: ReadonlyMap<string, Parameter & { seed: number }>;

  constructor(config: ModelConfig, seed: number) {
    const seeds = new Random(seed);
    this.parameters = new Map(
      modelParameters(config).map((parameter) => [parameter.name, { ...parameter, seed: seeds.uint32() }]),
    );
  }

  names(): string[] {
    return [...this.parameters.keys()];
  }

  has(name: string): boolean {
    return this.parameters.has(name);
  }

  info(name: string): TensorInfo {
    return { name, dtype: 'F32', shape: [...this.get(name).shape] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const { init, seed } = this.get(name);
    return init(new Random(seed)) as Float32Array<ArrayBuffer>;
  }

  protected get(name: string): Parameter & { seed: number } {
    const parameter = this.parameters.get(name);
    if (!parameter) throw new InputError(`the configured model has no tensor '${name}'`);
    return parameter;
  }
}

export interface InitOptions {
  /** Of the weights that are written; F32 unless told. */
  dtype?: WrittenDtype;
  /** The same seed, the same weights; 1 unless told. */
  seed?: number;
  /** A folder whose tokenizer comes along. Without one, the model reads and writes token ids. */
  tokenizer?: string;
  /** Largest size of a weight file in bytes, a single tensor excepted; 5 GB unless told. */
  shardBytes?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * Makes a model folder with random weights, tensor by tensor: a model of any size takes the memory of its largest
 * matrix.
 *
 * @param config a config.json, or a folder that has one
 * @returns the configuration
 * @throws InputError for a configuration that is not supported, a folder that holds weights already, or a tokenizer
 * that is none or has more tokens than the model
 */
export async function initCheckpoint(
  dir: string,
  config: string,
  options: InitOptions = {},
): Promise<ModelConfig> {
  const { dtype = 'F32', seed = 1, tokenizer, shardBytes, onProgress, signal } = options;
  const model = openConfig(config);
  if (hasWeights(dir)) throw new InputError(`${dir} holds weights already; choose another folder`);
  if (
    existsSync(join(dir, CONFIG)) &&
    resolve(dir, CONFIG) !== resolve(config) &&
    resolve(dir) !== resolve(config)
  ) {
    throw new InputError(`${dir} has another config.json in it; choose another folder`);
  }
  if (tokenizer !== undefined) loadTokenizer(tokenizer, { modelVocabSize: model.vocabSize });
  await saveCheckpoint(dir, model, new RandomWeights(model, seed), {
    dtype,
    shardBytes,
    tokenizerFrom: tokenizer,
    onProgress,
    signal,
  });
  return model;
}
