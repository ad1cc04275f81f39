import { constant, input } from './ops/constant.ts';
import { abs, add, cast, div, maximum, mul, sub } from './ops/elementwise.ts';
import { matmul } from './ops/matmul.ts';
import { max } from './ops/reduce.ts';
import { reshape, slice, stack, swapLast } from './ops/shape.ts';
import { float32, Program, Value } from './program.ts';
import {
  type Bits,
  hadamard,
  QUANTIZED_BLOCK,
  type Quantized,
  type RowQuantized,
  rotationSize,
} from './quantized.ts';
import type { Tensor } from './tensor.ts';

/** Lays matrices out for products with many rows. Holds a program for each shape that it has met. */
export class RowQuantizer implements AsyncDisposable {
  private readonly programs = new Map<string, Promise<Program>>();

  async quantize({ bits, shape, data, scales }: Quantized): Promise<RowQuantized> {
    const [N, K] = shape;
    const key = `${bits} ${shape}`;
    const program = this.programs.get(key) ?? Program.compile(record(shape, bits));
    this.programs.set(key, program);
    const blocks = Math.ceil(K / QUANTIZED_BLOCK);
    const { levels, largest } = await (await program).run({
      data: new Value('uint8', data, [N, blocks, (QUANTIZED_BLOCK * bits) / 8]),
      scales: float32(scales, [N, blocks, 1]),
    });
    return {
      shape,
      data: withSign(levels!.data as Uint8Array<ArrayBuffer>),
      scales: (largest!.data as Float32Array<ArrayBuffer>).map((x) => x / 127),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.programs.values()) await (await program).dispose();
    this.programs.clear();
  }
}

/** `levels` [K, N], 0 to 255 with 128 for zero, and the `largest` value of each row [N, 1], both when turned. */
function record(shape: readonly [number, number], bits: Bits): Record<string, Tensor> {
  const [N, K] = shape;
  const rows = dequantized(shape, bits);
  const size = rotationSize(K);
  const turned = matmul(reshape(rows, [(N * K) / size, size]), constant(hadamard(size).data, [size, size]));
  const whole = reshape(turned, [N, K]);
  const largest = maximum(max(abs(whole), 1, true), 1e-30);
  // Rounded: the cast cuts off what follows the point, and nothing is below zero.
  const levels = cast(add(mul(whole, div(127, largest)), 128.5), 'uint8');
  return { levels: swapLast(levels), largest };
}

/** The values of `data` and `scales` [N, K]. */
function dequantized([N, K]: readonly [number, number], bits: Bits): Tensor {
  const blocks = Math.ceil(K / QUANTIZED_BLOCK);
  const packed = input('data', 'uint8', [N, blocks, (QUANTIZED_BLOCK * bits) / 8]);
  const scales = input('scales', 'float32', [N, blocks, 1]);
  const values = mul(sub(cast(unpacked(packed, bits), 'float32'), 2 ** (bits - 1)), scales);
  return slice(reshape(values, [N, blocks * QUANTIZED_BLOCK]), 1, 0, K);
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
