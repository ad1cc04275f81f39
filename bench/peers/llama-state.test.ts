import { expect, test } from 'vitest';
import { expandedParts } from './llama-state.ts';

const TOKENS = [5, 6, 7];
/** Bytes of a row of keys, and of one of values, in both layers. */
const ROW = 4;

/** A state file of three tokens as llama.cpp writes it. */
function state(recurrent: boolean): Buffer {
  const words = (...values: number[]) => Buffer.from(new Uint32Array(values).buffer);
  const row = (byte: number) => Buffer.alloc(ROW, byte);
  const part = (first: number) => Buffer.concat([words(1, ROW, 0), ...TOKENS.map((_, i) => row(first + i))]);
  return Buffer.concat([
    words(0x67677371, 3, TOKENS.length, ...TOKENS),
    words(1, TOKENS.length),
    ...TOKENS.map((id, i) => words(...(recurrent ? [i, 1, i, i, id, 0] : [i, 1, 0]))),
    words(0, 2),
    ...[10, 20, 30, 40].map(part),
    ...(recurrent ? [words(1, TOKENS.length - 1), Buffer.from('the recurrent state')] : []),
  ]);
}

const expanded = (from: Buffer, tokens: number, recurrent: boolean) =>
  Buffer.concat([...expandedParts(from, tokens, recurrent)]);

test.each([false, true])('keys, values and positions go on (recurrent layers: %j)', (recurrent) => {
  const short = state(recurrent);
  expect(expanded(short, 3, recurrent)).toEqual(short);
  const long = expanded(short, 7, recurrent);
  const ids = Array.from({ length: 7 }, (_, i) => long.readUInt32LE(12 + 4 * i));
  expect(ids).toEqual([5, 6, 7, 5, 6, 7, 5]);
  const cell = recurrent ? 24 : 12;
  const keysAt = 12 + 7 * 4 + 8 + 7 * cell + 8 + 12;
  expect([...long.subarray(keysAt, keysAt + 7 * ROW)].filter((_, i) => i % ROW === 0)).toEqual([
    10, 11, 12, 10, 11, 12, 10,
  ]);
  // What was expanded can be expanded: every part stands where its reader looks for it.
  expect(expanded(long, 7, recurrent)).toEqual(long);
  if (recurrent) expect(long.toString('latin1')).toMatch(/the recurrent state$/);
});

test('another layout is refused', () => {
  const other = state(false);
  other.writeUInt32LE(4, 4);
  expect(() => expanded(other, 7, false)).toThrow('the version is 4');
  expect(() => expanded(Buffer.concat([state(false), Buffer.alloc(1)]), 7, false)).toThrow('1 bytes more');
  expect(() => expanded(state(true), 7, false)).toThrow('state file');
});
