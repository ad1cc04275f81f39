import { Command } from 'commander';
import { importCheckpoint } from '../../model/import/import-checkpoint.ts';
import type { WrittenDtype } from '../../model/safetensors.ts';
import { action } from '../command.ts';
import {
  outArgument,
  outFolder,
  outOf,
  overwriteOption,
  tokenizerOption,
  writtenDtypeOption,
} from '../options.ts';
import { fileToRead } from '../paths.ts';

/** `postnas import`: a GGUF or llama2.c file as a Hugging Face folder. */
export function importCommand(): Command {
  const command = new Command('import')
    .description('Turn a GGUF or llama2.c file into a model folder as Hugging Face has it.')
    .argument('<file>', 'GGUF or llama2.c file', fileToRead('<file>', 'a GGUF or llama2.c file'))
    .addArgument(outArgument())
    .addOption(outFolder())
    .addOption(writtenDtypeOption())
    .addOption(tokenizerOption(fileToRead('--tokenizer', "llama2.c's tokenizer file")))
    .addOption(overwriteOption())
    .addHelpText(
      'after',
      '\nA GGUF file has its tokenizer in it; for a llama2.c file, --tokenizer names the file of its tokenizer.\n' +
        '\nExamples:\n  postnas import smollm2-135m.gguf --out ./SmolLM2-135M --dtype bf16\n' +
        '  postnas import stories260K.bin --out ./stories260K --tokenizer tok512.bin',
    );
  return action<{ out?: string; dtype: WrittenDtype; tokenizer?: string; overwrite?: boolean }>(
    command,
    async ({ progress, signal, result }, { out, dtype, tokenizer, overwrite }, [file, given]) => {
      const folder = outOf(out, given, 'the model');
      await importCheckpoint(file!, folder, {
        ...{ dtype, tokenizer, overwrite },
        onProgress: progress.report,
        signal,
      });
      result({ folder }, `written to ${folder}`);
    },
  );
}
