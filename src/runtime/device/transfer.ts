import { float32, type Value, type Values, zeros } from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { CachedTokens, SequenceContent } from '../sequence-content.ts';
import { cachedGroups, fixedState } from '../sequence-parts.ts';
import { BLOCK } from './recording.ts';
import { Rows, type RowsStore } from './rows.ts';
import { turnedWindow, validPlaces } from './windows.ts';

/** Between what a device remembers of a sequence and what a file has of it. */

/** One row of rows, brought to the host; the sequence has so many tokens. */
export async function contentOf(
  config: ModelConfig,
  store: RowsStore,
  { rows, row }: { rows: Rows; row: number },
  tokens: number,
): Promise<SequenceContent> {
  const settled = await rows.settled();
  const one = await settled.select([row]);
  settled.release();
  try {
    const read = (value: Value) => store.tools.read(value);
    const state: Values = {};
    for (const { name, ring } of fixedState(config)) {
      const own = one.state[name]!;
      const value = float32((await read(own)).slice(), own.dims);
      state[name] = ring ? turnedWindow(value, ring, tokens, 'ring') : value;
    }
    const caches: CachedTokens[] = [];
    for (const { layer, window, heads } of cachedGroups(config)) {
      const shape = { heads: heads.length, width: config.headDim };
      if (window < Number.POSITIVE_INFINITY) {
        const seen = Math.min(window, tokens);
        const last = async (part: string) => {
          const all = await read(one.state[`${layer}.window_${part}`]!);
          return copyNewest(all, new Float32Array((all.length / window) * seen), shape, seen);
        };
        caches.push({ k: await last('k'), v: await last('v'), start: tokens - seen });
        continue;
      }
      const { pastK, pastV, tailK, tailV } = one.growing.get(layer)!;
      caches.push({
        k: tokenRows(await read(pastK), await read(tailK), shape, tokens, true),
        v: tokenRows(await read(pastV), await read(tailV), shape, tokens, false),
        start: 0,
      });
    }
    return { state, caches };
  } finally {
    one.release();
  }
}

/** The other way round: one row, which belongs to the caller. */
export async function rowsOf(
  config: ModelConfig,
  store: RowsStore,
  { state: given, caches }: SequenceContent,
  tokens: number,
): Promise<Rows> {
  const { memory } = store;
  const state: Values = {};
  for (const { name, layer, ring } of fixedState(config)) {
    const value = ring ? turnedWindow(given[name]!, ring, tokens, 'device') : given[name]!;
    state[name] = await memory.upload(value);
    const valid = `${layer}.window_valid`;
    if (ring) state[valid] ??= await memory.upload(validPlaces(ring, tokens));
  }
  const growing: Rows['growing'] = new Map();
  const past = Math.max(1, Math.ceil((tokens - 1) / BLOCK)) * BLOCK;
  for (const [i, { layer, window, sinks, heads }] of cachedGroups(config).entries()) {
    const { k, v } = caches[i]!;
    const [KV, d] = [heads.length, config.headDim];
    const shape = { heads: KV, width: d };
    if (window < Number.POSITIVE_INFINITY) {
      const seen = Math.min(window, tokens);
      const newest = (rows: Float32Array) => {
        const value = zeros([1, KV, window, d]);
        copyNewest(rows, value.data as Float32Array, shape, seen);
        return value;
      };
      const upload = async (part: string, value: Value) => {
        state[`${layer}.window_${part}`] = await memory.upload(value);
      };
      await upload('k', newest(k));
      await upload('v', newest(v));
      await upload('valid', validPlaces({ window, sinks }, tokens));
      continue;
    }
    const keys = pastAndTail(k, shape, tokens, past, true);
    const values = pastAndTail(v, shape, tokens, past, false);
    growing.set(layer, {
      pastK: await memory.upload(float32(keys.past, [1, KV, d, past])),
      tailK: await memory.upload(float32(keys.tail, [1, KV, d, 1])),
      pastV: await memory.upload(float32(values.past, [1, KV, past, d])),
      tailV: await memory.upload(float32(values.tail, [1, KV, 1, d])),
    });
  }
  return Rows.of(store, { state, growing, starts: [past + 1 - tokens] }, past);
}

/** Key and value heads that are kept together, and the width of each. */
interface HeadsShape {
  heads: number;
  width: number;
}

/** Copies the newest rows of each head, the last of `from` [KV, .., d], to the end of `into` [KV, .., d], and returns that. */
function copyNewest(
  from: Float32Array,
  into: Float32Array,
  { heads: KV, width: d }: HeadsShape,
  rows: number,
) {
  const end = (x: Float32Array, head: number) => ((head + 1) * x.length) / KV;
  for (let head = 0; head < KV; head++) {
    const newest = from.subarray(end(from, head) - rows * d, end(from, head));
    into.set(newest, end(into, head) - newest.length);
  }
  return into;
}

/**
 * Visits all numbers of rows [KV, tokens, d], with where they are there and where in a past of so many places, in which keys
 * are columns; or, of the newest token, in the tail.
 */
function visitTokens(
  { heads: KV, width: d }: HeadsShape,
  { tokens, places, columns }: { tokens: number; places: number; columns: boolean },
  visit: (row: number, place: number, newest: boolean) => void,
): void {
  const start = places + 1 - tokens;
  for (let head = 0; head < KV; head++) {
    for (let t = 0; t < tokens; t++) {
      const newest = t === tokens - 1;
      for (let i = 0; i < d; i++) {
        const inPast = columns ? (head * d + i) * places + start + t : (head * places + start + t) * d + i;
        visit((head * tokens + t) * d + i, newest ? head * d + i : inPast, newest);
      }
    }
  }
}

function tokenRows(
  past: Float32Array,
  tail: Float32Array,
  shape: HeadsShape,
  tokens: number,
  columns: boolean,
): Float32Array {
  const size = shape.heads * shape.width;
  const rows = new Float32Array(size * tokens);
  visitTokens(shape, { tokens, places: past.length / size, columns }, (row, place, newest) => {
    rows[row] = (newest ? tail : past)[place]!;
  });
  return rows;
}

/** The inverse. */
function pastAndTail(
  rows: Float32Array,
  shape: HeadsShape,
  tokens: number,
  places: number,
  columns: boolean,
): Record<'past' | 'tail', Float32Array> {
  const size = shape.heads * shape.width;
  const past = new Float32Array(size * places);
  const tail = new Float32Array(size);
  visitTokens(shape, { tokens, places, columns }, (row, place, newest) => {
    (newest ? tail : past)[place] = rows[row]!;
  });
  return { past, tail };
}
