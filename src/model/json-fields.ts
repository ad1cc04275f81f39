/** Typed access to a JSON file made by somebody else: every mistake names the file, the field and what was expected. */
import { InputError } from '../util/errors.ts';
import { whereItFails } from './json-position.ts';

export type JsonObject = Record<string, unknown>;

/** What is nested deeper would overflow the stack of whoever walks through it; Rust's serde_json has this limit too. */
const DEEPEST = 128;
/** Of a value in a message, in characters. */
const SHOWN = 120;

/**
 * @param path the file, for messages
 * @throws InputError when the text is not JSON, not an object, or nested deeper than 128 levels
 */
export function parseJsonObject(path: string, text: string): JsonObject {
  if (isTooDeep(text)) throw new InputError(`${path} is nested deeper than ${DEEPEST} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InputError(`${path} is not JSON: ${whereItFails(text)}`);
  }
  if (!isObject(value)) throw new InputError(`${path} holds no JSON object`);
  return value;
}

function isTooDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: // the string that begins here is left out
        for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++;
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > DEEPEST) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
    }
  }
  return false;
}

/** A value from a file as a message shows it: its beginning where it is long. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The largest whole number that is believed: no size, count or position of a model is beyond it. */
const LARGEST = 2 ** 31 - 1;

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

  /** A whole number of at least `least` (1 unless told) and at most `most`. */
  integer(name: string, fallback?: number, least = 1, most = LARGEST): number {
    const ok = (value: unknown) =>
      Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    const upTo = most === LARGEST ? '' : ` and at most ${most}`;
    return this.get(name, fallback, ok, `a whole number of at least ${least}${upTo}`);
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
    if (!list.every((id) => Number.isInteger(id) && id >= 0 && id <= LARGEST))
      throw this.wrong(name, 'a token id or a list');
    return list as number[];
  }

  wrong(name: string, expected: string): InputError {
    return new InputError(`${this.path}: ${name} is ${shown(this.object[name])}, expected ${expected}`);
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
