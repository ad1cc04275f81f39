/** Reads what a search has written, and refuses what no search writes: every mistake names the file and the field. */
import { isObject, type JsonObject, readJsonObject } from '../model/json-fields.ts';
import { InputError } from '../util/errors.ts';
import type { Judged } from './placement/searcher.ts';
import type { SearchResult } from './result.ts';

/** @throws InputError when the file is missing, is no JSON or not a search result */
export function readSearchResult(path: string): SearchResult {
  const json = readJsonObject(path);
  if (json.format !== 'postnas-search-1') {
    throw new InputError(
      `${path}: format is ${JSON.stringify(json.format) ?? 'missing'}, expected "postnas-search-1": this is no search result`,
    );
  }
  return new Reader(path).result(json);
}

/** Checks one file; `at` says where a value stands, as in 'runs[0].heatMap[2].score'. */
class Reader {
  private layers = 0;
  private tasks: string[] = [];

  constructor(private readonly path: string) {}

  result(json: JsonObject): SearchResult {
    const model = this.object(json.model, 'model');
    this.string(model.path, 'model.path');
    this.layers = this.whole(model.layers, 'model.layers', 1);
    this.number(model.parameters, 'model.parameters');
    const created = this.string(json.created, 'created');
    this.check(!Number.isNaN(Date.parse(created)), created, 'created', 'a date');
    this.string(this.object(json.mixer, 'mixer').kind, 'mixer.kind');
    const budget = this.whole(json.budget, 'budget', 0);
    this.check(budget <= this.layers, budget, 'budget', `at most ${this.layers}, the number of layers`);
    this.tasks = this.filled(json.objective, 'objective').map((entry, i) =>
      this.objective(entry, `objective[${i}]`),
    );
    this.judged(json.base, 'base');
    for (const [i, run] of this.filled(json.runs, 'runs').entries()) this.run(run, `runs[${i}]`);
    this.number(json.seconds, 'seconds');
    this.number(json.tokens, 'tokens');
    if (json.command !== undefined) this.string(json.command, 'command');
    // Every field has been looked at.
    return json as unknown as SearchResult;
  }

  private objective(value: unknown, at: string): string {
    const { task, metric, examples } = this.object(value, at);
    this.check(metric === 'accuracy' || metric === 'loss', metric, `${at}.metric`, 'accuracy or loss');
    this.whole(examples, `${at}.examples`, 1);
    return this.string(task, `${at}.task`);
  }

  private run(value: unknown, at: string): void {
    const run = this.object(value, at);
    this.whole(run.seed, `${at}.seed`, 0);
    const alignment = this.list(run.alignment, `${at}.alignment`);
    this.check(
      alignment.length === this.layers,
      alignment.length,
      `${at}.alignment.length`,
      `${this.layers}`,
    );
    for (const [i, error] of alignment.entries()) this.number(error, `${at}.alignment[${i}]`);
    this.number(run.supernetLoss, `${at}.supernetLoss`);
    for (const [i, entry] of this.list(run.heatMap, `${at}.heatMap`).entries()) {
      this.judged(entry, `${at}.heatMap[${i}]`);
    }
    for (const [i, entry] of this.list(run.searchers, `${at}.searchers`).entries()) {
      const where = `${at}.searchers[${i}]`;
      const searcher = this.cost(entry, where);
      for (const [j, best] of this.list(searcher.best, `${where}.best`).entries()) {
        this.judged(best, `${where}.best[${j}]`);
      }
    }
    const architecture = this.string(run.architecture, `${at}.architecture`);
    const fits = architecture.length === this.layers;
    this.check(fits, architecture, `${at}.architecture`, `a letter for each of ${this.layers} layers`);
    this.placement(run.placement, `${at}.placement`);
    for (const [i, stage] of this.list(run.stages, `${at}.stages`).entries()) {
      this.cost(stage, `${at}.stages[${i}]`);
    }
  }

  /** Something with a name that took time and tokens. */
  private cost(value: unknown, at: string): JsonObject {
    const object = this.object(value, at);
    this.string(object.name, `${at}.name`);
    this.number(object.seconds, `${at}.seconds`);
    this.number(object.tokens, `${at}.tokens`);
    return object;
  }

  private judged(value: unknown, at: string): void {
    const judged = this.object(value, at);
    this.placement(judged.placement, `${at}.placement`);
    this.number(judged.score, `${at}.score`);
    const tasks = this.object(judged.tasks, `${at}.tasks`);
    for (const name of this.tasks) {
      const where = `${at}.tasks[${JSON.stringify(name)}]`;
      const task = this.object(tasks[name], where);
      const fields: (keyof Judged['tasks'][string])[] = ['accuracy', 'goldLoss', 'goldLossPerToken'];
      for (const field of fields) this.number(task[field], `${where}.${field}`);
    }
  }

  private placement(value: unknown, at: string): void {
    const layers = this.list(value, at);
    const right = layers.every(
      (layer, i) =>
        Number.isInteger(layer) &&
        (layer as number) >= 0 &&
        (layer as number) < this.layers &&
        (i === 0 || (layer as number) > (layers[i - 1] as number)),
    );
    this.check(right, value, at, `layers from 0 to ${this.layers - 1}, ascending`);
  }

  private object(value: unknown, at: string): JsonObject {
    this.check(isObject(value), value, at, 'an object');
    return value as JsonObject;
  }

  private list(value: unknown, at: string): unknown[] {
    this.check(Array.isArray(value), value, at, 'a list');
    return value as unknown[];
  }

  private filled(value: unknown, at: string): unknown[] {
    const list = this.list(value, at);
    this.check(list.length > 0, value, at, 'at least one entry');
    return list;
  }

  private string(value: unknown, at: string): string {
    this.check(typeof value === 'string', value, at, 'a string');
    return value as string;
  }

  private number(value: unknown, at: string): number {
    this.check(typeof value === 'number' && Number.isFinite(value), value, at, 'a number');
    return value as number;
  }

  private whole(value: unknown, at: string, least: number): number {
    const right = Number.isSafeInteger(value) && (value as number) >= least;
    this.check(right, value, at, `a whole number of at least ${least}`);
    return value as number;
  }

  private check(right: boolean, value: unknown, at: string, expected: string): void {
    if (right) return;
    const found = value === undefined ? 'is missing' : `is ${shortened(JSON.stringify(value))}`;
    throw new InputError(`${this.path}: ${at} ${found}, expected ${expected}`);
  }
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
