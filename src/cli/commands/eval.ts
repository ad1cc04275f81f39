import { Command, Option } from 'commander';
import { WEIGHT_DTYPES, type WeightDtype } from '../../model/quantized-tensors.ts';
import type { KvDtype } from '../../runtime/kv-blocks.ts';
import { Model } from '../../runtime/model.ts';
import { EngineScorer } from '../../tasks/engine-scorer.ts';
import { scorePlan } from '../../tasks/harness.ts';
import { planText } from '../../tasks/held-out-text.ts';
import { worldTasks } from '../../tasks/mixture.ts';
import { InputError } from '../../util/errors.ts';
import { action, kvDtypeOption, wholeNumber } from '../command.ts';
import { planOf, readText } from '../data-options.ts';
import { table } from '../table.ts';

interface Options {
  text?: string;
  task?: string[];
  rows: number;
  length: number;
  examples: number;
  dtype?: WeightDtype;
  kvDtype?: KvDtype;
  threads?: number;
}

/** `postnas eval`: perplexity on a text and accuracy on tasks, by the engine that generates. */
export function evalCommand(): Command {
  const command = new Command('eval')
    .description('perplexity on a text and accuracy on tasks, also of weights in few bits')
    .argument('<model>', 'model folder, or a name on the hub: org/model')
    .option('--text <file>', 'text for the perplexity')
    .option('--rows <n>', 'rows of text, from places spread over it', wholeNumber, 16)
    .option('--length <n>', 'tokens of a row', wholeNumber, 512)
    .option('--task <name...>', `tasks: vocabulary-recall, ${worldTasks.map(({ name }) => name).join(', ')}`)
    .option('--examples <n>', 'examples of each task', wholeNumber, 128)
    .addOption(
      new Option('--dtype <type>', 'of the weights (as they are stored when not given)').choices(
        WEIGHT_DTYPES,
      ),
    )
    .addOption(kvDtypeOption())
    .option('--threads <n>', 'threads of ONNX Runtime (all cores when not given)', wholeNumber)
    .addHelpText(
      'after',
      '\nThe same text and the same examples are taken for the same options: what 4 bits cost is the difference.\n' +
        '\nExamples:\n  postnas eval runs/hybrid --text novel.txt --dtype q4\n' +
        '  postnas eval models/base --task recall choice arithmetic --examples 256',
    );
  return action<Options>(command, async ({ progress, signal, result }, options, [name]) => {
    const { text, task: tasks = [], rows, length, examples, dtype, kvDtype, threads } = options;
    if (text === undefined && tasks.length === 0) {
      throw new InputError('nothing to evaluate: give --text FILE or --task NAME');
    }
    const loading = { dtype, kvDtype, threads, onProgress: progress.report, signal };
    await using model = await Model.fromPretrained(name!, loading);
    for (const notice of model.notices) progress.log(notice);
    const { tokenizer } = model;
    if (!tokenizer) throw new InputError(`${name} has no tokenizer.json, which texts and tasks need`);
    const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    const plans = tasks.map((task) => planOf(task, { examples, length }, tokenizer));
    if (text !== undefined)
      plans.unshift(planText('text', readText(text), encode, { rows, length, seed: 7 }));
    const scorer = new EngineScorer(model.engine);
    const scores = [];
    for (const plan of plans) {
      scores.push(await scorePlan(scorer, plan, { onProgress: progress.report, signal }));
    }
    const perplexity = text === undefined ? null : Math.exp(scores[0]!.goldLossPerToken);
    const lines = scores.map((score, i) => {
      const ofText = text !== undefined && i === 0;
      return [
        score.name,
        String(score.examples),
        ofText ? '' : (100 * score.accuracy).toFixed(1),
        score.goldLossPerToken.toFixed(4),
        ofText ? perplexity!.toFixed(3) : '',
      ];
    });
    result(
      { dtype: dtype ?? 'as stored', kvDtype: model.engine.kvDtype, perplexity, scores },
      table(['task', 'examples', 'accuracy %', 'nats a token', 'perplexity'], lines),
    );
  });
}
