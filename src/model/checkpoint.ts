/**
 * A model as a Hugging Face folder: config.json, generation_config.json, model.safetensors or its shards with an
 * index, and the tokenizer's files.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { QUANTIZED_BLOCK } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic, writeFileAtomicAsync } from '../util/files.ts';
import type { OnProgress } from '../util/progress.ts';
import type { ModelConfig } from './config.ts';
import { Folder } from './folder.ts';
import { defaultGeneration, type GenerationConfig, generationToHf } from './generation-config.ts';
import { configFromHf, configToHf, type HfDtype } from './hf-config.ts';
import type { JsonObject } from './json-fields.ts';
import { readJsonObject } from './json-file.ts';
import { TOKENIZER_FILES } from './model-files.ts';
import { bitsOf, quantizedBytes, quantizedToWrite } from './quantized-tensors.ts';
import {
  type Checkpoint,
  CONFIG,
  INDEX,
  ROUNDED_FROM,
  readCheckpoint,
  readConfig,
  SINGLE,
} from './read-checkpoint.ts';
import { safetensorsParts, type TensorToWrite, tensorBytes, type WrittenDtype } from './safetensors.ts';
import type { TensorSource } from './tensor-source.ts';
import { FiniteTensors } from './weights.ts';

export type { Checkpoint };

const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;

/**
 * Opens a model folder: reads the configuration and the headers of the weight files, and checks that the weights are
 * those that the configuration asks for. Weights are read from disk when asked for.
 *
 * @throws InputError naming file, tensor or field and what was expected
 */
export function openCheckpoint(dir: string): Checkpoint {
  return readCheckpoint(new Folder(dir));
}

/**
 * The configuration of a model folder, or of a config.json by itself. Weights are neither needed nor looked at.
 *
 * @throws InputError naming file and field and what was expected
 */
export function openConfig(path: string): ModelConfig {
  const isFile = existsSync(path) && statSync(path).isFile();
  return isFile ? configFromHf(path, readJsonObject(path)) : readConfig(new Folder(path));
}

/** Whether the folder holds weights, complete or not. */
export function hasWeights(dir: string): boolean {
  return existsSync(join(dir, SINGLE)) || existsSync(join(dir, INDEX));
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
  /** Hash of the weights that these are rounded from (`weightsHash`): placements for those hold for the copy. */
  roundedFrom?: string;
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
    writeJson(join(staging, CONFIG), {
      ...configToHf(config, HF_DTYPE[options.dtype]),
      ...options.configFields,
    });
    moveInto(dir, staging);
  } finally {
    clear();
  }
}

/** Puts a whole model in place of what was there. config.json comes last: without it no one takes the folder for one. */
function moveInto(dir: string, staging: string): void {
  const written = new Set(readdirSync(staging));
  // Of an earlier save with another sharding, or of another model, whose tokenizer would be taken for this one's.
  const isOld = (file: string) =>
    file === SINGLE ||
    file === INDEX ||
    SHARD.test(file) ||
    (written.has('tokenizer.json') && TOKENIZER_FILES.includes(file));
  rmSync(join(dir, CONFIG), { force: true });
  for (const file of readdirSync(dir)) if (isOld(file) && !written.has(file)) rmSync(join(dir, file));
  written.delete(CONFIG);
  for (const file of [...written, CONFIG]) renameSync(join(staging, file), join(dir, file));
}

function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

async function writeWeights(
  dir: string,
  config: ModelConfig,
  weights: TensorSource,
  { dtype, shardBytes = 5e9, roundedFrom, onProgress, signal }: SaveOptions,
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
  checkSpace(dir, total);
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
  const metadata = { format: 'pt', ...(roundedFrom !== undefined && { [ROUNDED_FROM]: roundedFrom }) };
  for (const [i, shard] of shards.entries()) {
    const path = join(dir, fileOf(i));
    await writeFileAtomicAsync(path, safetensorsParts(path, shard.flatMap(toWrite), metadata), signal);
  }
  if (shards.length > 1) {
    const weightMap = Object.fromEntries(
      shards.flatMap((shard, i) => shard.flatMap(toWrite).map(({ name }) => [name, fileOf(i)])),
    );
    writeJson(join(dir, INDEX), { metadata: { total_size: total }, weight_map: weightMap });
  }
}

/** @throws InputError where the disk has not so many bytes left: before hours of writing, not after */
function checkSpace(dir: string, bytes: number): void {
  let place = resolve(dir);
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  const { bavail, bsize } = statfsSync(place);
  if (bytes <= bavail * bsize) return;
  const gigabytes = (count: number) => `${(count / 1e9).toFixed(1)} GB`;
  throw new InputError(
    `the weights take ${gigabytes(bytes)}, and the disk of ${place} has ${gigabytes(bavail * bsize)} left`,
  );
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
