import { Command, Option } from 'commander';
import type { Device } from '../../graph/index.ts';
import { stagesOf } from '../../report/stages.ts';
import { DEFAULTS } from '../../search/defaults.ts';
import { comparedMixers, linearKinds } from '../../search/network/linear-mixer.ts';
import {
  type BlocksSettings,
  blocksRecipe,
  type DesignSettings,
  type DimensionsSettings,
  designRecipe,
  dimensionsRecipe,
} from '../../search/one-stage.ts';
import type { RecipeInput } from '../../search/recipe.ts';
import { jetDesigns } from '../../search/stages/blocks/designs.ts';
import type { BlocksStage } from '../../search/stages/blocks/result.ts';
import { blocksSummary } from '../blocks-summary.ts';
import { settingsOf, sharedOptions } from '../command-line.ts';
import { type DataOptions, withData } from '../data-options.ts';
import {
  addWithAliases,
  DEVICES,
  decodeRoundsOption,
  decodeTokensOption,
  fullLayersOf,
  fullLayersOption,
  mixerOption,
  modelArgument,
  oneOf,
  otherwise,
  outFolder,
  seedsOption,
  startOption,
  windowDropoutOption,
} from '../options.ts';
import { share, tokenCount, wholeNumber, wholeNumbers } from '../parsers.ts';
import { type RunOptions, recipeCommand } from '../recipe-command.ts';
import { LEFTOVERS } from '../restart.ts';

type Options<Settings> = RunOptions &
  DataOptions &
  Omit<Settings, keyof DataOptions | 'decode' | 'placement'> & {
    fullLayers?: string;
    decodeDevice?: Device;
    decodeContext: number;
    decodeTokens: number;
    decodeRounds: number;
  };

/** `postnas blocks`: stage 2, which linear block takes the place of attention. */
export function blocks(): Command {
  const command = new Command('blocks')
    .description(
      'Compare the blocks that can take the place of attention, and write the hybrid with the best one.',
    )
    .addOption(
      new Option(
        '--mixers <kind...>',
        `blocks to compare: ${linearKinds().join(', ')}; with +rope, +qk_norm or +qkv_bias behind a name, queries and keys ` +
          'are rotated, normalised or given biases as the parent does it; with +window128, the block stands beside attention over 128 tokens ' +
          'and the first 4, or those of +sinks8',
      ).default(comparedMixers(), 'all, and the best so far'),
    )
    .addHelpText(
      'after',
      `${KEPT}\nExamples:\n  postnas blocks models/base --full-layers 1,3 --seeds 3\n` +
        '  postnas blocks models/base --full-layers runs/search/result.json --mixers gla gated_deltanet+rope',
    );
  return comparison<BlocksSettings>(command, 'blocks', blocksRecipe);
}

/** `postnas design`: stage 3, how a JetBlock is built. */
export function design(): Command {
  const known = jetDesigns({ heads: 1, keyDim: 8, valueDim: 8 }).map(({ name }) => name);
  const command = new Command('design')
    .description(
      'Compare designs of the JetBlock, its convolutions, the generator of their filters and its gate, and write the ' +
        'hybrid with the best one.',
    )
    .addOption(otherwise(new Option('--designs <name...>', `designs to compare: ${known.join(', ')}`), 'all'))
    .addHelpText(
      'after',
      `${KEPT}\nExamples:\n  postnas design models/base --full-layers 1,3 --seeds 3\n` +
        '  postnas design models/base --full-layers 1,3 --designs released qConv-kConv-static all-static',
    );
  return comparison<DesignSettings>(command, 'design', designRecipe);
}

/** `postnas dimensions`: stage 4, heads and widths by throughput on this machine, at a fixed size of the state. */
export function dimensions(): Command {
  const command = new Command('dimensions')
    .description(
      'Compare numbers of heads and widths of a block whose state has the same size, by quality and by speed on this ' +
        'machine, and write the hybrid with the best ones.',
    )
    .addOption(mixerOption())
    .addOption(
      otherwise(
        new Option('--heads <n...>', 'numbers of heads to compare').argParser(wholeNumbers),
        'half as many as the model, as many, and twice as many',
      ),
    )
    .option(
      '--aspect <n>',
      'how many times as wide as the other the key or the value may be',
      wholeNumber,
      DEFAULTS.dimensions.aspect,
    )
    .option(
      '--slack <x>',
      'part of the speed that may be given up for quality',
      share,
      DEFAULTS.dimensions.slack,
    )
    .addHelpText(
      'after',
      `${KEPT}\nExamples:\n  postnas dimensions models/base --full-layers 1,3\n` +
        '  postnas dimensions ./SmolLM2-135M --full-layers 9,19 --data novels.txt --held-out more-novels.txt \\\n' +
        '    --heads 6 9 12 --device webgpu',
    );
  return comparison<DimensionsSettings>(command, 'dimensions', dimensionsRecipe);
}

const KEPT = '\nThe folder of --out gets the training states, result.json, report.html and the hybrid.\n';

/** A command that compares blocks at one placement. */
function comparison<Settings extends object>(
  command: Command,
  stage: BlocksStage,
  recipe: (settings: Settings) => RecipeInput,
): Command {
  const { alignSteps, trainSteps, rate } = DEFAULTS.comparison;
  const { context, tokens, rounds } = DEFAULTS.decode;
  // --placement is another thing where models are run.
  addWithAliases(command.addArgument(modelArgument()), fullLayersOption(), '--placement')
    .addOption(outFolder(`runs/${stage}`))
    .addOption(startOption())
    .addOption(windowDropoutOption())
    .addOption(seedsOption())
    .option(
      '--align-steps <n>',
      'steps that train each linear block beside its attention',
      wholeNumber,
      alignSteps,
    )
    .option('--train-steps <n>', 'steps that train the blocks together afterwards', wholeNumber, trainSteps)
    .addOption(
      otherwise(
        oneOf(new Option('--decode-device <name>', 'where decoding is timed'), DEVICES),
        'as --device',
      ),
    )
    .option('--decode-context <n>', 'tokens of the prompt when decoding is timed', tokenCount, context)
    .addOption(decodeTokensOption(tokens))
    .addOption(decodeRoundsOption(rounds));
  withData(command, { rate });
  return recipeCommand<Options<Settings>>(command, {
    name: stage,
    leftovers: LEFTOVERS.comparison,
    recipe(options, [model]) {
      const { decodeDevice, decodeContext, decodeTokens, decodeRounds, fullLayers, ...own } =
        settingsOf(options);
      const decode = {
        device: decodeDevice ?? options.device,
        context: decodeContext,
        tokens: decodeTokens,
        rounds: decodeRounds,
      };
      const placement = fullLayersOf(fullLayers);
      return recipe({ ...own, model, placement, decode } as unknown as Settings);
    },
    summary: (result, options) =>
      blocksSummary(stagesOf(result)[stage]!, result.model, options.out, sharedOptions(options)),
  });
}
