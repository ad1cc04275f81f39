import type { JsonObject } from '../model/json-fields.ts';
import type { ResultReader } from './result-reader.ts';
import { checkBlocks, checkConditions } from './stages/blocks/read.ts';
import { checkSearch } from './stages/placement/read.ts';

const SERIES = ['dimensions', 'state size', 'full layers'];

/** Checks a `RunResult`, all stages that it has. */
export function checkRunResult(read: ResultReader, json: JsonObject): void {
  read.object(json.recipe, 'recipe');
  if (json.command !== undefined) read.string(json.command, 'command');
  read.date(json.created, 'created');
  const machine = read.object(json.machine, 'machine');
  for (const field of ['processor', 'node', 'onnxruntime']) read.string(machine[field], `machine.${field}`);
  read.number(machine.cores, 'machine.cores');
  const alone = ['blocks', 'design', 'dimensions'].find((stage) => json[stage] !== undefined) ?? 'final';
  const first = json.placement === undefined && json[alone] !== undefined ? alone : 'placement';
  const found = read.object(json[first], first);
  if (first === 'placement') checkSearch(read, found, 'placement.');
  const tasks = read.objective(found.objective, `${first}.objective`);
  const layers = read.whole(
    (found.model as JsonObject | undefined)?.layers ?? String(found.architecture).length,
    `${first}.model.layers`,
    1,
  );
  if (first !== 'final') {
    const chosen = read.object(json.chosen, 'chosen');
    read.placement(chosen.placement, 'chosen.placement', layers);
    read.string(chosen.rule, 'chosen.rule');
  }
  if (json.mlps !== undefined) checkMlps(read, read.object(json.mlps, 'mlps'), layers, tasks);
  for (const stage of ['blocks', 'design', 'dimensions']) {
    const found = json[stage];
    if (found !== undefined) checkBlocks(read, read.object(found, stage), `${stage}.`);
  }
  if (json.throughput !== undefined) checkThroughput(read, read.object(json.throughput, 'throughput'));
  if (json.windows !== undefined) checkWindows(read, read.object(json.windows, 'windows'), layers);
  if (json.final !== undefined) checkFinal(read, read.object(json.final, 'final'), layers, tasks);
  read.numbers(json, ['seconds', 'tokens'], '');
}

function checkMlps(read: ResultReader, mlps: JsonObject, layers: number, tasks: readonly string[]): void {
  const placements = read.filled(mlps.placements, 'mlps.placements');
  for (const [i, each] of placements.entries()) read.placement(each, `mlps.placements[${i}]`, layers);
  for (const [i, value] of read.filled(mlps.runs, 'mlps.runs').entries()) {
    const at = `mlps.runs[${i}]`;
    const run = read.object(value, at);
    read.whole(run.seed, `${at}.seed`, 0);
    for (const side of ['frozen', 'trained']) {
      const list = read.list(run[side], `${at}.${side}`);
      read.check(
        list.length === placements.length,
        list.length,
        `${at}.${side}.length`,
        `${placements.length}`,
      );
      for (const [j, judged] of list.entries()) read.judged(judged, `${at}.${side}[${j}]`, layers, tasks);
    }
    read.number(run.rankCorrelation, `${at}.rankCorrelation`);
  }
  read.numbers(mlps, ['seconds', 'tokens'], 'mlps.');
}

function checkThroughput(read: ResultReader, { decode, points }: JsonObject): void {
  checkConditions(read, decode, 'throughput.decode');
  for (const [i, value] of read.filled(points, 'throughput.points').entries()) {
    const at = `throughput.points[${i}]`;
    const point = checkModelCost(read, value, at);
    read.string(point.name, `${at}.name`);
    read.check(SERIES.includes(point.series as string), point.series, `${at}.series`, SERIES.join(' or '));
    read.whole(point.fullLayers, `${at}.fullLayers`, 0);
  }
}

function checkModelCost(read: ResultReader, value: unknown, at: string): JsonObject {
  const cost = read.object(value, at);
  read.numbers(cost, ['parameters', 'stateBytes'], `${at}.`);
  read.rates(cost.decode, `${at}.decode`);
  return cost;
}

function checkWindows(read: ResultReader, windows: JsonObject, layers: number): void {
  read.whole(windows.window, 'windows.window', 1);
  read.whole(windows.budget, 'windows.budget', 0);
  const tasks = read.objective(windows.objective, 'windows.objective');
  for (const [i, value] of read.filled(windows.runs, 'windows.runs').entries()) {
    const at = `windows.runs[${i}]`;
    const run = read.object(value, at);
    read.whole(run.seed, `${at}.seed`, 0);
    for (const [j, judged] of read.filled(run.alone, `${at}.alone`).entries()) {
      read.judged(judged, `${at}.alone[${j}]`, layers, tasks);
    }
    for (const [j, entry] of read.list(run.searchers, `${at}.searchers`).entries()) {
      const where = `${at}.searchers[${j}]`;
      const searcher = read.object(entry, where);
      read.string(searcher.name, `${where}.name`);
      for (const [k, best] of read.list(searcher.best, `${where}.best`).entries()) {
        read.judged(best, `${where}.best[${k}]`, layers, tasks);
      }
    }
  }
  read.placement(windows.chosen, 'windows.chosen', layers);
  read.string(windows.rule, 'windows.rule');
  read.numbers(windows, ['seconds', 'tokens'], 'windows.');
}

function checkFinal(read: ResultReader, final: JsonObject, layers: number, tasks: readonly string[]): void {
  read.architecture(final.architecture, 'final.architecture', layers);
  read.whole(final.examples, 'final.examples', 1);
  read.judged(final.base, 'final.base', layers, tasks);
  for (const [i, value] of read.filled(final.runs, 'final.runs').entries()) {
    const at = `final.runs[${i}]`;
    const run = read.object(value, at);
    read.whole(run.seed, `${at}.seed`, 0);
    read.string(run.hybrid, `${at}.hybrid`);
    for (const [j, entry] of read.filled(run.stages, `${at}.stages`).entries()) {
      const where = `${at}.stages[${j}]`;
      const stage = read.cost(entry, where);
      read.numbers(stage, ['steps', 'loss'], `${where}.`);
      read.judged(stage.judged, `${where}.judged`, layers, tasks);
    }
  }
  const cost = read.object(final.cost, 'final.cost');
  checkConditions(read, cost.decode, 'final.cost.decode');
  for (const side of ['base', 'hybrid']) checkModelCost(read, cost[side], `final.cost.${side}`);
}
