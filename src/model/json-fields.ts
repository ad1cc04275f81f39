/** Typed access to a JSON file made by somebody else: every mistake names the file, the field and what was expected. */
import { InputError } from '../util/errors.ts';

export type JsonObject = Record<string, unknown>;

/** @throws InputError when the text is not JSON or not an object */
export function parseJsonObject(path: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path} is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw new InputError(`${path} holds no JSON object`);
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The fields of one object; null counts as absent, as in Hugging Face's configurations. */
export class Fields {
  readonly path: string;
  readonly object: JsonObject;

  /** @param path where the object stands, for messages: 'x/config.json' or 'x/config.json: rope_scaling'. */
  constructor(path: string, object: JsonObject) {
    this.path = path;
    this.object = object;
  }

  has(name: string): boolean {
    return this.object[name] !== undefined && this.object[name] !== null;
  }

  /** A whole number of at least `least` (1 unless told). */
  integer(name: string, fallback?: number, least = 1): number {
    const ok = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= least;
    return this.get(name, fallback, ok, `a whole number of at least ${least}`);
  }

  /** A finite number of at least 0. */
  number(name: string, fallback?: number): number {
    const ok = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0;
    return this.get(name, fallback, ok, 'a number of at least 0');
  }

  positive(name: string, fallback?: number): number {
    const ok = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value > 0;
    return this.get(name, fallback, ok, 'a positive number');
  }

  boolean(name: string, fallback?: boolean): boolean {
    return this.get(name, fallback, (value) => typeof value === 'boolean', 'true or false');
  }

  string(name: string, fallback?: string): string {
    return this.get(name, fallback, (value) => typeof value === 'string', 'a string');
  }

  /** One of some strings. */
  choice(name: string, options: readonly string[]): string {
    const ok = (value: unknown) => options.includes(value as string);
    return this.get<string>(name, undefined, ok, `one of ${options.join(', ')}`);
  }

  list(name: string): unknown[] {
    return this.get<unknown[]>(name, undefined, Array.isArray, 'a list');
  }

  /** A field that is an object itself; undefined when absent. */
  child(name: string): Fields | undefined {
    if (!this.has(name)) return undefined;
    return new Fields(`${this.path}: ${name}`, this.get<JsonObject>(name, undefined, isObject, 'an object'));
  }

  /** A token id or a list of them; empty when absent. */
  tokenIds(name: string): number[] {
    if (!this.has(name)) return [];
    const value = this.object[name];
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((id) => Number.isSafeInteger(id) && id >= 0))
      throw this.wrong(name, 'a token id or a list');
    return list as number[];
  }

  wrong(name: string, expected: string): InputError {
    return new InputError(
      `${this.path}: ${name} is ${JSON.stringify(this.object[name])}, expected ${expected}`,
    );
  }

  private get<T>(
    name: string,
    fallback: T | undefined,
    ok: (value: unknown) => boolean,
    expected: string,
  ): T {
    if (!this.has(name)) {
      if (fallback !== undefined) return fallback;
      throw new InputError(`${this.path}: ${name} is missing, expected ${expected}`);
    }
    if (!ok(this.object[name])) throw this.wrong(name, expected);
    return this.object[name] as T;
  }
}
