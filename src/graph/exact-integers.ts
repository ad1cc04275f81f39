import { input } from './ops/constant.ts';
import { linear } from './ops/matmul.ts';
import { float32, Program } from './program.ts';
import { QUANTIZED_BLOCK, rotationSize } from './quantized.ts';
import { RowQuantizer } from './row-quantized.ts';

let known: Promise<boolean> | null = null;

/**
 * Whether products of 8-bit integers are exact on this machine's CPU. Without instructions for them (AVX-512 VNNI and
 * its like) ONNX Runtime adds pairs of products in 16 bits, which the largest overflow. Tried once.
 */
export function integersAreExact(): Promise<boolean> {
  known ??= probe();
  return known;
}

/** Factors whose entries are all the largest when they have been turned: before, all is in the first of them. */
async function probe(): Promise<boolean> {
  const [N, K] = [16, rotationSize(64)];
  const first = (size: number) => Array.from({ length: size * K }, (_, i) => (i % K === 0 ? 1 : 0));
  await using quantizer = new RowQuantizer();
  const weight = await quantizer.quantize({
    bits: 8,
    shape: [N, K],
    data: Uint8Array.from(first(N), (x) => 128 + 127 * x),
    scales: new Float32Array((N * K) / QUANTIZED_BLOCK).fill(1 / 127),
  });
  const [x, w] = [input('x', 'float32', ['T', K]), input('w', 'float32', [N, K])];
  await using program = await Program.compile(
    { y: linear(x, w) },
    { weights: new Map([[w, weight]]), threads: 1 },
  );
  const rows = 4;
  const { y } = await program.run({ x: float32(Float32Array.from(first(rows)), [rows, K]) });
  return (y!.data as Float32Array).every((sum) => Math.abs(sum - 1) < 1e-3);
}
