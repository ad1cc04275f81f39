import { Command, Option } from 'commander';
import { WEIGHT_DTYPES, type WeightDtype } from '../../model/quantized-tensors.ts';
import type { KvDtype } from '../../runtime/kv-blocks.ts';
import { Model } from '../../runtime/model.ts';
import { checkField, openCorpus, trainingText } from '../../tasks/corpus/corpus.ts';
import { EngineScorer } from '../../tasks/engine-scorer.ts';
import { scorePlan } from '../../tasks/harness.ts';
import { planText } from '../../tasks/held-out-text.ts';
import { HELD_OUT_TASK, parseTask, planOf } from '../../tasks/objective.ts';
import { InputError } from '../../util/errors.ts';
import { action } from '../command.ts';
import { withTasks } from '../data-options.ts';
import {
  addWithAliases,
  dtypeOption,
  kvDtypeOption,
  lengthOption,
  modelArgument,
  otherwise,
  threadsOption,
} from '../options.ts';
import { wholeNumber } from '../parsers.ts';
import { table } from '../table.ts';

interface Options {
  heldOut?: string[];
  field?: string;
  task?: string[];
  heldOutRows: number;
  length: number;
  examples: number;
  dtype?: WeightDtype;
  kvDtype?: KvDtype;
  threads?: number;
}

/** `postnas eval`: perplexity on a text and accuracy on tasks, by the engine that generates. */
export function evalCommand(): Command {
  const command = new Command('eval')
    .description(
      'Measure the perplexity of a model on a text and its accuracy on tasks, also with weights of few bits.',
    )
    .addArgument(modelArgument());
  addWithAliases(
    command,
    new Option('--held-out-rows <n>', 'rows of the held-out text, spread over it')
      .argParser(wholeNumber)
      .default(16),
    '--rows',
  );
  withTasks(command, `${HELD_OUT_TASK} where there is a text`)
    .addOption(lengthOption().default(512))
    .addOption(otherwise(dtypeOption(WEIGHT_DTYPES), 'as they are stored'))
    .addOption(kvDtypeOption())
    .addOption(threadsOption())
    .addHelpText(
      'after',
      '\nThe same options take the same places of the text and the same examples: run it with and without --dtype q4 to see ' +
        'what 4 bits cost.\n' +
        '\nExamples:\n  postnas eval models/hybrid --held-out novel.txt --dtype q4\n' +
        '  postnas eval models/base --task recall choice arithmetic --examples 256',
    );
  return action<Options>(command, async ({ progress, signal, result }, options, [name]) => {
    const { heldOut, field, heldOutRows: rows, length, examples, dtype, kvDtype, threads } = options;
    const tasks = (options.task ?? []).map((text) => parseTask(text, examples));
    const loading = { dtype, kvDtype, threads, onProgress: progress.report, signal };
    if (heldOut === undefined && tasks.length === 0) {
      throw new InputError('nothing to evaluate: give --held-out FILE or --task NAME');
    }
    await using model = await Model.fromPretrained(name!, loading);
    for (const notice of model.notices) progress.log(notice);
    const { tokenizer } = model;
    if (!tokenizer) throw new InputError(`${name} has no tokenizer.json, which texts and tasks need`);
    const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    const reading = { onProgress: progress.report, signal };
    const corpus = heldOut && (await openCorpus(tokenizer, { files: heldOut, field, ...reading }));
    if (field !== undefined) checkField(field, corpus);
    const given = corpus && trainingText(corpus);
    const plans = tasks.map(({ name, examples }) =>
      planOf(name, { examples, length, heldOut: given }, tokenizer),
    );
    if (given !== undefined && !tasks.some(({ name }) => name === HELD_OUT_TASK)) {
      plans.unshift(planText('text', given, encode, { rows, length, seed: 7 }));
    }
    const scorer = new EngineScorer(model.engine);
    const scores = [];
    for (const plan of plans) {
      scores.push(await scorePlan(scorer, plan, { onProgress: progress.report, signal }));
    }
    const isText = (name: string) => name === 'text' || name === HELD_OUT_TASK;
    const text = scores.find((score) => isText(score.name));
    const perplexity = text ? Math.exp(text.goldLossPerToken) : null;
    const lines = scores.map((score) => {
      const ofText = isText(score.name);
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
