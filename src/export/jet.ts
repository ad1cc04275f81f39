import { type Checkpoint, saveCheckpoint } from '../model/checkpoint.ts';
import { asJetNemotron } from '../model/jet-nemotron.ts';
import type { WrittenDtype } from '../model/safetensors.ts';
import type { OnProgress } from '../util/progress.ts';
import { writeFolder } from './folder.ts';

/**
 * A model as the folder of an official Jet-Nemotron: its names, its config.json, and the `auto_map` by which
 * transformers finds the modelling code when it is told `trust_remote_code`.
 */

/** What `auto_map` refers to: module and class. */
const AUTO_MAP = {
  AutoConfig: 'configuration_jet_nemotron.JetNemotronConfig',
  AutoModelForCausalLM: 'modeling_jet_nemotron.JetNemotronForCausalLM',
};

/** The code that belongs into the folder and is NVIDIA's: where it is, and which of it `auto_map` begins with. */
export const JET_CODE = {
  from: 'https://github.com/NVlabs/Jet-Nemotron, all .py files of jetai/modeling/hf',
  files: Object.values(AUTO_MAP).map((name) => `${name.split('.')[0]}.py`),
};

export interface ExportJetOptions {
  /** Of all weights. */
  dtype: WrittenDtype;
  /** The model's folder, whose tokenizer files are copied and which is not written to. */
  tokenizerFrom?: string;
  overwrite?: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * @returns the written files, relative to the folder
 * @throws InputError naming what the family cannot express: a layer, or a part of the parent
 */
export function exportJet(
  folder: string,
  { config, weights, generation }: Checkpoint,
  { overwrite = false, ...options }: ExportJetOptions,
): Promise<string[]> {
  const jet = asJetNemotron(config);
  const inputs = options.tokenizerFrom === undefined ? [] : [options.tokenizerFrom];
  return writeFolder(folder, { inputs, overwrite }, (staging) =>
    saveCheckpoint(staging, jet, weights, { ...options, generation, configFields: { auto_map: AUTO_MAP } }),
  );
}
