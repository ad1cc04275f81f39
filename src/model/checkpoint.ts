/**
 * A model as a Hugging Face folder: config.json, generation_config.json, model.safetensors or its shards with an
 * index, and the tokenizer's files.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QUANTIZED_BLOCK } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic, writeFileAtomicAsync } from '../util/files.ts';
import type { OnProgress } from '../util/progress.ts';
import type { ModelConfig } from './config.ts';
import {
  configFromHf,
  configToHf,
  defaultGeneration,
  type GenerationConfig,
  generationFromHf,
  generationToHf,
  type HfDtype,
} from './hf-config.ts';
import { Fields, isObject, type JsonObject, readJsonObject } from './json-fields.ts';
import { bitsOf, QuantizedTensors, quantizedBytes, quantizedToWrite } from './quantized-tensors.ts';
import {
  SafetensorsFile,
  safetensorsParts,
  type TensorToWrite,
  tensorBytes,
  type WrittenDtype,
} from './safetensors.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';
import { checkWeights, FiniteTensors } from './weights.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** Every file that belongs to a tokenizer in a Hugging Face folder. */
export const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'chat_template.json',
];

export interface Checkpoint {
  config: ModelConfig;
  /** Read from disk tensor by tensor; a tensor with NaN or infinities is refused when it is read. */
  weights: TensorSource;
  generation: GenerationConfig;
}

/**
 * Opens a model folder: reads the configuration and the headers of the weight files, and checks that the weights are
 * those that the configuration asks for.
 *
 * @throws InputError naming file, tensor or field and what was expected
 */
export function openCheckpoint(dir: string): Checkpoint {
  const config = openConfig(dir);
  const generationPath = join(dir, 'generation_config.json');
  const generation = existsSync(generationPath)
    ? generationFromHf(generationPath, readJsonObject(generationPath), config)
    : defaultGeneration(config);
  const weights = openWeights(dir);
  checkWeights(config, weights, { where: dir });
  return { config, weights: new FiniteTensors(weights, dir), generation };
}

/**
 * The configuration of a model folder, or of a config.json by itself. Weights are neither needed nor looked at.
 *
 * @throws InputError naming file and field and what was expected
 */
export function openConfig(path: string): ModelConfig {
  const isFile = existsSync(path) && statSync(path).isFile();
  const configPath = isFile ? path : join(path, 'config.json');
  if (!existsSync(configPath)) throw new InputError(`${path} is no model folder: it has no config.json`);
  return configFromHf(configPath, readJsonObject(configPath));
}

/** Whether the folder holds weights, complete or not. */
export function hasWeights(dir: string): boolean {
  return existsSync(join(dir, SINGLE)) || existsSync(join(dir, INDEX));
}

function openWeights(dir: string): TensorSource {
  if (existsSync(join(dir, SINGLE))) return new QuantizedTensors(new SafetensorsFile(join(dir, SINGLE)));
  if (existsSync(join(dir, INDEX))) return new QuantizedTensors(new ShardedTensors(join(dir, INDEX), dir));
  const other = readdirSync(dir).filter((name) => /\.(bin|pt|pth|gguf)$/.test(name));
  const hint = other.length > 0 ? `; ${other.join(', ')} cannot be read as such` : '';
  throw new InputError(`${dir} has neither ${SINGLE} nor ${INDEX}${hint}`);
}

/** The shards that an index names, as one source. */
class ShardedTensors implements TensorSource {
  private readonly shardOf = new Map<string, SafetensorsFile>();

  constructor(indexPath: string, dir: string) {
    const map = readJsonObject(indexPath).weight_map;
    if (!isObject(map)) throw new InputError(`${indexPath}: weight_map is missing, expected {tensor: file}`);
    const fields = new Fields(`${indexPath}: weight_map`, map);
    const files = new Map<string, SafetensorsFile>();
    for (const name of Object.keys(map)) {
      const file = fields.string(name);
      if (!/^[^/\\]+$/.test(file)) throw fields.wrong(name, 'the name of a file beside the index');
      let shard = files.get(file);
      if (!shard) {
        shard = new SafetensorsFile(join(dir, file));
        files.set(file, shard);
      }
      if (!shard.has(name)) {
        throw new InputError(`${shard.path} has no tensor '${name}', but ${indexPath} says that it has`);
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

  private shard(name: string): SafetensorsFile {
    const shard = this.shardOf.get(name);
    if (!shard) throw new InputError(`no shard has a tensor '${name}'`);
    return shard;
  }
}

export interface SaveOptions {
  /** Of few bits, what is not a matrix of them is float32. */
  dtype: WrittenDtype | 'q8' | 'q4';
  /** Largest size of a weight file in bytes, a single tensor excepted; 5 GB unless told, as Hugging Face has it. */
  shardBytes?: number;
  /** A folder whose tokenizer files are copied. */
  tokenizerFrom?: string;
  /** Further files to write, by name. */
  files?: Record<string, string>;
  generation?: GenerationConfig;
  /** Further fields of config.json. */
  configFields?: JsonObject;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

const HF_DTYPE: Record<SaveOptions['dtype'], HfDtype> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  q8: { bits: 8, block_size: QUANTIZED_BLOCK },
  q4: { bits: 4, block_size: QUANTIZED_BLOCK },
};

/**
 * Writes a model folder with Hugging Face's layout and names: all tensors of `weights`, in its order, but a tied
 * head. Everything is written to a folder inside first and then moved into place, so that an interrupted save, or
 * one that finds the disk full, leaves what was there; `weights` may be the folder's own.
 *
 * @throws InputError for values that are not finite or that float16 cannot hold
 */
export async function saveCheckpoint(
  dir: string,
  config: ModelConfig,
  weights: TensorSource,
  options: SaveOptions,
): Promise<void> {
  const staging = join(dir, '.saving');
  const clear = () => existsSync(staging) && rmSync(staging, { recursive: true });
  clear(); // what a killed process may have left
  try {
    await writeWeights(staging, config, new FiniteTensors(weights), options);
    const { tokenizerFrom } = options;
    if (tokenizerFrom && resolve(tokenizerFrom) !== resolve(dir)) {
      for (const file of TOKENIZER_FILES) {
        const source = join(tokenizerFrom, file);
        if (existsSync(source)) writeFileAtomic(join(staging, file), readFileSync(source));
      }
    }
    for (const [file, text] of Object.entries(options.files ?? {}))
      writeFileAtomic(join(staging, file), text);
    const generation = options.generation ?? defaultGeneration(config);
    writeJson(join(staging, 'generation_config.json'), generationToHf(generation));
    writeJson(join(staging, 'config.json'), {
      ...configToHf(config, HF_DTYPE[options.dtype]),
      ...options.configFields,
    });
    const written = new Set(readdirSync(staging));
    for (const file of written) renameSync(join(staging, file), join(dir, file));
    for (const file of readdirSync(dir)) {
      const isWeights = file === SINGLE || file === INDEX || SHARD.test(file);
      if (isWeights && !written.has(file)) rmSync(join(dir, file)); // of an earlier save with another sharding
    }
  } finally {
    clear();
  }
}

function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

async function writeWeights(
  dir: string,
  config: ModelConfig,
  weights: TensorSource,
  { dtype, shardBytes = 5e9, onProgress, signal }: SaveOptions,
): Promise<void> {
  const names = weights.names().filter((name) => !(config.tieWordEmbeddings && name === 'lm_head.weight'));
  const bits = (name: string) =>
    dtype === 'q8' || dtype === 'q4' ? bitsOf(name, weights.info(name).shape, dtype) : null;
  const floats: WrittenDtype = dtype === 'q8' || dtype === 'q4' ? 'F32' : dtype;
  const sizes = new Map(
    names.map((name) => {
      const { shape } = weights.info(name);
      return [name, bits(name) ? quantizedBytes(shape, bits(name)!) : tensorBytes(shape, floats)];
    }),
  );
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  let done = 0;
  const report = () => onProgress?.({ stage: 'write weights', done, total, unit: 'bytes' });
  report(); // reading, or making, the first tensor may take a while
  const read = (name: string) => {
    const values = weights.read(name);
    if (dtype === 'F16') refuseBeyondHalf(name, values);
    done += sizes.get(name)!;
    report();
    return values;
  };
  const toWrite = (name: string): TensorToWrite[] => {
    const { shape } = weights.info(name);
    if (!bits(name)) return [{ name, dtype: floats, shape, data: () => read(name) }];
    return quantizedToWrite(name, shape, bits(name)!, () => read(name));
  };

  const shards = splitIntoShards(names, sizes, shardBytes);
  const fileOf = (i: number) =>
    shards.length === 1 ? SINGLE : `model-${fiveDigits(i + 1)}-of-${fiveDigits(shards.length)}.safetensors`;
  for (const [i, shard] of shards.entries()) {
    const path = join(dir, fileOf(i));
    await writeFileAtomicAsync(path, safetensorsParts(path, shard.flatMap(toWrite)), signal);
  }
  if (shards.length > 1) {
    const weightMap = Object.fromEntries(
      shards.flatMap((shard, i) => shard.flatMap(toWrite).map(({ name }) => [name, fileOf(i)])),
    );
    writeJson(join(dir, INDEX), { metadata: { total_size: total }, weight_map: weightMap });
  }
}

function fiveDigits(n: number): string {
  return String(n).padStart(5, '0');
}

function splitIntoShards(names: string[], sizes: Map<string, number>, limit: number): string[][] {
  const shards: string[][] = [[]];
  let bytes = 0;
  for (const name of names) {
    const size = sizes.get(name)!;
    if (bytes > 0 && bytes + size > limit) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(name);
    bytes += size;
  }
  return shards;
}

/**
 * 65,520 and above round to infinity.
 *
 * @throws InputError naming tensor and value
 */
export function refuseBeyondHalf(name: string, values: Float32Array): void {
  for (let at = 0; at < values.length; at++) {
    if (Math.abs(values[at]!) >= 65520) {
      throw new InputError(
        `tensor '${name}' holds ${values[at]} at index ${at}: beyond float16, choose a type of greater range`,
      );
    }
  }
}
