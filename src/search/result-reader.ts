import type { ZodType } from 'zod';
import { isObject, type JsonObject } from '../model/json-fields.ts';
import { InputError } from '../util/errors.ts';
import type { Judged } from './stages/placement/searcher.ts';

/**
 * Checks what a file says it holds: every mistake names the file and the field. `at` says where a value stands, as in
 * 'runs[0].heatMap[2].score'. What the results of all stages have in common is read here.
 */
export class ResultReader {
  constructor(private readonly path: string) {}

  /** All of a file that has a schema; the first mistake is told. */
  schema(schema: ZodType, json: JsonObject): void {
    const issue = schema.safeParse(json).error?.issues[0];
    if (issue) throw new InputError(`${this.path}: ${issue.path.join('.')}: ${issue.message}`);
  }

  object(value: unknown, at: string): JsonObject {
    this.check(isObject(value), value, at, 'an object');
    return value as JsonObject;
  }

  list(value: unknown, at: string): unknown[] {
    this.check(Array.isArray(value), value, at, 'a list');
    return value as unknown[];
  }

  filled(value: unknown, at: string): unknown[] {
    const list = this.list(value, at);
    this.check(list.length > 0, value, at, 'at least one entry');
    return list;
  }

  string(value: unknown, at: string): string {
    this.check(typeof value === 'string', value, at, 'a string');
    return value as string;
  }

  number(value: unknown, at: string): number {
    this.check(typeof value === 'number' && Number.isFinite(value), value, at, 'a number');
    return value as number;
  }

  /** The numbers of an object's fields. */
  numbers(object: JsonObject, fields: readonly string[], at: string): void {
    for (const field of fields) this.number(object[field], `${at}${field}`);
  }

  whole(value: unknown, at: string, least: number): number {
    const right = Number.isSafeInteger(value) && (value as number) >= least;
    this.check(right, value, at, `a whole number of at least ${least}`);
    return value as number;
  }

  date(value: unknown, at: string): void {
    const text = this.string(value, at);
    this.check(!Number.isNaN(Date.parse(text)), text, at, 'a date');
  }

  /** Rounds of a measurement, in tokens per second. */
  rates(value: unknown, at: string): void {
    for (const [i, rate] of this.filled(value, at).entries()) this.number(rate, `${at}[${i}]`);
  }

  /** @returns the number of layers */
  model(value: unknown, at: string): number {
    const model = this.object(value, at);
    this.string(model.path, `${at}.path`);
    this.number(model.parameters, `${at}.parameters`);
    return this.whole(model.layers, `${at}.layers`, 1);
  }

  /** @returns the names of the tasks */
  objective(value: unknown, at: string): string[] {
    return this.filled(value, at).map((entry, i) => {
      const where = `${at}[${i}]`;
      const { task, metric, examples, guides } = this.object(entry, where);
      this.check(metric === 'accuracy' || metric === 'loss', metric, `${where}.metric`, 'accuracy or loss');
      this.whole(examples, `${where}.examples`, 1);
      if (guides !== undefined) {
        this.check(typeof guides === 'boolean', guides, `${where}.guides`, 'true or false');
      }
      return this.string(task, `${where}.task`);
    });
  }

  judged(value: unknown, at: string, layers: number, tasks: readonly string[]): void {
    const judged = this.object(value, at);
    this.placement(judged.placement, `${at}.placement`, layers);
    this.number(judged.score, `${at}.score`);
    const found = this.object(judged.tasks, `${at}.tasks`);
    for (const name of tasks) {
      const where = `${at}.tasks[${JSON.stringify(name)}]`;
      const fields: (keyof Judged['tasks'][string])[] = ['accuracy', 'goldLoss', 'goldLossPerToken'];
      this.numbers(
        this.object(Object.hasOwn(found, name) ? found[name] : undefined, where),
        fields,
        `${where}.`,
      );
    }
  }

  placement(value: unknown, at: string, all: number): void {
    const layers = this.list(value, at);
    const right = layers.every(
      (layer, i) =>
        Number.isInteger(layer) &&
        (layer as number) >= 0 &&
        (layer as number) < all &&
        (i === 0 || (layer as number) > (layers[i - 1] as number)),
    );
    this.check(right, value, at, `layers from 0 to ${all - 1}, ascending`);
  }

  architecture(value: unknown, at: string, layers: number): void {
    const letters = this.string(value, at);
    this.check(letters.length === layers, letters, at, `a letter for each of ${layers} layers`);
  }

  /** Something with a name that took time and tokens. */
  cost(value: unknown, at: string): JsonObject {
    const object = this.object(value, at);
    this.string(object.name, `${at}.name`);
    this.numbers(object, ['seconds', 'tokens'], `${at}.`);
    return object;
  }

  check(right: boolean, value: unknown, at: string, expected: string): void {
    if (right) return;
    const found =
      value === undefined ? 'is missing' : `is ${shortened(JSON.stringify(value) ?? String(value))}`;
    throw new InputError(`${this.path}: ${at} ${found}, expected ${expected}`);
  }
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
