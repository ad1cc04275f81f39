import { InputError } from '../util/errors.ts';

/** Fills a buffer from a position. `what` is for messages. */
export type Fill = (target: Uint8Array, position: number, what: string) => void;

/** The largest tokenizer.json of today has about 35 MB; a string of JavaScript cannot have more than 512. */
const LONGEST_TEXT = 1 << 28;

/** Bytes of which parts are read, wherever they lie. */
export abstract class Bytes {
  constructor(
    /** For messages. */
    readonly path: string,
    /** In bytes. */
    readonly size: number,
  ) {}

  /** Calls `use` with a function that reads; nothing stays open afterwards. */
  abstract open<T>(use: (fill: Fill) => T): T;

  /** `length` bytes from a position, in memory of their own (aligned for every typed array). */
  bytes(position: number, length: number, what: string): Uint8Array<ArrayBuffer> {
    if (position + length > this.size) throw this.tooShort(what, position + length - this.size);
    const target = new Uint8Array(length);
    this.open((fill) => fill(target, position, what));
    return target;
  }

  /**
   * All of it as text.
   *
   * @throws InputError for more than 256 MB, and for what is not UTF-8
   */
  text(): string {
    if (this.size > LONGEST_TEXT) {
      throw new InputError(`${this.path} has ${this.size} bytes, expected a text of at most ${LONGEST_TEXT}`);
    }
    const bytes = this.bytes(0, this.size, 'the text');
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw new InputError(`${this.path} is no text in UTF-8`);
    }
  }

  protected tooShort(what: string, missing: number): InputError {
    return new InputError(`${this.path} is truncated: ${missing} bytes of ${what} are missing`);
  }
}
