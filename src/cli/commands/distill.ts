import { join } from 'node:path';
import { Command, Option } from 'commander';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import type { WrittenDtype } from '../../model/safetensors.ts';
import { type DataSettings, dataOf } from '../../search/data.ts';
import { PathScorer } from '../../search/judge/scorer.ts';
import type { Hybrid } from '../../search/network/hybrid.ts';
import { Network } from '../../search/network/network.ts';
import { distill } from '../../search/stages/final/distill.ts';
import type { ObjectiveTask } from '../../tasks/objective.ts';
import { type Common, resumingAction } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { withBatches } from '../data-options.ts';
import { againstTeacher, type JudgedModel, scoreTable } from '../distill-summary.ts';
import {
  addWithAliases,
  modelArgument,
  outFolder,
  seedOption,
  sizeOption,
  writtenDtypeOption,
} from '../options.ts';
import { byteCountIn, decimal, natural, positive } from '../parsers.ts';
import { folderToWrite } from '../paths.ts';
import { duration } from '../progress.ts';
import { LEFTOVERS } from '../restart.ts';

interface DistillOptions extends DataSettings {
  out: string;
  seed: number;
  featureSteps: number;
  featureRate: number;
  logitSteps: number;
  logitRate: number;
  allSteps: number;
  allRate: number;
  bodyRate: number;
  crossEntropy: number;
  distillTemperature: number;
  cacheLogits?: string;
  cacheLimit: number;
  dtype: WrittenDtype;
}

/** `postnas distill`: the final training of a hybrid. */
export function distillCommand(): Command {
  const command = new Command('distill')
    .description('Train a hybrid to do what its teacher does, in three stages, and write it.')
    .addArgument(modelArgument('teacher'))
    .argument('<hybrid>', 'folder of the hybrid, such as the one that a search writes')
    .addOption(outFolder('runs/distill'))
    .option('--feature-steps <n>', 'steps of stage 1; 0 leaves it out', natural, 200)
    .option('--feature-rate <x>', 'highest learning rate of stage 1', positive, 2e-3)
    .option('--logit-steps <n>', 'steps of stage 2; 0 leaves it out', natural, 400)
    .option('--logit-rate <x>', 'highest learning rate of stage 2', positive, 1e-3)
    .option('--all-steps <n>', 'steps of stage 3; 0 leaves it out', natural, 400)
    .option('--all-rate <x>', 'highest learning rate of the linear blocks in stage 3', positive, 1e-3)
    .option(
      '--body-rate <x>',
      'learning rate of all other weights in stage 3, as a multiple of --all-rate',
      decimal,
      0.1,
    )
    .option('--cross-entropy <x>', 'weight of the loss on the text itself in stage 3', decimal, 0.1)
    .addOption(
      new Option(
        '--cache-logits <folder>',
        "keep the teacher's 64 most probable tokens in this folder, and compare with these alone",
      ).argParser(folderToWrite('--cache-logits', 'a folder that can be written')),
    )
    .addOption(
      sizeOption('--cache-limit <size>', 'the most that --cache-logits may take', byteCountIn('GB')).default(
        20e9,
        '20GB',
      ),
    )
    .addOption(seedOption().default(1))
    .addOption(writtenDtypeOption())
    .addHelpText(
      'after',
      "\nStage 1 trains the linear blocks towards the teacher's hidden states, stage 2 towards its predictions, stage 3 trains " +
        'all weights towards its predictions and the text. The folder of --out gets the training states and the hybrid.\n' +
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
      .default(1),
    '--temperature',
  );
  withBatches(command);
  return resumingAction<DistillOptions>(command, LEFTOVERS.distill, ({ out }) => out, distillHybrid);
}

async function distillHybrid(
  { progress, signal, result }: Common,
  options: DistillOptions,
  [first, second]: string[],
  begin: () => void,
): Promise<void> {
  const resolving = { onProgress: progress.report, signal };
  const [teacher, student] = [await resolveModel(first!, resolving), await resolveModel(second!, resolving)];
  const { batches, tasks } = await dataOf(teacher, options, resolving);
  const shape = { batch: options.rows, length: options.length };
  const judged: JudgedModel[] = [];
  const judge = async (model: string, hybrid: Hybrid) => {
    judged.push(await judgedOn(tasks, model, hybrid, options, signal));
  };
  begin();
  const { stages } = await distill({
    teacher,
    student,
    out: options.out,
    seed: options.seed,
    batches,
    features: { ...shape, steps: options.featureSteps, rate: options.featureRate },
    logits: { ...shape, steps: options.logitSteps, rate: options.logitRate },
    all: {
      ...shape,
      steps: options.allSteps,
      rate: options.allRate,
      bodyRate: options.bodyRate,
      crossEntropy: options.crossEntropy,
    },
    temperature: options.distillTemperature,
    cacheLogits: options.cacheLogits,
    cacheLimit: options.cacheLimit,
    dtype: options.dtype,
    threads: options.threads,
    device: options.device,
    onProgress: progress.report,
    onNotice: progress.log,
    signal,
    beforeStages: async () => {
      await judge('teacher', openCheckpoint(teacher));
      await judge('hybrid', openCheckpoint(student));
    },
    afterStage: judge,
  });
  const hybrid = join(options.out, 'hybrid');
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const tokens = stages.reduce((sum, stage) => sum + stage.tokens, 0);
  result(
    { command: commandLine('distill', [first!, second!], options), hybrid, stages, judged },
    [
      scoreTable(tasks, judged),
      ...(judged.length > 1 ? [againstTeacher(tasks, judged)] : []),
      '',
      ...stages.map(({ name, steps, loss }) => `${name}: ${steps} steps, loss ${loss.toFixed(4)}`),
      `${tokens.toLocaleString('en')} tokens in ${duration(seconds)}`,
      `hybrid: ${hybrid}`,
      '',
      'next, use it, or see what it takes:',
      `  postnas generate ${hybrid} --prompt "Once upon a time"`,
      `  postnas info ${hybrid}`,
    ].join('\n'),
  );
}

async function judgedOn(
  tasks: readonly ObjectiveTask[],
  model: string,
  { config, weights }: Hybrid,
  { threads, device }: Pick<DataSettings, 'threads' | 'device'>,
  signal: AbortSignal,
): Promise<JudgedModel> {
  const scorer = new PathScorer(new Network(config, weights), { threads, device });
  const path = config.layers.map(() => 0);
  const judged: JudgedModel = { model, tasks: {} };
  try {
    for (const { plan } of tasks) {
      const [score] = await scorer.scoreTask([path], plan, { signal });
      const { accuracy, goldLossPerToken } = score!;
      judged.tasks[plan.name] = { accuracy, goldLossPerToken };
    }
  } finally {
    await scorer.dispose();
  }
  return judged;
}
