import { ApiError } from '../errors.ts';

/** What a body may be made of, looked at before anything is made of it. */

/** Depth that no request of a person reaches: schemas of tools come to 20 or so. */
const DEPTH = 128;
/** A prompt of a million tokens given by their ids, or 4 MiB of short texts. */
const VALUES = 1 << 20;

const [QUOTE, ESCAPE, COMMA] = [0x22, 0x5c, 0x2c];
const [BRACKET, BRACE, BRACKET_END, BRACE_END] = [0x5b, 0x7b, 0x5d, 0x7d];

/** @throws ApiError for JSON with more values, or nested deeper, than any request needs */
export function checkShape(bytes: Uint8Array): void {
  let [depth, values] = [0, 1];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) i = endOfString(bytes, i);
    else if (byte === COMMA) values++;
    else if (byte === BRACKET || byte === BRACE) {
      values++;
      if (++depth > DEPTH)
        throw new ApiError(400, `the body is nested more than ${DEPTH} levels deep at byte ${i}`);
    } else if (byte === BRACKET_END || byte === BRACE_END) depth--;
  }
  if (values > VALUES) throw new ApiError(400, `the body has ${values} values, at most ${VALUES} are read`);
}

function endOfString(bytes: Uint8Array, start: number): number {
  let i = start + 1;
  for (; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === ESCAPE) i++;
  return i;
}
