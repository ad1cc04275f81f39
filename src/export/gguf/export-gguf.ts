import { basename, resolve } from 'node:path';
import { type Checkpoint, refuseBeyondHalf } from '../../model/checkpoint.ts';
import { claimFile } from '../../model/output-place.ts';
import { bitsOf, type WeightDtype } from '../../model/quantized-tensors.ts';
import { InputError } from '../../util/errors.ts';
import { writeFileAtomicAsync } from '../../util/files.ts';
import type { OnProgress } from '../../util/progress.ts';
import { planGguf } from './architecture.ts';
import { encodeBlocks } from './blocks.ts';
import { type GgufTensor, type GgufType, ggufParts, tensorBytes } from './gguf-file.ts';
import type { TensorPlan } from './tensor-plan.ts';
import { ggufTokenizer } from './tokenizer.ts';

/** A model as llama.cpp reads it: one GGUF file with weights, tokenizer and all that is to be known. */

export type GgufDtype = WeightDtype | 'f16';
export const GGUF_DTYPES: readonly GgufDtype[] = ['f32', 'f16', 'q8', 'q4'];

/** llama.cpp's numbers for what most of a file's weights are in. */
const FILE_TYPE: Record<GgufDtype, number> = { f32: 0, f16: 1, q4: 2, q8: 7 };

export interface ExportGgufOptions {
  /** Of the matrices; all else is float32. */
  dtype: GgufDtype;
  /** The model's folder, whose tokenizer goes into the file. */
  tokenizerFrom: string;
  overwrite?: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * @returns the architecture under which llama.cpp knows the model
 * @throws InputError for a model that no architecture of llama.cpp computes, naming layer and block
 */
export async function exportGguf(
  path: string,
  { config, weights, generation }: Checkpoint,
  { dtype, tokenizerFrom, overwrite = false, onProgress, signal }: ExportGgufOptions,
): Promise<string> {
  const { architecture, metadata, tensors } = planGguf(config);
  claimFile(path, { inputs: [tokenizerFrom], overwrite });
  let [done, total] = [0, 0];
  const planned = tensors.map((plan): GgufTensor => {
    const { name, shape } = plan;
    const type = typeOf(plan, dtype);
    const tensor = { name, dims: shape.toReversed(), type };
    const bytes = tensorBytes(tensor);
    total += bytes;
    return {
      ...tensor,
      data: function* () {
        const values = plan.values(weights);
        if (type === 'F16') refuseBeyondHalf(name, values);
        const beyond = values.findIndex((value) => !Number.isFinite(value));
        if (beyond >= 0)
          throw new InputError(`tensor '${name}' would hold ${values[beyond]} at index ${beyond}`);
        yield encodeBlocks(values, shape, type);
        done += bytes;
        onProgress?.({ stage: 'write weights', done, total, unit: 'bytes' });
      },
    };
  });
  const all = {
    'general.architecture': architecture,
    'general.name': basename(resolve(tokenizerFrom)),
    'general.file_type': FILE_TYPE[dtype],
    'general.quantization_version': 2,
    ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`${architecture}.${key}`, value])),
    ...ggufTokenizer(tokenizerFrom, config.vocabSize, generation),
  };
  await writeFileAtomicAsync(path, ggufParts(all, planned), signal);
  return architecture;
}

function typeOf({ like, shape }: TensorPlan, dtype: GgufDtype): GgufType {
  if (like === undefined || shape.length !== 2 || dtype === 'f32') return 'F32';
  if (dtype === 'f16') return 'F16';
  const bits = bitsOf(like, shape, dtype);
  return bits === 8 ? 'Q8_0' : bits === 4 ? 'Q4_0' : 'F32';
}
