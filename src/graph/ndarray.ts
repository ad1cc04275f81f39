/** Dense float64 arrays, row-major: the values of the plain evaluation. Integers and bools are float64 too. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

export function ndarray(shape: readonly number[], data?: ArrayLike<number>): NdArray {
  const size = elements(shape);
  if (data && data.length !== size) {
    throw new Error(`ndarray: ${data.length} values for shape [${shape.join(', ')}]`);
  }
  return { shape, data: data ? Float64Array.from(data) : new Float64Array(size) };
}

export function strides(shape: readonly number[]): number[] {
  const result = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    result[i] = stride;
    stride *= shape[i]!;
  }
  return result;
}

/**
 * For each element of `shape` in row-major order, its offset in an array with the given strides. The one loop
 * behind broadcasting, transposition and slicing.
 */
export function offsets(shape: readonly number[], stride: readonly number[], start = 0): Int32Array {
  const size = elements(shape);
  const result = new Int32Array(size);
  const index = new Array<number>(shape.length).fill(0);
  let offset = start;
  for (let i = 0; i < size; i++) {
    result[i] = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += stride[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      offset -= stride[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/** Strides that read `array` as if it had been broadcast to `shape`. */
export function broadcastStrides(array: NdArray, shape: readonly number[]): number[] {
  const own = strides(array.shape);
  const missing = shape.length - array.shape.length;
  return shape.map((_, i) => (i < missing || array.shape[i - missing] === 1 ? 0 : own[i - missing]!));
}
