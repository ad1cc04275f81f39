import { Command } from 'commander';
import { openCheckpoint, type SaveOptions, saveCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import { claimFolder } from '../../model/output-place.ts';
import { action } from '../command.ts';
import { dtypeOption, modelArgument, outArgument, outFolder, outOf, overwriteOption } from '../options.ts';

/** `postnas quantize`: a model folder with weights of fewer bits. */
export function quantizeCommand(): Command {
  const command = new Command('quantize')
    .description('Write a model with weights of 8 or 4 bits, or of 16.')
    .addArgument(modelArgument())
    .addArgument(outArgument())
    .addOption(outFolder())
    .addOption(dtypeOption(['q8', 'q4', 'F16', 'BF16'] as const).default('q8'))
    .addOption(overwriteOption())
    .addHelpText(
      'after',
      '\nWith q8 and q4, matrices have 8 or 4 bits in blocks of 32; the embedding and the head have 8 at least, and norms, ' +
        'gates and convolutions stay as they are. `postnas eval` measures what that costs.\n' +
        '\nExamples:\n  postnas quantize models/hybrid --out ./hybrid-q4 --dtype q4\n' +
        '  postnas eval ./hybrid-q4 --task recall choice',
    );
  return action<Pick<SaveOptions, 'dtype'> & { out?: string; overwrite?: boolean }>(
    command,
    async ({ progress, signal, result }, { out, dtype, overwrite }, [model, given]) => {
      const folder = outOf(out, given, 'the model');
      const source = await resolveModel(model!, { onProgress: progress.report, signal });
      claimFolder(folder, { inputs: [source], overwrite });
      const { config, weights, generation } = openCheckpoint(source);
      await saveCheckpoint(folder, config, weights, {
        dtype,
        generation,
        tokenizerFrom: source,
        onProgress: progress.report,
        signal,
      });
      result({ folder, dtype }, `written to ${folder}`);
    },
  );
}
