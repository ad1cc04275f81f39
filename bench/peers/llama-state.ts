import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/**
 * A sequence of any length for llama.cpp without reading a prompt of that length: the state file of a short one, its
 * keys and values repeated and its positions continued. The layout is that of llama.cpp's sequence state files, version
 * 3; all numbers are little-endian:
 *
 *   'ggsq', version, number of tokens, tokens
 *   streams (1), cells; of each cell: position, number of sequences (1), [x, y, token with qwen35], sequence
 *   whether values are transposed (0), layers; of each layer: type, bytes of a row (u64), keys; then values likewise
 *   with recurrent layers: cells (1), position, ...
 */

const MAGIC = 0x67677371;
const VERSION = 3;

/** @param recurrent whether the model has recurrent layers (qwen35) */
export function expandState(from: string, to: string, tokens: number, recurrent: boolean): void {
  const file = openSync(to, 'w');
  try {
    for (const part of expandedParts(readFileSync(from), tokens, recurrent)) {
      for (let at = 0; at < part.length; ) at += writeSync(file, part, at);
    }
  } finally {
    closeSync(file);
  }
}

/** @throws Error where the state is not laid out as this file says, which another version of llama.cpp may do */
export function* expandedParts(state: Buffer, tokens: number, recurrent: boolean): Generator<Uint8Array> {
  let at = 0;
  const u32 = (expected?: number, what = '') => {
    const value = state.readUInt32LE(at);
    if (expected !== undefined && value !== expected) {
      throw new Error(`state file: ${what} is ${value} at byte ${at}, expected ${expected}`);
    }
    at += 4;
    return value;
  };
  u32(MAGIC, 'the magic number');
  u32(VERSION, 'the version');
  const count = u32();
  const ids = state.subarray(at, at + 4 * count);
  at += ids.length;
  const id = (i: number) => ids.readUInt32LE(4 * (i % count));
  yield words([MAGIC, VERSION, tokens, ...Array.from({ length: tokens }, (_, i) => id(i))]);

  u32(1, 'the number of streams');
  u32(count, 'the number of cells');
  yield words([1, tokens]);
  for (let i = 0; i < count; i++) {
    u32(i, 'the position of a cell');
    u32(1, 'the number of sequences of a cell');
    if (recurrent) {
      at += 8;
      u32(id(i), 'the token of a cell');
    }
    u32(0, 'the sequence of a cell');
  }
  const cells = Array.from({ length: tokens }, (_, i) => (recurrent ? [i, 1, i, i, id(i), 0] : [i, 1, 0]));
  yield words(cells.flat());

  u32(0, 'whether values are transposed');
  const layers = u32();
  yield words([0, layers]);
  for (let i = 0; i < 2 * layers; i++) {
    yield state.subarray(at, at + 12);
    const row = Number(state.readBigUInt64LE(at + 4));
    at += 12;
    const rows = state.subarray(at, at + count * row);
    at += rows.length;
    for (let left = tokens; left > 0; left -= count) yield rows.subarray(0, Math.min(left, count) * row);
  }
  if (recurrent) {
    u32(1, 'the number of recurrent cells');
    u32(count - 1, 'the position of the recurrent cell');
    yield words([1, tokens - 1]);
  } else if (at !== state.length) {
    throw new Error(`state file: ${state.length - at} bytes more than expected`);
  }
  yield state.subarray(at);
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}
