import { Command, Option } from 'commander';
import { DEFAULTS, WIDE } from '../../search/defaults.ts';
import { type DistillSettings, distillRecipe } from '../../search/one-stage.ts';
import { settingsOf } from '../command-line.ts';
import { type DataOptions, withBatches } from '../data-options.ts';
import { distillSummary } from '../distill-summary.ts';
import {
  addWithAliases,
  modelArgument,
  otherwise,
  outFolder,
  seedOption,
  sizeOption,
  windowDropoutOption,
  writtenDtypeOption,
} from '../options.ts';
import { byteCountIn, decimal, natural, positive } from '../parsers.ts';
import { folderToWrite } from '../paths.ts';
import { type RunOptions, recipeCommand } from '../recipe-command.ts';
import { LEFTOVERS } from '../restart.ts';

type Options = RunOptions &
  Omit<DataOptions, 'rate' | 'seeds'> &
  Omit<DistillSettings, keyof DataOptions | 'temperature' | 'hybrid'> & {
    seed: number;
    distillTemperature: number;
  };

const byDefault = DEFAULTS.final;

/** How a setting is shown that the model decides: of the laboratory's models / of others. */
function byModel(name: keyof typeof byDefault.small, tokens?: number): string {
  const { small, pretrained } = byDefault;
  const large =
    tokens === undefined ? pretrained[name as keyof typeof pretrained] : `${tokens / 1e6}M tokens`;
  return `by the model: ${small[name]} if narrower than ${WIDE}, else ${large}`;
}

/** An option whose default the model decides. */
function modelOption(
  flags: string,
  meaning: string,
  parse: (text: string) => number,
  ...of: Parameters<typeof byModel>
): Option {
  return otherwise(new Option(flags, meaning).argParser(parse), byModel(...of));
}

/** `postnas distill`: the final training of a hybrid. */
export function distillCommand(): Command {
  const { pretrained } = byDefault;
  const command = new Command('distill')
    .description('Train a hybrid to do what its teacher does, in up to three stages, and write it.')
    .addArgument(modelArgument('teacher'))
    .argument('<hybrid>', 'folder of the hybrid, such as the one that a search writes')
    .addOption(outFolder('runs/distill'))
    .addOption(
      modelOption(
        '--feature-steps <n>',
        'steps of stage 1; 0 leaves it out, as a hybrid without linear blocks does',
        natural,
        ...(['featureSteps', pretrained.featureTokens] as const),
      ),
    )
    .addOption(modelOption('--feature-rate <x>', 'highest learning rate of stage 1', positive, 'featureRate'))
    .addOption(
      modelOption(
        '--logit-steps <n>',
        'steps of stage 2; 0 leaves it out, as a hybrid without linear blocks does',
        natural,
        ...(['logitSteps', pretrained.logitTokens] as const),
      ),
    )
    .addOption(modelOption('--logit-rate <x>', 'highest learning rate of stage 2', positive, 'logitRate'))
    .addOption(
      modelOption(
        '--all-steps <n>',
        'steps of stage 3; 0 leaves it out',
        natural,
        ...(['allSteps', pretrained.allTokens] as const),
      ),
    )
    .addOption(
      modelOption(
        '--all-rate <x>',
        'highest learning rate of the linear blocks in stage 3',
        positive,
        'allRate',
      ),
    )
    .addOption(
      modelOption(
        '--body-rate <x>',
        'learning rate of all other weights in stage 3, as a multiple of --all-rate',
        decimal,
        'bodyRate',
      ),
    )
    .addOption(
      modelOption(
        '--cross-entropy <x>',
        'weight of the loss on the text itself where all weights are trained',
        decimal,
        'crossEntropy',
      ),
    )
    .addOption(
      otherwise(
        new Option('--embeddings', 'train embeddings and head in stage 3, too'),
        byModel('embeddings'),
      ),
    )
    .addOption(new Option('--no-embeddings', 'leave them as they are'))
    .option(
      '--answers-only',
      'of conversations, and of records with prompt and completion, the tokens of answers alone count where predictions are compared',
    )
    .option(
      '--patience <n>',
      'measurements on held-out text, of about 32 a stage, without a better one, after which stages 2 and 3 end, with their best weights; 0 for never',
      natural,
      byDefault.patience,
    )
    .addOption(windowDropoutOption())
    .addOption(
      new Option(
        '--cache-logits <folder>',
        "keep the teacher's 64 most probable tokens in this folder, and compare with these alone",
      ).argParser(folderToWrite('--cache-logits', 'a folder that can be written')),
    )
    .addOption(
      sizeOption('--cache-limit <size>', 'the most that --cache-logits may take', byteCountIn('GB')).default(
        byDefault.cacheLimit,
        `${byDefault.cacheLimit / 1e9}GB`,
      ),
    )
    .addOption(seedOption().default(1))
    .addOption(writtenDtypeOption())
    .addHelpText(
      'after',
      "\nStage 1 trains the linear blocks towards the teacher's hidden states, stage 2 towards its predictions, stage 3 trains " +
        'all weights towards its predictions and, with --cross-entropy, the text. A hybrid that has windows or heads that see ' +
        'everything, but no linear blocks, has stage 3 alone. Documents that are held out of the text are read while it trains: progress ' +
        'shows how far the hybrid is from its teacher there (held-out KL, nats a token), and what as much training again would ' +
        'bring. The folder of --out gets the training states, result.json, ' +
        'report.html and the hybrid.\n' +
        '\nExamples:\n  postnas distill models/base runs/search/seed-1/hybrid\n' +
        '  postnas distill ./SmolLM2-135M runs/smollm2/seed-1/hybrid --data novels.txt --held-out more-novels.txt \\\n' +
        '    --task held-out-loss:loss:8 --rows 2 --length 512 --all-steps 2000 --body-rate 0.05\n' +
        '  postnas distill models/base runs/search/seed-1/hybrid --feature-steps 0 --logit-steps 0 \\\n' +
        '    --cache-logits .cache/base',
    );
  addWithAliases(
    command,
    new Option('--distill-temperature <x>', 'what logits are divided by before they are compared')
      .argParser(positive)
      .default(byDefault.temperature),
    '--temperature',
  );
  withBatches(command, { examples: byDefault.examples });
  return recipeCommand<Options>(command, {
    name: 'distill',
    leftovers: LEFTOVERS.distill,
    recipe(options, [model, hybrid]) {
      const { seed, distillTemperature: temperature, ...own } = settingsOf(options);
      return distillRecipe({ ...own, temperature, seeds: [seed], model: model!, hybrid: hybrid! });
    },
    summary: distillSummary,
  });
}
