import { InputError } from '../../util/errors.ts';
import type { GgufValue } from './gguf-header.ts';

/** Of a value in a message, in characters. */
const SHOWN = 120;

/** Typed reading of a GGUF file's metadata; every mistake names the file and the key. */
export class GgufMetadata {
  readonly path: string;
  private readonly values: ReadonlyMap<string, GgufValue>;

  constructor(path: string, values: ReadonlyMap<string, GgufValue>) {
    this.path = path;
    this.values = values;
  }

  /** A finite number. */
  number(key: string, fallback?: number): number {
    const value = this.values.get(key);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.wrong(key, 'a number');
  }

  positive(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (value <= 0) throw this.wrong(key, 'a positive number');
    return value;
  }

  text(key: string, fallback?: string): string {
    const value = this.values.get(key) ?? fallback;
    if (typeof value !== 'string') throw this.wrong(key, 'a text');
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.values.get(key) ?? fallback;
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false');
    return value;
  }

  texts(key: string): readonly string[] {
    const value = this.values.get(key);
    if (Array.isArray(value)) return value;
    // An empty list may be one of anything.
    if (ArrayBuffer.isView(value) && value.byteLength === 0) return [];
    throw this.wrong(key, 'a list of texts');
  }

  numbers(key: string): number[] {
    const value = this.values.get(key);
    if (ArrayBuffer.isView(value)) return Array.from<number | bigint, number>(value, Number);
    if (Array.isArray(value) && value.length === 0) return [];
    throw this.wrong(key, 'a list of numbers');
  }

  /** The id under `tokenizer.ggml.{name}_token_id`, which has to be below `count`; undefined when absent. */
  tokenId(name: string, count: number): number | undefined {
    const key = `tokenizer.ggml.${name}_token_id`;
    if (!this.has(key)) return undefined;
    const id = this.number(key);
    if (!Number.isInteger(id) || id < 0 || id >= count) throw this.wrong(key, `an id below ${count}`);
    return id;
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  wrong(key: string, expected: string): InputError {
    const value = this.values.get(key);
    const text = value === undefined ? 'missing' : typeof value === 'object' ? 'a list' : String(value);
    const found = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
    return new InputError(`${this.path}: ${key} is ${found}, expected ${expected}`);
  }
}
