import { Command } from 'commander';
import { type SaveOptions, saveCheckpoint } from '../../model/checkpoint.ts';
import { claimFolder } from '../../model/output-place.ts';
import { copyPlacements, openPlaced } from '../../model/placed-folder.ts';
import { weightsHash } from '../../model/weights-hash.ts';
import { action } from '../command.ts';
import {
  dtypeOption,
  modelArgument,
  outArgument,
  outFolder,
  outOf,
  overwriteOption,
  placementOption,
} from '../options.ts';

/** `postnas quantize`: a model folder with weights of fewer bits. */
export function quantizeCommand(): Command {
  const command = new Command('quantize')
    .description('Write a model with weights of 8 or 4 bits, or of 16.')
    .addArgument(modelArgument())
    .addArgument(outArgument())
    .addOption(outFolder())
    .addOption(dtypeOption(['q8', 'q4', 'F16', 'BF16'] as const).default('q8'))
    .addOption(placementOption())
    .addOption(overwriteOption())
    .addHelpText(
      'after',
      '\nWith q8 and q4, matrices have 8 or 4 bits in blocks of 32; the embedding and the head have 8 at least, and norms, ' +
        'gates and convolutions stay as they are. `postnas eval` measures what that costs. The model keeps its placements; ' +
        'with --placement it becomes what that says, for good.\n' +
        '\nExamples:\n  postnas quantize models/hybrid --out ./hybrid-q4 --dtype q4\n' +
        '  postnas eval ./hybrid-q4 --task recall choice',
    );
  type Options = Pick<SaveOptions, 'dtype'> & { out?: string; overwrite?: boolean; placement?: string };
  return action<Options>(
    command,
    async ({ progress, signal, result }, { out, dtype, overwrite, placement }, [model, given]) => {
      const folder = outOf(out, given, 'the model');
      const common = { onProgress: progress.report, signal };
      const { folder: source, checkpoint } = await openPlaced(model!, { placement, ...common });
      claimFolder(folder, { inputs: [source], overwrite });
      const { config, weights, generation } = checkpoint;
      const isRounded = weights.names().some((name) => weights.info(name).dtype !== dtype);
      await saveCheckpoint(folder, config, weights, {
        ...{ dtype, generation, tokenizerFrom: source, ...common },
        roundedFrom: isRounded ? await weightsHash(checkpoint) : checkpoint.roundedFrom,
      });
      // They are for full attention, which a model under one of them no longer has.
      const placements = placement === undefined ? copyPlacements(source, folder) : [];
      result({ folder, dtype, placements }, `written to ${folder}`);
    },
  );
}
