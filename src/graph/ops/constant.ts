/** Leaves of the graph: what is fed when a program runs, and numbers written into it. */
import { bindDim, bindShape, canonicalShape, type Dim, type Shape, showShape } from '../dim.ts';
import { elements, type NdArray, ndarray } from '../ndarray.ts';
import { type DType, GraphError, isFloat, type Op, record, recordMany, type Tensor } from '../tensor.ts';

const inputOp: Op<{ name: string }> = {
  name: 'input',
  emit: () => {
    throw new GraphError('inputs are declared by the program, not emitted');
  },
  vjp: () => [],
  evaluate: (_inputs, { attributes }) => {
    throw new GraphError(`no value was given for input ${attributes.name}`);
  },
};

/**
 * A tensor whose value is given at each run, under this name. Symbols in the shape ('B', 'T') are bound by the
 * value's shape, and every input that uses the same symbol must agree.
 */
export function input(name: string, dtype: DType, shape: Shape): Tensor {
  return record(inputOp, [], { name }, dtype, canonicalShape(`input ${name}`, shape));
}

/** Throws GraphError for a number that the type cannot hold. */
function checkValue(what: string, value: number, dtype: DType): void {
  const fits =
    isFloat(dtype) || (Number.isInteger(value) && (dtype !== 'bool' || value === 0 || value === 1));
  if (!fits) throw new GraphError(`${what}: ${value} is no ${dtype}`);
}

const constantOp: Op<{ dtype: DType }> = {
  name: 'constant',
  emit: (emitter, _inputs, node) => [emitter.constant(node.outputs[0]!.dtype, node.data!)],
  vjp: () => [],
  evaluate: (_inputs, node) => [node.data!],
};

/** Values written into the graph. For weights use inputs, or a program's initialisers. */
export function constant(
  values: ArrayLike<number>,
  shape: readonly number[],
  dtype: DType = 'float32',
): Tensor {
  if (elements(shape) !== values.length) {
    throw new GraphError(`constant: ${values.length} values for shape ${showShape(shape)}`);
  }
  for (let i = 0; i < values.length; i++) checkValue('constant', values[i]!, dtype);
  return recordMany(constantOp, [], { dtype }, [{ dtype, shape }], ndarray(shape, values))[0]!;
}

/** One number, of shape []. */
export function scalar(value: number, dtype: DType = 'float32'): Tensor {
  return constant([value], [], dtype);
}

const fillOp: Op<{ value: number; shape: Shape; dtype: DType }> = {
  name: 'fill',
  emit: (emitter, _inputs, { attributes: { value, shape, dtype } }) => [
    emitter.node('Expand', [emitter.constant(dtype, ndarray([], [value])), emitter.shape(shape)]),
  ],
  vjp: () => [],
  evaluate: (_inputs, { attributes }, bindings): NdArray[] => {
    const result = ndarray(bindShape(attributes.shape, bindings));
    result.data.fill(attributes.value);
    return [result];
  },
};

/** A tensor of this shape, symbolic or not, filled with one value. */
export function fill(value: number, shape: Shape, dtype: DType = 'float32'): Tensor {
  checkValue('fill', value, dtype);
  const target = canonicalShape('fill', shape);
  return record(fillOp, [], { value, shape: target, dtype }, dtype, target);
}

const arangeOp: Op<{ size: Dim; dtype: DType }> = {
  name: 'arange',
  emit: (emitter, _inputs, { attributes: { size, dtype } }) => {
    const scalarOf = (value: number) => emitter.constant('int64', ndarray([], [value]));
    const end = emitter.node('Squeeze', [emitter.shape([size])]);
    return [emitter.cast(emitter.node('Range', [scalarOf(0), end, scalarOf(1)]), dtype)];
  },
  vjp: () => [],
  evaluate: (_inputs, { attributes }, bindings) => {
    const size = bindDim(attributes.size, bindings);
    return [
      ndarray(
        [size],
        Array.from({ length: size }, (_, i) => i),
      ),
    ];
  },
};

/** 0, 1, ... size-1, of shape [size]. */
export function arange(size: Dim, dtype: DType = 'int64'): Tensor {
  if (typeof size === 'number') {
    return constant(
      Array.from({ length: size }, (_, i) => i),
      [size],
      dtype,
    );
  }
  const [length] = canonicalShape('arange', [size]) as [Dim];
  return record(arangeOp, [], { size: length, dtype }, dtype, [length]);
}

const dimensionOp: Op<{ size: Dim; dtype: DType }> = {
  name: 'dimension',
  emit: (emitter, _inputs, { attributes: { size, dtype } }) => [
    emitter.cast(emitter.node('Squeeze', [emitter.shape([size])]), dtype),
  ],
  vjp: () => [],
  evaluate: (_inputs, { attributes }, bindings) => [ndarray([], [bindDim(attributes.size, bindings)])],
};

/** The size of an axis, symbolic or not, as a number of shape []. */
export function dimension(size: Dim, dtype: DType): Tensor {
  const [canonical] = canonicalShape('dimension', [size]) as [Dim];
  if (typeof canonical === 'number') return scalar(canonical, dtype);
  return record(dimensionOp, [], { size: canonical, dtype }, dtype, []);
}
