import { Command, Option } from 'commander';
import { exportGguf, GGUF_DTYPES, type GgufDtype } from '../../export/gguf/export-gguf.ts';
import { exportJet, JET_CODE } from '../../export/jet.ts';
import { exportOnnx, ONNX_DTYPES } from '../../export/onnx/export-onnx.ts';
import type { OnnxDtype } from '../../export/onnx/weight-file.ts';
import { type Checkpoint, openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import { WRITTEN_DTYPES, type WrittenDtype } from '../../model/safetensors.ts';
import { InputError } from '../../util/errors.ts';
import { action, type Common } from '../command.ts';

interface Options {
  onnx?: string;
  gguf?: string;
  jet?: string;
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
    .description('write a model so that other runtimes load it: transformers.js, llama.cpp, Jet-Nemotron')
    .argument('<model>', 'model folder, or a name on the hub: org/model')
    .option('--onnx <folder>', 'for transformers.js, in Node.js and in pages: any hybrid')
    .option(
      '--gguf <file>',
      'for llama.cpp: full attention, or Gated DeltaNet beside attention with norms of queries and keys (Qwen3)',
    )
    .option(
      '--jet <folder>',
      'the official Jet-Nemotron folder: attention, sliding windows and JetBlocks over a Qwen2 parent',
    )
    .addOption(
      new Option(
        '--dtype <type...>',
        'of the matrices: for --onnx f32, f16, q8, q4, of which there may be several; for --gguf one of them; for --jet ' +
          'f32, f16 or bf16 (f32 when not given)',
      ).choices(['f32', 'f16', 'bf16', 'q8', 'q4']),
    )
    .option('--overwrite', 'replace what is there')
    .addHelpText(
      'after',
      '\nWhat a format cannot hold is refused, by layer and block.\n' +
        '\nExamples:\n' +
        '  postnas export runs/hybrid --onnx ./web-model --dtype q8 q4\n' +
        '  postnas export runs/hybrid --gguf hybrid.gguf --dtype q8\n' +
        '  postnas export runs/hybrid --jet ./jet-hybrid --dtype bf16',
    );
  return action<Options>(command, async (common, options, [model]) => {
    const targets = TARGETS.filter((target) => options[target] !== undefined);
    if (targets.length !== 1) throw new InputError('expected one of --onnx, --gguf and --jet');
    const target = targets[0]!;
    const dtypes = options.dtype ?? ['f32'];
    const wrong = dtypes.find((dtype) => !DTYPES[target].includes(dtype));
    if (wrong) {
      throw new InputError(`--dtype ${wrong}: expected one of ${DTYPES[target].join(', ')} for --${target}`);
    }
    if (dtypes.length > 1 && target !== 'onnx') throw new InputError(`--${target} takes one --dtype`);
    const { progress, signal } = common;
    const source = await resolveModel(model!, { onProgress: progress.report, signal });
    await write[target](common, openCheckpoint(source), {
      path: options[target]!,
      dtypes: [...new Set(dtypes)],
      tokenizerFrom: source,
      overwrite: options.overwrite ?? false,
    });
  });
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
      `written to ${folder}: ${files.join(', ')}\n\n` +
        `To load it with transformers, trust_remote_code=True, NVIDIA's modelling code goes into the folder:\n` +
        `  ${JET_CODE.files.join(' and ')}, and what these import\n  from ${JET_CODE.from}`,
    );
  },
};
