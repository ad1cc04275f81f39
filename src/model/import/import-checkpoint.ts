/** Model files of other programs -> a Hugging Face folder. */
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import { saveCheckpoint } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import { FileBytes } from '../file-bytes.ts';
import { defaultGeneration, type GenerationConfig } from '../generation-config.ts';
import { claimFolder, refuseInputs } from '../output-place.ts';
import type { WrittenDtype } from '../safetensors.ts';
import type { TensorSource } from '../tensor-source.ts';
import { Tokenizer } from '../tokenizer.ts';
import { checkWeights } from '../weights.ts';
import { GgufFile } from './gguf.ts';
import { GGUF_MAGIC } from './gguf-header.ts';
import { tokenizerFromGguf } from './gguf-tokenizer.ts';
import { findLlama2cTokenizer, Llama2cFile, readLlama2cTokenizer } from './llama2c.ts';
import type { TokenizerFiles } from './tokenizer-json.ts';

export interface ImportOptions {
  /** Of the weights that are written; F32 unless told, which is exact. */
  dtype?: WrittenDtype;
  /** The tokenizer of a llama2.c model; looked for beside the model unless told. */
  tokenizer?: string;
  /** What is in the folder may go. */
  overwrite?: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

interface Imported {
  config: ModelConfig;
  weights: TensorSource;
  generation: GenerationConfig;
  tokenizer: TokenizerFiles;
}

/**
 * Imports a GGUF file (Llama or Qwen2) or one of llama2.c (legacy or version 1) into a Hugging Face folder with its
 * tokenizer. What the file is, its content tells, not its name.
 *
 * @throws InputError when the file is neither, is truncated, or holds what is not supported
 */
export async function importCheckpoint(
  file: string,
  dir: string,
  options: ImportOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  claimFolder(dir, { inputs: [], overwrite: options.overwrite });
  // A file of another name might be one of those that are written.
  if (!/\.(gguf|bin)$/.test(file)) refuseInputs(dir, [file]);
  const { config, weights, generation, tokenizer } = openForeign(file, options.tokenizer);
  checkWeights(config, weights, { where: file });
  const { vocabSize } = new Tokenizer(tokenizer.tokenizer, tokenizer.config);
  if (vocabSize > config.vocabSize) {
    throw new InputError(
      `${file}: its tokenizer has ${vocabSize} tokens, the model's vocabulary has ${config.vocabSize}`,
    );
  }
  await saveCheckpoint(dir, config, weights, {
    dtype: options.dtype ?? 'F32',
    files: {
      'tokenizer.json': JSON.stringify(tokenizer.tokenizer),
      'tokenizer_config.json': `${JSON.stringify(tokenizer.config, null, 2)}\n`,
    },
    generation,
    onProgress: options.onProgress,
    signal: options.signal,
  });
}

function openForeign(file: string, tokenizer: string | undefined): Imported {
  const bytes = new FileBytes(file);
  if (bytes.size < 28) throw new InputError(`${file} has ${bytes.size} bytes: too short for a model`);
  const magic = new DataView(bytes.bytes(0, 4, 'the header').buffer).getUint32(0, true);
  if (magic === GGUF_MAGIC) {
    const weights = new GgufFile(file);
    const { config, generation, metadata } = weights;
    return { config, weights, generation, tokenizer: tokenizerFromGguf(metadata) };
  }
  const weights = new Llama2cFile(file);
  const { config } = weights;
  const tokenizerPath = tokenizer ?? findLlama2cTokenizer(file, config.vocabSize);
  return {
    config,
    weights,
    generation: defaultGeneration(config),
    tokenizer: readLlama2cTokenizer(tokenizerPath, config.vocabSize),
  };
}
