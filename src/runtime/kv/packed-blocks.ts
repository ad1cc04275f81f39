import {
  div,
  float32,
  hadamardRows,
  input,
  max,
  mul,
  type RightBytes,
  reshape,
  rightBytes,
  rotationSize,
  roundedRows,
  type Tensor,
  transpose,
  Value,
  ZERO_BYTE,
} from '../../graph/index.ts';
import { KeptPrograms } from '../kept-programs.ts';
import { BLOCK, type Block, type CacheShape, PART } from './blocks.ts';
import { hadamardTransform } from './hadamard-transform.ts';

/**
 * Full blocks in 8 bits, one behind the other in a store, which is only ever added to: sequences with a common beginning
 * share it.
 *
 * Every key and value has one factor, its largest entry over 127; that of a value is kept as a share of the largest one of
 * its part and head. Keys are multiplied before they are rounded by Hadamard matrices of `rotationSize(d)` along
 * the diagonal, which spreads a large entry over its neighbours; queries are so by whoever compares them. The layout is
 * what products of integers read fastest: parts of PART tokens, whose keys are columns and whose values are rows.
 */

/** Tokens of a store at most. Its memory is taken at once, which costs nothing before it is written to. */
const LONGEST_STORE = 65_536;

const BLOCK_PARTS = BLOCK / PART;

/** What is kept of a part: its names as inputs of programs, and its sizes. */
const KINDS = {
  k: ({ heads, width }: CacheShape) => [heads, width, PART],
  v: ({ heads, width }: CacheShape) => [heads, PART, width],
  /** Factors of keys. */
  kFactors: ({ heads }: CacheShape) => [heads, 1, PART],
  /** Factors of values, as shares of the largest. */
  vShares: ({ heads }: CacheShape) => [heads, 1, PART],
  vLargest: ({ heads }: CacheShape) => [heads, 1, 1],
};
type Kind = keyof typeof KINDS;
const NAMES = Object.keys(KINDS) as Kind[];

/** -127 to 127, as Uint8Array around ZERO_BYTE (`RightBytes`). */
type Levels = Int8Array | Uint8Array;

interface Store {
  /** Parts that there is room for. */
  room: number;
  /** Parts that have been written. */
  used: number;
  memory: Record<Kind, Levels | Float32Array>;
}

/** Some parts of a store, one behind the other. */
export interface Packed {
  readonly store: Store;
  readonly first: number;
  readonly parts: number;
}

/** Packs exact blocks by a program, compiled for the first of them, of the type that this machine multiplies best. */
export class Packer implements AsyncDisposable {
  private readonly programs: KeptPrograms;
  private readonly longest: number;

  /** @param options.longest tokens of the longest sequence */
  constructor({ longest = LONGEST_STORE, ...options }: { threads?: number; longest?: number } = {}) {
    this.programs = new KeptPrograms(options);
    this.longest = Math.min(longest, LONGEST_STORE);
  }

  /**
   * Adds a full block behind what is packed: in the last store, if there is room and no other sequence has gone on there.
   *
   * @throws RangeError where there is no memory
   */
  async add(shape: CacheShape, packed: readonly Packed[], block: Block): Promise<Packed[]> {
    const { heads, width } = shape;
    const last = packed.at(-1);
    const goesOn = last && last.first + last.parts === last.store.used && last.store.used < last.store.room;
    const bytes = await rightBytes();
    const { store, first, parts } = goesOn ? last : { store: this.store(shape, bytes), first: 0, parts: 0 };
    const program = await this.programs.get(`${heads} ${width}`, () => packing(shape, bytes));
    const added = { store, first: first + parts, parts: BLOCK_PARTS };
    // From here on no other sequence takes the same place.
    store.used += BLOCK_PARTS;
    await program.run({ k: block.k, v: block.v }, packedInputs(shape, added));
    const whole = { store, first, parts: parts + BLOCK_PARTS };
    return goesOn ? [...packed.slice(0, -1), whole] : [...packed, whole];
  }

  /** An empty store. What a window has left behind is let go of by stores: none is longer than the window. */
  private store(shape: CacheShape, bytes: RightBytes): Store {
    const room = BLOCK_PARTS * Math.ceil(Math.min(this.longest, shape.window) / BLOCK);
    const of = (kind: Kind) => {
      const size = room * KINDS[kind](shape).reduce((a, b) => a * b);
      if (kind !== 'k' && kind !== 'v') return new Float32Array(size);
      return bytes === 'int8' ? new Int8Array(size) : new Uint8Array(size);
    };
    const memory = Object.fromEntries(NAMES.map((kind) => [kind, of(kind)])) as Store['memory'];
    return { room, used: 0, memory };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.programs.dispose();
  }
}

/** The values of some parts, over the memory of their store: k [parts, KV, d, PART] and so on. */
export function packedInputs(shape: CacheShape, { store, first, parts }: Packed): Record<Kind, Value> {
  const of = (kind: Kind) => {
    const dims = KINDS[kind](shape);
    const size = dims.reduce((a, b) => a * b);
    const data = store.memory[kind].subarray(first * size, (first + parts) * size);
    const all = [parts, ...dims];
    if (data instanceof Float32Array) return float32(data, all);
    return new Value(data instanceof Int8Array ? 'int8' : 'uint8', data, all);
  };
  return Object.fromEntries(NAMES.map((kind) => [kind, of(kind)])) as Record<Kind, Value>;
}

/** Of what type keys and values are. */
export function bytesOf({ store }: Packed): RightBytes {
  return store.memory.k instanceof Int8Array ? 'int8' : 'uint8';
}

/** Without the first so many parts. */
export function without(packed: Packed, parts: number): Packed {
  return { ...packed, first: packed.first + parts, parts: packed.parts - parts };
}

/** Rows [tokens, d] of a head, as near as they are kept. */
export function unpack(
  shape: CacheShape,
  packed: Packed,
  part: 'k' | 'v',
  head: number,
  rows: Float32Array,
): void {
  const { heads, width } = shape;
  const { k, v, kFactors, vShares, vLargest } = packedInputs(shape, packed);
  const levels = (part === 'k' ? k : v).data as Levels;
  const zero = levels instanceof Int8Array ? 0 : ZERO_BYTE;
  const numbers = ({ data }: Value) => data as Float32Array;
  for (let i = 0; i < rows.length / width; i++) {
    const [matrix, column] = [Math.floor(i / PART) * heads + head, i % PART];
    const token = matrix * PART + column;
    const factor =
      part === 'k' ? numbers(kFactors)[token]! : numbers(vShares)[token]! * numbers(vLargest)[matrix]!;
    const [first, step] = part === 'k' ? [matrix * PART * width + column, PART] : [token * width, 1];
    for (let c = 0; c < width; c++) rows[i * width + c] = (levels[first + c * step]! - zero) * factor;
  }
  if (part === 'k') hadamardTransform(rows, rotationSize(width));
}

/** Bytes of so many parts. */
export function packedBytes(shape: CacheShape, parts: number): number {
  const { heads, width } = shape;
  return parts * heads * (2 * PART * width + 4 * (2 * PART + 1));
}

/** From keys and values [KV, BLOCK, d] to what is kept of them. */
function packing({ heads, width }: CacheShape, bytes: RightBytes): Record<Kind, Tensor> {
  const rows = (name: string) => {
    const parts = reshape(input(name, 'float32', [heads, BLOCK, width]), [heads, BLOCK_PARTS, PART, width]);
    return transpose(parts, [1, 0, 2, 3]);
  };
  const rounded = (x: Tensor) => {
    const { levels, largest } = roundedRows(x, bytes);
    return { levels, factors: reshape(mul(largest, 1 / 127), [BLOCK_PARTS, heads, 1, PART]) };
  };
  const k = rounded(hadamardRows(rows('k')));
  const v = rounded(rows('v'));
  const vLargest = max(v.factors, -1, true);
  return {
    k: transpose(k.levels, [0, 1, 3, 2]),
    v: v.levels,
    kFactors: k.factors,
    vShares: div(v.factors, vLargest),
    vLargest,
  };
}
