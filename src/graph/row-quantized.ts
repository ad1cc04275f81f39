import { constant, input } from './ops/constant.ts';
import { abs, add, cast, div, maximum, mul, sub } from './ops/elementwise.ts';
import { matmul } from './ops/matmul.ts';
import { max } from './ops/reduce.ts';
import { reshape, slice, stack, swapLast } from './ops/shape.ts';
import { float32, Program, Value } from './program.ts';
import { hadamard, QUANTIZED_BLOCK, type Quantized, type RowQuantized, rotationSize } from './quantized.ts';
import type { Tensor } from './tensor.ts';

/** The same matrix for products with many rows. */
export async function quantizedByRow(matrix: Quantized): Promise<RowQuantized> {
  const { bits, shape, data, scales } = matrix;
  const [N, K] = shape;
  const blocks = Math.ceil(K / QUANTIZED_BLOCK);
  const bytes = [N, blocks, (QUANTIZED_BLOCK * bits) / 8];
  const packed = input('data', 'uint8', bytes);
  const factors = input('scales', 'float32', [N, blocks, 1]);
  const values = mul(sub(cast(unpacked(packed, bits), 'float32'), 2 ** (bits - 1)), factors);
  const rows = slice(reshape(values, [N, blocks * QUANTIZED_BLOCK]), 1, 0, K);
  const size = rotationSize(K);
  const matrixOfSigns = hadamard(size);
  const turned = matmul(reshape(rows, [(N * K) / size, size]), constant(matrixOfSigns.data, [size, size]));
  const whole = reshape(turned, [N, K]);
  const largest = maximum(max(abs(whole), 1, true), 1e-30);
  // Rounded: the cast cuts off what follows the point, and nothing is below zero.
  const levels = cast(add(div(mul(whole, 127), largest), 128.5), 'uint8');
  await using program = await Program.compile({ levels: swapLast(levels), largest });
  const result = await program.run({
    data: new Value('uint8', data, bytes),
    scales: float32(scales, [N, blocks, 1]),
  });
  return {
    shape,
    data: withSign(result.levels!.data as Uint8Array<ArrayBuffer>),
    scales: (result.largest!.data as Float32Array<ArrayBuffer>).map((x) => x / 127),
  };
}

/** The levels of a block [..., bytes] one by one [..., 32]. */
function unpacked(packed: Tensor, bits: number): Tensor {
  if (bits === 8) return packed;
  const both = cast(packed, 'int32');
  const upper = div(both, 16);
  const lower = sub(both, mul(upper, 16));
  return reshape(stack([lower, upper], -1), [...packed.shape.slice(0, -1), QUANTIZED_BLOCK]);
}

/** Numbers of 8 bits, from those above 0 to those around it. */
function withSign(levels: Uint8Array<ArrayBuffer>): Int8Array<ArrayBuffer> {
  const fours = new Uint32Array(levels.buffer, levels.byteOffset, levels.length >> 2);
  for (let i = 0; i < fours.length; i++) fours[i]! ^= 0x80808080;
  for (let i = fours.length * 4; i < levels.length; i++) levels[i]! ^= 0x80;
  return new Int8Array(levels.buffer, levels.byteOffset, levels.length);
}
