import { join } from 'node:path';
import { Command } from 'commander';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import type { WrittenDtype } from '../../model/safetensors.ts';
import { distill } from '../../search/distill.ts';
import type { Hybrid } from '../../search/hybrid.ts';
import type { ObjectiveTask } from '../../search/judge.ts';
import { Network } from '../../search/network.ts';
import { PathScorer } from '../../search/scorer.ts';
import { InputError } from '../../util/errors.ts';
import { action, decimal, natural, weightType } from '../command.ts';
import { type BatchOptions, commandLine, dataOf, withBatches } from '../data-options.ts';
import { againstTeacher, type JudgedModel, scoreTable } from '../distill-summary.ts';
import { duration } from '../progress.ts';

interface DistillOptions extends BatchOptions {
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
  temperature: number;
  cacheLogits?: string;
  cacheLimit: number;
  dtype: WrittenDtype;
}

/** `postnas distill`: the final training of a hybrid. */
export function distillCommand(): Command {
  const command = new Command('distill')
    .description('train a hybrid to do what its teacher does; resumes when run again')
    .argument('<teacher>', 'a Hugging Face folder, or the id of a model on the Hub')
    .argument('<hybrid>', 'folder of the hybrid, as a search leaves it')
    .option('--out <folder>', 'where states and the finished hybrid go', 'runs/distill')
    .option(
      '--feature-steps <n>',
      "steps towards the teacher's hidden states, MLPs frozen; 0 for none",
      natural,
      200,
    )
    .option('--feature-rate <x>', 'highest learning rate of these', decimal, 2e-3)
    .option(
      '--logit-steps <n>',
      "steps towards the teacher's predictions, MLPs frozen; 0 for none",
      natural,
      400,
    )
    .option('--logit-rate <x>', 'highest learning rate of these', decimal, 1e-3)
    .option('--all-steps <n>', 'steps of all weights; 0 for none', natural, 400)
    .option('--all-rate <x>', 'highest learning rate of the linear mixers in these', decimal, 1e-3)
    .option('--body-rate <x>', 'that of all other weights, as a multiple of it', decimal, 0.1)
    .option(
      '--cross-entropy <x>',
      'weight of the next token beside the predictions, all weights',
      decimal,
      0.1,
    )
    .option('--temperature <x>', 'by which logits are divided before they are compared', decimal, 1)
    .option(
      '--cache-logits <folder>',
      "keep the teacher's 64 most probable tokens and compare with them alone",
    )
    .option('--cache-limit <gb>', 'the most that they may take', decimal, 20)
    .option('--seed <n>', 'seed of the batches', natural, 1)
    .option('--dtype <type>', 'of the written weights: F32, F16 or BF16', weightType, 'F32')
    .addHelpText(
      'after',
      '\nExamples:\n  postnas distill models/base runs/search/seed-1/hybrid\n' +
        '  postnas distill ./SmolLM2-135M runs/smollm2/seed-1/hybrid --data novels.txt --rows 2 --length 512 \\\n' +
        '    --held-out more-novels.txt --objective held-out-loss:loss:8 --all-steps 2000 --body-rate 0.05\n' +
        '  postnas distill models/base HYBRID --feature-steps 0 --logit-steps 0 --cache-logits .cache/base',
    );
  withBatches(command);
  return action<DistillOptions>(command, async ({ progress, signal, result }, options, [first, second]) => {
    const [teacher, student] = [await resolveModel(first!), await resolveModel(second!)];
    for (const [flag, rate] of [
      ['--feature-rate', options.featureRate],
      ['--logit-rate', options.logitRate],
      ['--all-rate', options.allRate],
    ] as const) {
      if (rate === 0) throw new InputError(`${flag} 0: expected a number above 0`);
    }
    const { batches, tasks } = dataOf(teacher, options);
    const shape = { batch: options.rows, length: options.length };
    const judged: JudgedModel[] = [];
    const judge = async (model: string, hybrid: Hybrid) => {
      judged.push(await judgedOn(tasks, model, hybrid, options, signal));
    };
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
      temperature: options.temperature,
      cacheLogits: options.cacheLogits,
      cacheLimit: options.cacheLimit * 1e9,
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
  });
}

async function judgedOn(
  tasks: readonly ObjectiveTask[],
  model: string,
  { config, weights }: Hybrid,
  { threads, device }: Pick<BatchOptions, 'threads' | 'device'>,
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
