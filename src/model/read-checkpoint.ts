import { InputError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import { unknownFields } from './config-fields.ts';
import { DerivedTensors } from './derived-tensors.ts';
import { familyOf, textConfigOf } from './families/index.ts';
import {
  defaultGeneration,
  type GenerationConfig,
  generationFromHf,
  notFollowed,
} from './generation-config.ts';
import { configFromHf } from './hf-config.ts';
import { Fields, isObject, shown } from './json-fields.ts';
import { type ModelFiles, readJson } from './model-files.ts';
import { QuantizedTensors } from './quantized-tensors.ts';
import { unusedTheta } from './rope-config.ts';
import { Safetensors } from './safetensors-reader.ts';
import { resolveWeights } from './stored-weights.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';
import { checkWeights, FiniteTensors } from './weights.ts';

/** Reading a model from its files. */

export const SINGLE = 'model.safetensors';
export const INDEX = 'model.safetensors.index.json';
export const CONFIG = 'config.json';
/** In the metadata of weight files: it goes with the values, not with a config.json that may be taken over by others. */
export const ROUNDED_FROM = 'postnas_rounded_from';

/** Whether a text has the form of a hash of weights (weights-hash.ts). */
export function isWeightsHash(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}
const GENERATION = 'generation_config.json';

export interface Checkpoint {
  config: ModelConfig;
  /** Read tensor by tensor; a tensor with NaN or infinities is refused when it is read. */
  weights: TensorSource;
  generation: GenerationConfig;
  /** Hash of the weights of which these are a copy in fewer bits (weights-hash.ts), where they are one and the files say so. */
  roundedFrom?: string;
  /** Sentences on what the files say and the model does not follow; to be shown once, where it is opened. */
  notices?: readonly string[];
}

/**
 * Reads the configuration and the headers of the weight files, and checks that the weights are those that the
 * configuration asks for.
 *
 * @throws InputError naming file, tensor or field and what was expected
 */
export function readCheckpoint(files: ModelFiles): Checkpoint {
  const told = readConfig(files);
  const { generation, notices } = readGeneration(files, told);
  const { stored, roundedFrom } = readWeights(files);
  const { config, weights: named, notices: ofWeights } = resolveWeights(told, stored);
  const weights = asModel(files, config, named);
  checkWeights(config, weights, { where: files.path });
  return {
    config,
    weights: new FiniteTensors(weights, files.path),
    generation,
    ...(roundedFrom !== undefined && { roundedFrom }),
    notices: [...configNotices(files, told), ...ofWeights, ...notices],
  };
}

/** The tensors of a model, where its family has others. */
function asModel(files: ModelFiles, config: ModelConfig, stored: TensorSource): TensorSource {
  const fields = new Fields(files.open(CONFIG).path, textConfigOf(readJson(files, CONFIG)));
  const derivations = familyOf(fields.string('model_type'))?.weights?.(fields, config);
  return derivations ? new DerivedTensors(stored, derivations) : stored;
}

function readGeneration(
  files: ModelFiles,
  config: ModelConfig,
): { generation: GenerationConfig; notices: string[] } {
  if (!files.has(GENERATION)) return { generation: defaultGeneration(config), notices: [] };
  const json = readJson(files, GENERATION);
  const { path } = files.open(GENERATION);
  return { generation: generationFromHf(path, json, config), notices: notFollowed(path, json) };
}

function configNotices(files: ModelFiles, config: ModelConfig): string[] {
  const json = readJson(files, CONFIG);
  const { path } = files.open(CONFIG);
  const unknown = unknownFields(json, config);
  const theta = unusedTheta(json);
  return [
    ...(unknown.length > 0 ? [`${path}: not known, and not followed: ${unknown.join(', ')}`] : []),
    ...(theta === null ? [] : [`${path}: ${theta}`]),
  ];
}

/** @throws InputError naming file and field and what was expected */
export function readConfig(files: ModelFiles): ModelConfig {
  if (!files.has(CONFIG)) throw new InputError(`${files.path} is no model folder: it has no ${CONFIG}`);
  return configFromHf(files.open(CONFIG).path, readJson(files, CONFIG));
}

function readWeights(files: ModelFiles): { stored: TensorSource; roundedFrom: string | undefined } {
  const source = files.has(SINGLE)
    ? new Safetensors(files.open(SINGLE))
    : files.has(INDEX)
      ? new ShardedTensors(files)
      : undefined;
  if (source) {
    const roundedFrom = source.metadata[ROUNDED_FROM];
    if (roundedFrom !== undefined && !isWeightsHash(roundedFrom)) {
      throw new InputError(
        `${files.path}: ${ROUNDED_FROM} of the weights' metadata is ${shown(roundedFrom)}, expected a hash of 16 hexadecimal digits`,
      );
    }
    return { stored: new QuantizedTensors(source), roundedFrom };
  }
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
  if (Object.keys(map).length === 0) throw new InputError(`${path}: weight_map is empty`);
  return new Map(
    Object.keys(map).map((name) => {
      const file = fields.string(name);
      if (!isFileName(file)) throw fields.wrong(name, 'the name of a file beside the index');
      return [name, file];
    }),
  );
}

/** Whether it stays in its folder, on every system. */
function isFileName(name: string): boolean {
  return /^[^/\\:\0]+$/.test(name) && name !== '.' && name !== '..';
}

/** The shards that an index names, as one source. */
class ShardedTensors implements TensorSource {
  /** What all shards say. */
  readonly metadata: Record<string, string>;
  private readonly shardOf = new Map<string, Safetensors>();

  constructor(files: ModelFiles) {
    const index = readIndex(files);
    const { path } = files.open(INDEX);
    const shards = new Map(
      [...new Set(index.values())].map((file) => [file, new Safetensors(files.open(file))]),
    );
    for (const [name, file] of index) {
      const shard = shards.get(file)!;
      if (!shard.has(name)) {
        throw new InputError(`${shard.path} has no tensor '${name}', but ${path} says that it has`);
      }
      this.shardOf.set(name, shard);
    }
    const [first, ...others] = [...shards.values()].map((shard) => Object.entries(shard.metadata));
    this.metadata = Object.fromEntries(
      first!.filter(([key, value]) =>
        others.every((other) => other.some(([k, v]) => k === key && v === value)),
      ),
    );
    // Every tensor of the shards belongs to the model, whether the index lists it or not.
    for (const shard of shards.values()) {
      for (const name of shard.names()) {
        const other = this.shardOf.get(name) ?? shard;
        if (other !== shard)
          throw new InputError(`tensor '${name}' is in ${other.path} and in ${shard.path}`);
        this.shardOf.set(name, shard);
      }
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

  part(name: string, from: number, count: number): Float32Array<ArrayBuffer> {
    return this.shard(name).part(name, from, count);
  }

  pieces(name: string): Iterable<Uint8Array> {
    return this.shard(name).pieces(name);
  }

  private shard(name: string): Safetensors {
    const shard = this.shardOf.get(name);
    if (!shard) throw new InputError(`no shard has a tensor '${name}'`);
    return shard;
  }
}
