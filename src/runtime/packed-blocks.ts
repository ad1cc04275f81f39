import {
  abs,
  constant,
  div,
  float32,
  hadamard,
  input,
  matmul,
  max,
  maximum,
  mul,
  nearestByte,
  reshape,
  rotationSize,
  type Tensor,
  transpose,
  Value,
} from '../graph/index.ts';
import { KeptPrograms } from './kept-programs.ts';
import { BLOCK, type Block, type CacheShape, PART } from './kv-blocks.ts';
import { turnRows } from './turn-rows.ts';

/**
 * Full blocks in 8 bits. Every key and value has one factor, its largest entry over 127. Keys are turned before they are
 * rounded, by Hadamard matrices of `rotationSize(d)` along the diagonal, which spreads a large entry over its neighbours;
 * queries are turned by whoever compares them. The layout is what products of integers read fastest: parts of PART tokens,
 * whose keys are columns and whose values are rows.
 */

/** What is smaller counts as zero: its factor would not be a normal number. */
const SMALLEST = 1e-30;

/** Packed blocks that become one, which a node reads faster than each by itself. */
const JOINED = 4;

/** Turns exact blocks into packed ones by a program, compiled for the first of them. */
export class Packer implements AsyncDisposable {
  private readonly programs: KeptPrograms;

  constructor(options: { threads?: number } = {}) {
    this.programs = new KeptPrograms(options);
  }

  /** @param block a full one */
  async pack(shape: CacheShape, block: Block): Promise<Block> {
    const { heads, width } = shape;
    const program = await this.programs.get(`${heads} ${width}`, () => packing(shape));
    const packed = packedBlock(shape, BLOCK);
    const { k, v, factors } = packed;
    await program.run({ k: block.k, v: block.v }, { k, v, kFactors: factors!.k, vFactors: factors!.v });
    return packed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.programs.dispose();
  }
}

/** A packed block from keys and values [KV, BLOCK, d]. */
function packing({ heads, width }: CacheShape): Record<'k' | 'v' | 'kFactors' | 'vFactors', Tensor> {
  const parts = BLOCK / PART;
  const size = rotationSize(width);
  const rotation = constant(hadamard(size).data, [size, size]);
  const rows = (name: string) =>
    transpose(
      reshape(input(name, 'float32', [heads, BLOCK, width]), [heads, parts, PART, width]),
      [1, 0, 2, 3],
    );
  const levels = (x: Tensor) => {
    const largest = maximum(max(abs(x), -1, true), SMALLEST);
    return {
      levels: nearestByte(mul(x, div(127, largest))),
      factors: reshape(mul(largest, 1 / 127), [parts, heads, 1, PART]),
    };
  };
  const turned = matmul(reshape(rows('k'), [parts * heads * PART * (width / size), size]), rotation);
  const k = levels(reshape(turned, [parts, heads, PART, width]));
  const v = levels(rows('v'));
  return { k: transpose(k.levels, [0, 1, 3, 2]), v: v.levels, kFactors: k.factors, vFactors: v.factors };
}

/** Rows of a head of a packed block, as near as they are kept. */
export function unpack(
  { heads, width }: CacheShape,
  block: Block,
  part: 'k' | 'v',
  head: number,
  rows: Float32Array,
): void {
  const [levels, factors] = memory(block, part);
  for (let i = 0; i < rows.length / width; i++) {
    const { token, first, step } = place(heads, width, part, head, i);
    for (let c = 0; c < width; c++) rows[i * width + c] = levels[first + c * step]! * factors[token]!;
  }
  if (part === 'k') turnRows(rows, rotationSize(width));
}

/**
 * Makes one block of the last JOINED of some blocks where they are packed and full, at places that depend on the tokens
 * alone.
 *
 * @param end the place in the sequence behind the last block
 */
export function join(shape: CacheShape, blocks: readonly Block[], end: number): Block[] {
  const last = blocks.slice(-JOINED);
  const due = end % (JOINED * BLOCK) === 0 && last.length === JOINED;
  if (!due || last.some(({ factors, capacity }) => !factors || capacity !== BLOCK)) return [...blocks];
  const joined = packedBlock(shape, JOINED * BLOCK);
  for (const part of ['k', 'v'] as const) {
    const [levels, factors] = memory(joined, part);
    for (const [i, block] of last.entries()) {
      const [own, ownFactors] = memory(block, part);
      levels.set(own, i * own.length);
      factors.set(ownFactors, i * ownFactors.length);
    }
  }
  return [...blocks.slice(0, -JOINED), joined];
}

function packedBlock({ heads, width }: CacheShape, capacity: number): Block {
  const parts = capacity / PART;
  const room = (dims: number[]) => new Value('int8', new Int8Array(capacity * heads * width), dims);
  const factors = () => float32(new Float32Array(capacity * heads), [parts, heads, 1, PART]);
  return {
    capacity,
    k: room([parts, heads, width, PART]),
    v: room([parts, heads, PART, width]),
    factors: { k: factors(), v: factors() },
  };
}

/** Where a token's factor, its first entry and the following ones lie. */
function place(heads: number, width: number, part: 'k' | 'v', head: number, row: number) {
  const [matrix, column] = [Math.floor(row / PART) * heads + head, row % PART];
  const first = matrix * PART * width + (part === 'k' ? column : column * width);
  return { token: matrix * PART + column, first, step: part === 'k' ? PART : 1 };
}

function memory(block: Block, part: 'k' | 'v'): [Int8Array, Float32Array] {
  return [block[part].data as Int8Array, block.factors![part].data as Float32Array];
}
