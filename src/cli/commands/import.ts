import { Command } from 'commander';
import { importCheckpoint } from '../../model/import/import-checkpoint.ts';
import { WRITTEN_DTYPES, type WrittenDtype } from '../../model/safetensors.ts';
import { action, weightType } from '../command.ts';

/** `postnas import`: a GGUF or llama2.c file as a Hugging Face folder. */
export function importCommand(): Command {
  const command = new Command('import')
    .description('turn a GGUF or llama2.c file into a Hugging Face folder')
    .argument('<file>', 'the checkpoint')
    .argument('<folder>', 'where the folder goes')
    .option('--dtype <type>', `of the written weights: ${WRITTEN_DTYPES.join(', ')}`, weightType, 'F32')
    .option('--tokenizer <file>', "llama2.c's tokenizer (tok512.bin, tokenizer.bin); GGUF carries its own")
    .option('--overwrite', 'replace a model that is in the folder')
    .addHelpText(
      'after',
      '\nExamples:\n  postnas import smollm2-135m.gguf ./SmolLM2-135M --dtype BF16\n' +
        '  postnas import stories260K.bin ./stories260K --tokenizer tok512.bin',
    );
  return action<{ dtype: WrittenDtype; tokenizer?: string; overwrite?: boolean }>(
    command,
    async ({ progress, signal, result }, { dtype, tokenizer, overwrite }, [file, folder]) => {
      await importCheckpoint(file!, folder!, {
        ...{ dtype, tokenizer, overwrite },
        onProgress: progress.report,
        signal,
      });
      result({ folder }, `written to ${folder}`);
    },
  );
}
