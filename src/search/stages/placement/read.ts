import type { JsonObject } from '../../../model/json-fields.ts';
import type { ResultReader } from '../../result-reader.ts';

/**
 * Checks a `SearchResult`.
 *
 * @param within where it stands in its file: '' for a file of its own, 'placement.' in that of a run
 */
export function checkSearch(read: ResultReader, json: JsonObject, within = ''): void {
  const layers = read.model(json.model, `${within}model`);
  read.date(json.created, `${within}created`);
  read.string(read.object(json.mixer, `${within}mixer`).kind, `${within}mixer.kind`);
  const budget = read.whole(json.budget, `${within}budget`, 0);
  read.check(budget <= layers, budget, `${within}budget`, `at most ${layers}, the number of layers`);
  const tasks = read.objective(json.objective, `${within}objective`);
  read.judged(json.base, `${within}base`, layers, tasks);
  if (json.unseen !== undefined) {
    const unseen = read.object(json.unseen, `${within}unseen`);
    const others = read.objective(unseen.objective, `${within}unseen.objective`);
    const same = others.length === tasks.length && others.every((task, i) => task === tasks[i]);
    read.check(same, others, `${within}unseen.objective`, 'the tasks of the objective');
    read.judged(unseen.base, `${within}unseen.base`, layers, tasks);
  }
  for (const [i, run] of read.filled(json.runs, `${within}runs`).entries()) {
    checkRun(read, run, `${within}runs[${i}]`, layers, tasks);
  }
  read.numbers(json, ['seconds', 'tokens'], within);
  if (json.command !== undefined) read.string(json.command, `${within}command`);
}

function checkRun(
  read: ResultReader,
  value: unknown,
  at: string,
  layers: number,
  tasks: readonly string[],
): void {
  const run = read.object(value, at);
  read.whole(run.seed, `${at}.seed`, 0);
  const alignment = read.list(run.alignment, `${at}.alignment`);
  read.check(alignment.length === layers, alignment.length, `${at}.alignment.length`, `${layers}`);
  for (const [i, error] of alignment.entries()) read.number(error, `${at}.alignment[${i}]`);
  read.number(run.supernetLoss, `${at}.supernetLoss`);
  for (const [i, entry] of read.list(run.heatMap, `${at}.heatMap`).entries()) {
    read.judged(entry, `${at}.heatMap[${i}]`, layers, tasks);
  }
  for (const [i, entry] of read.list(run.searchers, `${at}.searchers`).entries()) {
    const where = `${at}.searchers[${i}]`;
    const searcher = read.cost(entry, where);
    for (const [j, best] of read.list(searcher.best, `${where}.best`).entries()) {
      read.judged(best, `${where}.best[${j}]`, layers, tasks);
    }
    for (const [j, drawn] of read.list(searcher.drawn ?? [], `${where}.drawn`).entries()) {
      read.judged(drawn, `${where}.drawn[${j}]`, layers, tasks);
    }
  }
  for (const [i, entry] of read.list(run.unseen ?? [], `${at}.unseen`).entries()) {
    read.judged(entry, `${at}.unseen[${i}]`, layers, tasks);
  }
  read.architecture(run.architecture, `${at}.architecture`, layers);
  read.placement(run.placement, `${at}.placement`, layers);
  for (const [i, stage] of read.list(run.stages, `${at}.stages`).entries()) {
    read.cost(stage, `${at}.stages[${i}]`);
  }
}
