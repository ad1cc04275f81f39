import { InputError } from '../util/errors.ts';

/** Fills a buffer from a position. `what` is for messages. */
export type Fill = (target: Uint8Array, position: number, what: string) => void;

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

  /** All of it as text. */
  text(): string {
    return new TextDecoder().decode(this.bytes(0, this.size, 'the text'));
  }

  protected tooShort(what: string, missing: number): InputError {
    return new InputError(`${this.path} is truncated: ${missing} bytes of ${what} are missing`);
  }
}
