import { Command, Option } from 'commander';
import { openCheckpoint, type SaveOptions, saveCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import { claimFolder } from '../../model/output-place.ts';
import { action } from '../command.ts';

/** `postnas quantize`: a model folder with weights of fewer bits. */
export function quantizeCommand(): Command {
  const command = new Command('quantize')
    .description(
      'write a model with weights of 8 or 4 bits, in blocks of 32, or of 16; what that costs, eval says',
    )
    .argument('<model>', 'model folder, or a name on the hub: org/model')
    .argument('<folder>', 'where the model goes')
    .addOption(
      new Option('--dtype <type>', 'of the linear layers; of all weights for F16 and BF16')
        .choices(['q8', 'q4', 'F16', 'BF16'])
        .default('q8'),
    )
    .option('--overwrite', 'replace a model that is in the folder')
    .addHelpText(
      'after',
      '\nOf few bits, embedding and head have 8 at least; norms, gates and convolutions stay float32.\n' +
        '\nExample:\n  postnas quantize runs/hybrid ./hybrid-q4 --dtype q4',
    );
  return action<Pick<SaveOptions, 'dtype'> & { overwrite?: boolean }>(
    command,
    async ({ progress, signal, result }, { dtype, overwrite }, [model, folder]) => {
      const source = await resolveModel(model!, { onProgress: progress.report, signal });
      claimFolder(folder!, { inputs: [source], overwrite });
      const { config, weights, generation } = openCheckpoint(source);
      await saveCheckpoint(folder!, config, weights, {
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
