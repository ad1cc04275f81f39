import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import { loadTokenizer, type Tokenizer } from '../../model/tokenizer.ts';
import type { Metric, ObjectiveTask } from '../../search/judge.ts';
import { LINEAR_KINDS, linearMixer } from '../../search/linear-mixer.ts';
import { type SearchSettings, searchPlacement } from '../../search/pipeline.ts';
import type { SearchResult } from '../../search/result.ts';
import type { PathSampling } from '../../search/supernet.ts';
import { planTask } from '../../tasks/harness.ts';
import { planText } from '../../tasks/held-out-text.ts';
import { fillRows, worldTasks } from '../../tasks/mixture.ts';
import { vocabularyRecall } from '../../tasks/vocabulary-recall.ts';
import { cachedEncode } from '../../tasks/world-tokenizer.ts';
import { type TokenBatches, textBatches } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import { action, type Common, wholeNumber } from '../command.ts';
import { duration } from '../progress.ts';
import { table } from '../table.ts';

export interface SearchOptions {
  out: string;
  mixer: string;
  budget: number;
  seeds: number;
  data: string;
  heldOut?: string;
  objective: string[];
  examples: number;
  alignSteps: number;
  supernetSteps: number;
  finishSteps: number;
  rows: number;
  length: number;
  rate: string;
  sampling: string;
  beam: number;
  random: number;
  exhaustive?: boolean;
  threads?: number;
}

/** `postnas search`: where full attention must stay. */
export function search(): Command {
  const command = new Command('search')
    .description('find the layers that must keep full attention, and write the hybrid')
    .argument('<model>', 'a Hugging Face folder, or the id of a model on the Hub')
    .option('--out <folder>', 'where states, result.json, report.html and the hybrid go', 'runs/search')
    .option('--mixer <kind>', `what takes the place of attention: ${LINEAR_KINDS.join(', ')}`, 'gla')
    .option('--budget <n>', 'layers that keep full attention', wholeNumber, 2)
    .option('--seeds <n>', 'how often the whole search is repeated', wholeNumber, 1)
    .option('--data <what>', "text file to train on, or 'world' for the generated world", 'world')
    .option('--held-out <file>', 'text for the objective held-out-loss')
    .option(
      '--objective <task:metric:examples...>',
      'what a placement is judged by; metric is accuracy or loss',
      ['recall:accuracy', 'choice:accuracy', 'arithmetic:accuracy', 'needle:accuracy', 'tracking:accuracy'],
    )
    .option('--examples <n>', 'examples of each task that does not say', wholeNumber, 128)
    .option('--align-steps <n>', 'steps of alignment', wholeNumber, 300)
    .option('--supernet-steps <n>', 'steps of the super network', wholeNumber, 600)
    .option('--finish-steps <n>', 'steps of the chosen hybrid after the search; 0 for none', Number, 0)
    .option('--rows <n>', 'rows of a step', wholeNumber, 8)
    .option('--length <n>', 'tokens of a row', wholeNumber, 256)
    .option('--rate <x>', 'highest learning rate', '1e-3')
    .option('--sampling <rule>', 'how paths are drawn: budget, uniform or coin', 'budget')
    .option('--beam <n>', 'width of the beam', wholeNumber, 3)
    .option('--random <n>', 'random placements to compare with; 0 for none', Number, 8)
    .option('--exhaustive', 'judge every placement of the budget too (small models)')
    .option('--threads <n>', 'threads of ONNX Runtime (all cores when not given)', wholeNumber)
    .addHelpText(
      'after',
      '\nExamples:\n  postnas search models/base --seeds 3 --exhaustive\n' +
        '  postnas search ./SmolLM2-135M --mixer gated_deltanet --budget 4 --data novels.txt \\\n' +
        '    --held-out more-novels.txt --objective held-out-loss:loss:8 vocabulary-recall:accuracy:64',
    );
  return action<SearchOptions>(command, async (common, options, [model]) => {
    const result = await runSearch(common, await resolveModel(model!), options);
    common.result(result, summary(result, options.out));
  });
}

/** Runs a search and writes its report. */
export async function runSearch(
  { progress, signal }: Common,
  model: string,
  options: SearchOptions,
): Promise<SearchResult> {
  const { config } = openCheckpoint(model);
  const tokenizer = loadTokenizer(model);
  const encode = cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));
  const shape = { batch: options.rows, length: options.length };
  const rate = Number(options.rate);
  const settings: SearchSettings = {
    model,
    out: options.out,
    mixer: linearMixer(options.mixer, config),
    budget: options.budget,
    seeds: Array.from({ length: options.seeds }, (_, i) => i + 1),
    tasks: options.objective.map((text) => objectiveTask(text, options, tokenizer)),
    batches: options.data === 'world' ? worldBatches(tokenizer) : textFile(options.data, encode),
    align: { ...shape, steps: options.alignSteps, rate },
    supernet: {
      ...shape,
      steps: options.supernetSteps,
      rate,
      sampling: samplingRule(options.sampling, options.budget),
    },
    finish: { ...shape, steps: options.finishSteps, rate: rate / 2 },
    beamWidth: options.beam,
    randomSamples: options.random,
    exhaustive: options.exhaustive ?? false,
    command: commandLine(model, options),
    threads: options.threads,
    onProgress: progress.report,
    signal,
  };
  const result = await searchPlacement(settings);
  // Charting is loaded when it is needed: that takes a second.
  const { writeSearchReport } = await import('../../report/search-report.ts');
  writeSearchReport(join(options.out, 'report.html'), result);
  return result;
}

/** The search with every option spelled out, for a shell. */
function commandLine(model: string, options: SearchOptions): string {
  const quoted = (text: string) =>
    /^[\w.,:/@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const flags = Object.entries(options).flatMap(([name, value]: [string, unknown]) => {
    // How it is printed makes no difference to what is found.
    if (value === undefined || value === false || name === 'json' || name === 'quiet') return [];
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : [flag, ...[value].flat().map((each) => quoted(String(each)))];
  });
  return ['postnas search', quoted(model), ...flags].join(' ');
}

function samplingRule(rule: string, budget: number): PathSampling {
  if (rule === 'budget') return { rule, budget };
  if (rule === 'uniform' || rule === 'coin') return { rule };
  throw new InputError(`--sampling ${rule}: expected budget, uniform or coin`);
}

function worldBatches(tokenizer: Tokenizer): TokenBatches {
  const encode = cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));
  return { fill: (out, width, random) => fillRows(out, width, random, encode, tokenizer.eosIds[0]!) };
}

function readText(path: string): string {
  if (!existsSync(path)) throw new InputError(`${path}: no such file; expected a text file`);
  return readFileSync(path, 'utf8');
}

function textFile(path: string, encode: (text: string) => readonly number[]): TokenBatches {
  return textBatches(readText(path), encode, path);
}

function objectiveTask(text: string, options: SearchOptions, tokenizer: Tokenizer): ObjectiveTask {
  const [name, metric = 'accuracy', count] = text.split(':') as [string, string?, string?];
  if (metric !== 'accuracy' && metric !== 'loss') {
    throw new InputError(`--objective ${text}: the metric is '${metric}', expected accuracy or loss`);
  }
  const examples = count === undefined ? options.examples : Number(count);
  if (!Number.isInteger(examples) || examples < 1) {
    throw new InputError(`--objective ${text}: '${count}' examples, expected a whole number above 0`);
  }
  return { plan: planOf(name, { ...options, examples }, tokenizer), metric: metric as Metric };
}

function planOf(
  name: string,
  { examples, heldOut, length }: SearchOptions,
  tokenizer: Tokenizer,
): ObjectiveTask['plan'] {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  if (name === 'held-out-loss') {
    if (!heldOut) throw new InputError('the objective held-out-loss needs --held-out FILE');
    return planText(name, readText(heldOut), encode, { rows: examples, length, seed: 7 });
  }
  if (name === 'vocabulary-recall') {
    return planTask(vocabularyRecall(tokenizer.vocabulary(), encode), examples, 7, encode);
  }
  const task = worldTasks.find((each) => each.name === name);
  if (!task) {
    const known = ['held-out-loss', 'vocabulary-recall', ...worldTasks.map((each) => each.name)];
    throw new InputError(`unknown task '${name}'; expected one of ${known.join(', ')}`);
  }
  return planTask(task, examples, 7, cachedEncode(encode));
}

/** The result for people: each searcher's placement and scores at the full budget. */
export function summary(result: SearchResult, out: string): string {
  const tasks = result.objective.map(({ task }) => task);
  const percent = (x: number) => (100 * x).toFixed(1);
  const cells = (judged: SearchResult['base']) => tasks.map((task) => percent(judged.tasks[task]!.accuracy));
  const rows = result.runs.flatMap((run) =>
    run.searchers.map(({ name, best }) => {
      const last = best.at(-1)!;
      return [String(run.seed), name, last.placement.join(' '), last.score.toFixed(4), ...cells(last)];
    }),
  );
  const parent = ['', 'parent', 'all', result.base.score.toFixed(4), ...cells(result.base)];
  return [
    table(['seed', 'search', 'full layers', 'score', ...tasks.map((task) => `${task} %`)], [parent, ...rows]),
    '',
    ...result.runs.map((run) => `seed ${run.seed}: ${run.architecture}`),
    `${result.tokens.toLocaleString('en')} tokens in ${duration(result.seconds)}`,
    `report:  ${join(out, 'report.html')}`,
    `hybrid:  ${join(out, `seed-${result.runs[0]!.seed}`, 'hybrid')}`,
  ].join('\n');
}
