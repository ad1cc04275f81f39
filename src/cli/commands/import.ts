import { Command } from 'commander';
import { importCheckpoint } from '../../model/import/import-checkpoint.ts';
import { InputError } from '../../util/errors.ts';
import { action } from '../command.ts';

const DTYPES = ['F32', 'F16', 'BF16'] as const;

/** `postnas import`: a GGUF or llama2.c file as a Hugging Face folder. */
export function importCommand(): Command {
  const command = new Command('import')
    .description('turn a GGUF or llama2.c file into a Hugging Face folder')
    .argument('<file>', 'the checkpoint')
    .argument('<folder>', 'where the folder goes')
    .option('--dtype <type>', `type of the written weights: ${DTYPES.join(', ')}`, 'F32')
    .option('--tokenizer <file>', "llama2.c's tokenizer (tok512.bin, tokenizer.bin); GGUF carries its own")
    .addHelpText(
      'after',
      '\nExamples:\n  postnas import smollm2-135m.gguf ./SmolLM2-135M --dtype BF16\n' +
        '  postnas import stories260K.bin ./stories260K --tokenizer tok512.bin',
    );
  return action<{ dtype: string; tokenizer?: string }>(
    command,
    async ({ progress, signal, result }, { dtype, tokenizer }, [file, folder]) => {
      const known = DTYPES.find((each) => each === dtype.toUpperCase());
      if (!known) throw new InputError(`--dtype ${dtype}: expected one of ${DTYPES.join(', ')}`);
      await importCheckpoint(file!, folder!, {
        dtype: known,
        tokenizer,
        onProgress: progress.report,
        signal,
      });
      result({ folder }, `written to ${folder}`);
    },
  );
}
