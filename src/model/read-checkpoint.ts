import { InputError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import { configFromHf, defaultGeneration, type GenerationConfig, generationFromHf } from './hf-config.ts';
import { Fields, isObject } from './json-fields.ts';
import { type ModelFiles, readJson } from './model-files.ts';
import { QuantizedTensors } from './quantized-tensors.ts';
import { Safetensors } from './safetensors-reader.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';
import { checkWeights, FiniteTensors } from './weights.ts';

/** Reading a model from its files. */

export const SINGLE = 'model.safetensors';
export const INDEX = 'model.safetensors.index.json';
const CONFIG = 'config.json';
const GENERATION = 'generation_config.json';

export interface Checkpoint {
  config: ModelConfig;
  /** Read tensor by tensor; a tensor with NaN or infinities is refused when it is read. */
  weights: TensorSource;
  generation: GenerationConfig;
}

/**
 * Reads the configuration and the headers of the weight files, and checks that the weights are those that the
 * configuration asks for.
 *
 * @throws InputError naming file, tensor or field and what was expected
 */
export function readCheckpoint(files: ModelFiles): Checkpoint {
  const config = readConfig(files);
  const generation = files.has(GENERATION)
    ? generationFromHf(files.open(GENERATION).path, readJson(files, GENERATION), config)
    : defaultGeneration(config);
  const weights = readWeights(files);
  checkWeights(config, weights, { where: files.path });
  return { config, weights: new FiniteTensors(weights, files.path), generation };
}

/** @throws InputError naming file and field and what was expected */
export function readConfig(files: ModelFiles): ModelConfig {
  if (!files.has(CONFIG)) throw new InputError(`${files.path} is no model folder: it has no ${CONFIG}`);
  return configFromHf(files.open(CONFIG).path, readJson(files, CONFIG));
}

function readWeights(files: ModelFiles): TensorSource {
  if (files.has(SINGLE)) return new QuantizedTensors(new Safetensors(files.open(SINGLE)));
  if (files.has(INDEX)) return new QuantizedTensors(new ShardedTensors(files));
  const other = files.names().filter((name) => /\.(bin|pt|pth|gguf)$/.test(name));
  const hint = other.length > 0 ? `; ${other.join(', ')} cannot be read as such` : '';
  throw new InputError(`${files.path} has neither ${SINGLE} nor ${INDEX}${hint}`);
}

/**
 * The names of the weight files, whether they are there or not.
 *
 * @throws InputError for an index that is none
 */
export function weightFiles(files: ModelFiles): string[] {
  return files.has(INDEX) && !files.has(SINGLE) ? [...new Set(readIndex(files).values())] : [SINGLE];
}

/** The file of each tensor. */
function readIndex(files: ModelFiles): Map<string, string> {
  const { path } = files.open(INDEX);
  const map = readJson(files, INDEX).weight_map;
  if (!isObject(map)) throw new InputError(`${path}: weight_map is missing, expected {tensor: file}`);
  const fields = new Fields(`${path}: weight_map`, map);
  return new Map(
    Object.keys(map).map((name) => {
      const file = fields.string(name);
      if (!/^[^/\\]+$/.test(file)) throw fields.wrong(name, 'the name of a file beside the index');
      return [name, file];
    }),
  );
}

/** The shards that an index names, as one source. */
class ShardedTensors implements TensorSource {
  private readonly shardOf = new Map<string, Safetensors>();

  constructor(files: ModelFiles) {
    const shards = new Map<string, Safetensors>();
    for (const [name, file] of readIndex(files)) {
      let shard = shards.get(file);
      if (!shard) {
        shard = new Safetensors(files.open(file));
        shards.set(file, shard);
      }
      if (!shard.has(name)) {
        throw new InputError(
          `${shard.path} has no tensor '${name}', but ${files.open(INDEX).path} says that it has`,
        );
      }
      this.shardOf.set(name, shard);
    }
  }

  names(): string[] {
    return [...this.shardOf.keys()];
  }

  has(name: string): boolean {
    return this.shardOf.has(name);
  }

  info(name: string): TensorInfo {
    return this.shard(name).info(name);
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return this.shard(name).read(name);
  }

  private shard(name: string): Safetensors {
    const shard = this.shardOf.get(name);
    if (!shard) throw new InputError(`no shard has a tensor '${name}'`);
    return shard;
  }
}
