import { input } from './ops/constant.ts';
import { cast, div, mul, sub } from './ops/elementwise.ts';
import { reshape, slice, stack, swapLast } from './ops/shape.ts';
import { float32, Program, Value } from './program.ts';
import { type Bits, QUANTIZED_BLOCK, type Quantized, type RowQuantized } from './quantized.ts';
import { hadamardRows, roundedRows } from './rounded.ts';
import type { Tensor } from './tensor.ts';

/** Values that are laid out at once: as float32 they are there several times. */
const AT_ONCE = 2 ** 22;

/** Lays matrices out by row. Holds a program for each shape that it has met. */
export class RowQuantizer implements AsyncDisposable {
  private readonly programs = new Map<string, Promise<Program>>();

  async quantize({ bits, shape, data, scales }: Quantized): Promise<RowQuantized> {
    const [N, K] = shape;
    const blocks = Math.ceil(K / QUANTIZED_BLOCK);
    const bytes = (QUANTIZED_BLOCK * bits) / 8;
    const [all, factors] = [new Int8Array(K * N), new Float32Array(N)];
    const most = Math.max(1, Math.floor(AT_ONCE / K));
    for (let from = 0; from < N; from += most) {
      const [to, rows] = [Math.min(N, from + most), Math.min(N - from, most)];
      const { levels, largest } = await (await this.program([rows, K], bits)).run({
        data: new Value('uint8', data.subarray(from * blocks * bytes, to * blocks * bytes), [
          rows,
          blocks,
          bytes,
        ]),
        scales: float32(scales.subarray(from * blocks, to * blocks), [rows, blocks, 1]),
      });
      const part = levels!.data as Int8Array;
      for (let k = 0; k < K; k++) all.set(part.subarray(k * rows, (k + 1) * rows), k * N + from);
      for (const [i, x] of (largest!.data as Float32Array).entries()) factors[from + i] = x / 127;
    }
    return { shape, data: all, scales: factors };
  }

  private program(shape: readonly [number, number], bits: Bits): Promise<Program> {
    const key = `${bits} ${shape}`;
    const program = this.programs.get(key) ?? Program.compile(record(shape, bits));
    this.programs.set(key, program);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.programs.values()) await (await program).dispose();
    this.programs.clear();
  }
}

/** `levels` [K, N], -127 to 127, and the `largest` value of each row [N, 1], both when turned. */
function record(shape: readonly [number, number], bits: Bits): Record<string, Tensor> {
  const { levels, largest } = roundedRows(hadamardRows(dequantized(shape, bits)));
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
