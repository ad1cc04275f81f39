/** What a case of the op suite is: an op applied to inputs of some shape, and what must come out. */
import type { DType, NdArray, Shape, Tensor } from '../../src/graph/index.ts';
import type { Random } from '../../src/util/random.ts';

/** One value of an input; `i` is its place in row-major order, `sizes` what the symbols stand for. */
export type Draw = (random: Random, i: number, sizes: Sizes) => number;
export type Sizes = Readonly<Record<string, number>>;

interface Argument {
  shape: Shape;
  /** float32 when not given; float32 inputs become float16 in the half-precision run of the case. */
  dtype?: DType;
  /** Normally distributed when not given. */
  draw?: Draw;
  /** False for an input that takes no gradient, which the suite then holds against the op. */
  gradient?: boolean;
}

export interface OpCase {
  /** Name of the exported function that the case is for. */
  op: string;
  title: string;
  /** By recording order. */
  inputs: Readonly<Record<string, Argument>>;
  /** What the symbols of the shapes stand for, one run each. */
  sizes?: readonly Sizes[];
  build(inputs: Readonly<Record<string, Tensor>>): Tensor;
  /**
   * The element of the result at an index, computed from the values without the engine. Absent where `build`
   * compares two graphs, or where another case of the op holds the definition.
   */
  expect?(values: Readonly<Record<string, NdArray>>, index: readonly number[], sizes: Sizes): number;
  /** How far the float32 program may be from the float64 evaluation, when it is not the usual 1e-5. */
  tolerance?: number;
  /** Why the case is not run on WebGPU. */
  noWebGpu?: string;
  /** Why the case is not run in float16. */
  noFloat16?: string;
}

/** The element at an index of an array that broadcasts to the index' rank. */
export function at(array: NdArray, index: readonly number[]): number {
  let offset = 0;
  for (let i = 0; i < array.shape.length; i++) {
    const size = array.shape[i]!;
    offset = offset * size + (size === 1 ? 0 : index[index.length - array.shape.length + i]!);
  }
  return array.data[offset]!;
}

/** All indices of a shape in row-major order. */
export function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (prefixes, size) => prefixes.flatMap((prefix) => Array.from({ length: size }, (_, i) => [...prefix, i])),
    [[]],
  );
}

/** The index with one of its places changed. */
export function replaced(index: readonly number[], axis: number, value: number): number[] {
  return index.map((old, i) => (i === axis ? value : old));
}

export function range(size: number): number[] {
  return Array.from({ length: size }, (_, i) => i);
}

export function total(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Away from zero, where abs, sign and relu have their kinks. */
export const nonZero: Draw = (random) => (random.uniform() < 0.5 ? -1 : 1) * (0.2 + random.uniform());
export const positive: Draw = (random) => 0.3 + 2 * random.uniform();
export const bool: Draw = (random) => random.below(2);
/** All different by far more than a finite difference, for maxima; exact in float16. */
export const distinct: Draw = (_random, i) => ((i * 37) % 101) / 16 - 3;
export const below =
  (n: number): Draw =>
  (random) =>
    random.below(n);
/** Indices below a symbol's size. */
export const belowSize =
  (symbol: string): Draw =>
  (random, _i, sizes) =>
    random.below(sizes[symbol]!);
export const integer: Draw = (random) => random.below(21) - 10;
