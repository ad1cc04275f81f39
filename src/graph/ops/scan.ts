/** A loop over an axis whose length is known only at run time. */
import { type Dim, type Shape, sameShape, showShape } from '../dim.ts';
import { evaluate } from '../evaluate.ts';
import { type NdArray, ndarray } from '../ndarray.ts';
import { type Body, GraphError, type Op, recordMany, type Tensor } from '../tensor.ts';
import { input } from './constant.ts';
import { normalizeAxes } from './reduce.ts';

interface ScanAttributes {
  [name: string]: number | Body;
  axis: number;
  body: Body;
}

const scanOp: Op<ScanAttributes> = {
  name: 'scan',
  emit: (emitter, inputs, { attributes: { axis, body }, outputs }) => {
    const scanned = inputs.length - 1;
    return emitter.nodeMany('Scan', inputs, outputs.length, {
      body: emitter.subgraph(body.inputs, body.outputs),
      num_scan_inputs: scanned,
      scan_input_axes: new Array<number>(scanned).fill(axis),
      scan_output_axes: [axis],
    });
  },
  nonEmpty: ({ inputs: [, x], attributes: { axis } }) => [x!.shape[axis]!],
  evaluate: ([state, ...xs], { attributes: { axis, body } }) => {
    const steps = xs[0]!.shape[axis]!;
    let current = state!;
    const outputs: NdArray[] = [];
    for (let t = 0; t < steps; t++) {
      const feeds = [current, ...xs.map((x) => place(x, axis, t))];
      const results = evaluate(body.outputs, new Map(body.inputs.map((x, i) => [x, feeds[i]!])));
      current = results[0]!;
      outputs.push(results[1]!);
    }
    return [current, joined(outputs, axis)];
  },
};

/** Strides in front of, and elements behind, an axis. */
function around(shape: readonly number[], axis: number): [rows: number, inner: number] {
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  return [product(shape.slice(0, axis)), product(shape.slice(axis + 1))];
}

/** Place t of an axis, which goes. */
function place(x: NdArray, axis: number, t: number): NdArray {
  const [rows, inner] = around(x.shape, axis);
  const result = ndarray(x.shape.filter((_, i) => i !== axis));
  for (let row = 0; row < rows; row++) {
    const from = (row * x.shape[axis]! + t) * inner;
    result.data.set(x.data.subarray(from, from + inner), row * inner);
  }
  return result;
}

/** Arrays of one shape side by side along a new axis. */
function joined(parts: readonly NdArray[], axis: number): NdArray {
  const { shape } = parts[0]!;
  const [rows, inner] = [around(shape, axis)[0], shape.slice(axis).reduce((a, b) => a * b, 1)];
  const result = ndarray([...shape.slice(0, axis), parts.length, ...shape.slice(axis)]);
  for (const [t, part] of parts.entries()) {
    for (let row = 0; row < rows; row++) {
      const values = part.data.subarray(row * inner, (row + 1) * inner);
      result.data.set(values, (row * parts.length + t) * inner);
    }
  }
  return result;
}

let bodies = 0;

/**
 * A step for each place of an axis of the tensors `xs`, which agree about its length; each step is given what the one
 * before has left. The length must not be 0 when a program runs. There is no gradient.
 *
 * @param state what the first step is given
 * @param step from the state and the tensors at one place, without that axis, to the state and an output; it may use
 *   nothing else that is not a constant
 * @returns the state after the last step, and the outputs along the same axis
 */
export function scan(
  state: Tensor,
  xs: readonly Tensor[],
  axis: number,
  step: (state: Tensor, xs: readonly Tensor[]) => { state: Tensor; output: Tensor },
): { state: Tensor; outputs: Tensor } {
  const [first] = xs;
  if (!first) throw new GraphError('scan: over no tensor');
  const axes = xs.map((x) => normalizeAxes('scan', x, axis)[0]!);
  const length = first.shape[axes[0]!]!;
  if (xs.some((x, i) => x.shape[axes[i]!] !== length || axes[i] !== axes[0])) {
    throw new GraphError(`scan: axis ${axis} of ${xs.map(({ shape }) => showShape(shape)).join(', ')}`);
  }
  const at = axes[0]!;
  const without = (shape: Shape): Dim[] => shape.filter((_, i) => i !== at);
  const inputs = [
    input('state', state.dtype, state.shape),
    ...xs.map((x, i) => input(`x${i}`, x.dtype, without(x.shape))),
  ];
  const result = step(inputs[0]!, inputs.slice(1));
  if (result.state.dtype !== state.dtype || !sameShape(result.state.shape, state.shape)) {
    throw new GraphError(`scan: a step makes ${result.state} of the state ${state}`);
  }
  const id = bodies++;
  const body: Body = { inputs, outputs: [result.state, result.output], toJSON: () => id };
  const { dtype, shape } = result.output;
  const [last, outputs] = recordMany(scanOp, [state, ...xs], { axis: at, body }, [
    { dtype: state.dtype, shape: state.shape },
    { dtype, shape: [...shape.slice(0, at), length, ...shape.slice(at)] },
  ]) as [Tensor, Tensor];
  return { state: last, outputs };
}
