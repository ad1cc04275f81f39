import { Command, InvalidArgumentError, Option } from 'commander';
import { exportGguf, GGUF_DTYPES, type GgufDtype } from '../../export/gguf/export-gguf.ts';
import { exportJet, JET_CODE } from '../../export/jet.ts';
import { exportOnnx, ONNX_DTYPES } from '../../export/onnx/export-onnx.ts';
import type { OnnxDtype } from '../../export/onnx/weight-file.ts';
import type { Checkpoint } from '../../model/checkpoint.ts';
import { openPlaced } from '../../model/placed-folder.ts';
import { WRITTEN_DTYPES, type WrittenDtype } from '../../model/safetensors.ts';
import { InputError } from '../../util/errors.ts';
import { action, type Common } from '../command.ts';
import { modelArgument, otherwise, outOf, overwriteOption, placementOption } from '../options.ts';
import { fileToWrite, folderToWrite } from '../paths.ts';

interface Options {
  onnx?: string | true;
  gguf?: string | true;
  jet?: string | true;
  out?: string;
  placement?: string;
  dtype?: string[];
  overwrite?: boolean;
}

type Target = 'onnx' | 'gguf' | 'jet';
const TARGETS: readonly Target[] = ['onnx', 'gguf', 'jet'];
const DTYPES: Record<Target, readonly string[]> = {
  onnx: ONNX_DTYPES,
  gguf: GGUF_DTYPES,
  jet: WRITTEN_DTYPES.map((dtype) => dtype.toLowerCase()),
};

/** `postnas export`: a model in the format of another runtime. */
export function exportCommand(): Command {
  const command = new Command('export')
    .description('Write a model for another runtime: transformers.js, llama.cpp or Jet-Nemotron.')
    .addArgument(modelArgument())
    .addOption(
      new Option('--onnx [folder]', 'for transformers.js, in Node.js and in pages: any hybrid').conflicts([
        'gguf',
        'jet',
      ]),
    )
    .addOption(
      new Option(
        '--gguf [file]',
        'for llama.cpp: full attention, or Gated DeltaNet beside attention with norms of queries and keys (Qwen3)',
      ).conflicts('jet'),
    )
    .option(
      '--jet [folder]',
      'as an official Jet-Nemotron: attention, sliding windows and JetBlocks over a Qwen2 model',
    )
    .addOption(new Option('-o, --out <path>', 'where the result is written'))
    .addOption(placementOption())
    .addOption(dtypesOption())
    .addOption(overwriteOption())
    .addHelpText(
      'after',
      '\nA model that the format cannot hold is refused, with the layers and blocks that are in the way. --onnx takes several ' +
        'types at once, of f32, f16, q8 and q4; --gguf one of these; --jet one of f32, f16 and bf16.\n' +
        '\nExamples:\n' +
        '  postnas export models/hybrid --onnx -o ./web-model --dtype q8 q4\n' +
        '  postnas export ./SmolLM2-135M --gguf -o smollm2.gguf --dtype q8\n' +
        '  postnas export ./jet-hybrid --jet -o ./official --dtype bf16',
    );
  return action<Options>(command, async (common, options, [model]) => {
    const targets = TARGETS.filter((target) => options[target] !== undefined);
    if (targets.length !== 1) throw new InputError('expected one of --onnx, --gguf and --jet');
    const target = targets[0]!;
    const path = placeOf(target, options);
    const dtypes = options.dtype ?? ['f32'];
    const wrong = dtypes.find((dtype) => !DTYPES[target].includes(dtype));
    if (wrong) {
      throw new InputError(`--dtype ${wrong}: expected one of ${DTYPES[target].join(', ')} for --${target}`);
    }
    if (dtypes.length > 1 && target !== 'onnx') throw new InputError(`--${target} takes one --dtype`);
    const { progress, signal } = common;
    const { folder, checkpoint } = await openPlaced(model!, {
      placement: options.placement,
      onProgress: progress.report,
      signal,
    });
    await write[target](common, checkpoint, {
      path,
      dtypes: [...new Set(dtypes)],
      tokenizerFrom: folder,
      overwrite: options.overwrite ?? false,
    });
  });
}

/** Several types, in upper or lower case. */
function dtypesOption(): Option {
  const known = ['f32', 'f16', 'bf16', 'q8', 'q4'];
  const option = otherwise(new Option('--dtype <type...>', 'type of the weights').choices(known), 'f32');
  return option.argParser((text, before: string[] = []) => {
    const dtype = text.toLowerCase();
    if (!known.includes(dtype)) throw new InvalidArgumentError(`Expected one of ${known.join(', ')}.`);
    return [...before, dtype];
  });
}

/** Given by --out, or with the format as in earlier versions. */
function placeOf(target: Target, { out, ...options }: Options): string {
  const beside = options[target];
  const path = outOf(out, beside === true ? undefined : beside, 'the export');
  const [parser, expected] =
    target === 'gguf'
      ? [fileToWrite, 'a file that can be written']
      : [folderToWrite, 'a folder that can be written'];
  return (parser as typeof fileToWrite)(
    out === undefined ? `--${target}` : '--out',
    expected as string,
  )(path);
}

interface Given {
  path: string;
  dtypes: readonly string[];
  tokenizerFrom: string;
  overwrite: boolean;
}

const write: Record<Target, (common: Common, checkpoint: Checkpoint, given: Given) => Promise<void>> = {
  async onnx({ progress, signal, result }, checkpoint, { path: folder, dtypes, ...given }) {
    const onnx = dtypes as OnnxDtype[];
    const files = await exportOnnx(folder, checkpoint, {
      ...given,
      dtypes: onnx,
      onProgress: progress.report,
      signal,
    });
    result(
      { format: 'onnx', folder, dtypes, files },
      `written to ${folder}: ${files.join(', ')}\n\nIn JavaScript, with @huggingface/transformers:\n` +
        "  const generate = await pipeline('text-generation', <the folder's address>);",
    );
  },
  async gguf({ progress, signal, result }, checkpoint, { path: file, dtypes, ...given }) {
    const [dtype] = dtypes as [GgufDtype];
    const architecture = await exportGguf(file, checkpoint, {
      ...given,
      dtype,
      onProgress: progress.report,
      signal,
    });
    result(
      { format: 'gguf', file, dtype, architecture },
      `written to ${file} (architecture ${architecture})`,
    );
  },
  async jet({ progress, signal, result }, checkpoint, { path: folder, dtypes, ...given }) {
    const dtype = dtypes[0]!.toUpperCase() as WrittenDtype;
    const files = await exportJet(folder, checkpoint, {
      ...given,
      dtype,
      onProgress: progress.report,
      signal,
    });
    result(
      { format: 'jet_nemotron', folder, dtype: dtypes[0], files, code: JET_CODE },
      `written to ${folder}: ${files.join(', ')}\n ` +
        `To load it with transformers, trust_remote_code=True, NVIDIA's modelling code goes into the folder:\n` +
        `  ${JET_CODE.files.join(' and ')}, and what these import\n  from ${JET_CODE.from}`,
    );
  },
};
