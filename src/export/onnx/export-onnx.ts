import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeOnnx } from '../../graph/index.ts';
import type { Checkpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { generationToHf } from '../../model/generation-config.ts';
import { configToHf } from '../../model/hf-config.ts';
import type { JsonObject } from '../../model/json-fields.ts';
import { readJsonObject } from '../../model/json-file.ts';
import { writeFileAtomic, writeFileAtomicAsync } from '../../util/files.ts';
import type { OnProgress } from '../../util/progress.ts';
import { chatTemplate, copyTokenizer, writeFolder, writeJson } from '../folder.ts';
import { recordDecoder } from './decoder.ts';
import { cacheTypes } from './layer-state.ts';
import { type OnnxDtype, weightFiles } from './weight-file.ts';

/**
 * A model as @huggingface/transformers (transformers.js) loads it, in Node.js and in a page: config.json, tokenizer,
 * generation_config.json, and in `onnx/` the decoder as one graph whose weights lie in files beside it.
 */

/** What the files of a type are called, and the name that transformers.js has for it. */
const DTYPES: Record<OnnxDtype, { suffix: string; name: string }> = {
  f32: { suffix: '', name: 'fp32' },
  f16: { suffix: '_fp16', name: 'fp16' },
  q8: { suffix: '_quantized', name: 'q8' },
  q4: { suffix: '_q4', name: 'q4' },
};
export const ONNX_DTYPES = Object.keys(DTYPES) as OnnxDtype[];

export interface ExportOnnxOptions {
  /** Types of weights, each a model of its own; the first is taken where the user does not choose. */
  dtypes: readonly OnnxDtype[];
  /** The model's folder, whose tokenizer files are copied and which is not written to. */
  tokenizerFrom?: string;
  /** The folder may have something in it; a model that is there is replaced. */
  overwrite?: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * @returns the written files, relative to the folder
 * @throws InputError where the folder has something in it already, or a weight does not fit the type
 */
export function exportOnnx(
  folder: string,
  { config, weights: source, generation }: Checkpoint,
  { dtypes, tokenizerFrom, overwrite = false, onProgress, signal }: ExportOnnxOptions,
): Promise<string[]> {
  const decoder = recordDecoder(config);
  const outputs = Object.values(decoder.outputs);
  const names = Object.entries({ ...decoder.inputs, ...decoder.weights }).map(
    ([name, x]) => [x, name] as const,
  );
  const plans = dtypes.map((dtype) => {
    const model = `model${DTYPES[dtype].suffix}.onnx`;
    return { model, ...weightFiles(outputs, decoder.weights, source, dtype, `${model}_data`) };
  });
  const total = plans.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const counted = function* (parts: Iterable<Uint8Array>) {
    for (const part of parts) {
      yield part;
      done += part.byteLength;
      onProgress?.({ stage: 'write weights', done, total, unit: 'bytes' });
    }
  };
  const inputs = tokenizerFrom === undefined ? [] : [tokenizerFrom];
  return writeFolder(folder, { inputs, overwrite }, async (staging) => {
    for (const { model, weights, files } of plans) {
      for (const { name, parts } of files) {
        await writeFileAtomicAsync(join(staging, 'onnx', name), counted(parts()), signal);
      }
      // The device with ONNX's own operators where there are such: a page may compute on either.
      writeFileAtomic(
        join(staging, 'onnx', model),
        writeOnnx(decoder.outputs, new Map(names), weights, 'webgpu'),
      );
    }
    if (tokenizerFrom) tokenizerForTransformersJs(tokenizerFrom, staging);
    writeJson(join(staging, 'generation_config.json'), generationToHf(generation));
    const external = Object.fromEntries(plans.map(({ model, files }) => [model, files.length]));
    writeJson(
      join(staging, 'config.json'),
      configForTransformersJs(config, DTYPES[dtypes[0]!].name, external),
    );
  });
}

/**
 * transformers.js asks for a tokenizer_config.json and looks for a chat template nowhere else. Padding is on the left:
 * the graph has the newest token last.
 */
function tokenizerForTransformersJs(from: string, folder: string): void {
  copyTokenizer(from, folder);
  if (!existsSync(join(folder, 'tokenizer.json'))) return;
  const path = join(folder, 'tokenizer_config.json');
  const config = existsSync(path) ? readJsonObject(path) : {};
  const template = chatTemplate(from);
  writeJson(path, {
    ...config,
    padding_side: 'left',
    ...(template === undefined ? {} : { chat_template: template }),
  });
}

/**
 * transformers.js takes from config.json which states the graph has. Full attention in all layers is a family that it
 * knows; everything else goes under the name of the first family whose layers differ, `qwen3_next`.
 */
function configForTransformersJs(
  config: ModelConfig,
  dtype: string,
  external: Record<string, number>,
): JsonObject {
  const own = configToHf(config, 'float32');
  const settings = { 'transformers.js_config': { dtype, use_external_data_format: external } };
  if (config.layers.every(({ kind }) => kind === 'attention')) {
    const known = ['llama', 'qwen2', 'qwen3'].includes(config.modelType);
    return known
      ? { ...own, ...settings }
      : { ...own, model_type: 'llama', architectures: ['LlamaForCausalLM'], ...settings };
  }
  return {
    ...own,
    model_type: 'qwen3_next',
    architectures: ['Qwen3NextForCausalLM'],
    layer_types: cacheTypes(config.layers).types,
    ...settings,
  };
}
