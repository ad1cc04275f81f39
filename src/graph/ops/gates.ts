/** The gates of a recurrence, as ONNX Runtime computes them in one node. */
import { showShape } from '../dim.ts';
import { type NdArray, ndarray } from '../ndarray.ts';
import { GraphError, type Op, recordMany, type Tensor } from '../tensor.ts';

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

const decayGatesOp: Op = {
  name: 'decayGates',
  emit: (emitter, [a, b, bias, scale]) =>
    emitter.nodeMany('LinearAttentionGate', [a!, bias!, scale!, b!], 2, {}, { domain: 'com.microsoft' }),
  evaluate: ([a, b, bias, scale]): NdArray[] => {
    const H = bias!.data.length;
    const g = a!.data.map((x, i) => {
      const shifted = x + bias!.data[i % H]!;
      return scale!.data[i % H]! * (Math.max(shifted, 0) + Math.log1p(Math.exp(-Math.abs(shifted))));
    });
    return [ndarray(a!.shape, g), ndarray(b!.shape, b!.data.map(sigmoid))];
  },
};

/**
 * The gates of a delta rule with decay: g = scale softplus(a + bias), the logarithms of the decays, and
 * beta = sigmoid(b). a and b [B, T, H], bias and scale [H]. In one node, so there is no gradient.
 */
export function decayGates(inputs: Record<'a' | 'b' | 'bias' | 'scale', Tensor>): {
  g: Tensor;
  beta: Tensor;
} {
  const { a, b, bias, scale } = inputs;
  const H = a.shape[2];
  const fits =
    [a, b, bias, scale].every(({ dtype }) => dtype === 'float32') &&
    a.rank === 3 &&
    a.shape.join() === b.shape.join() &&
    [bias, scale].every(({ rank, shape }) => rank === 1 && shape[0] === H);
  if (!fits) {
    const shown = Object.entries(inputs).map(
      ([name, { dtype, shape }]) => `${name} ${dtype}${showShape(shape)}`,
    );
    throw new GraphError(`decayGates: ${shown.join(', ')}`);
  }
  const results = [a, b].map(({ dtype, shape }) => ({ dtype, shape }));
  const [g, beta] = recordMany(decayGatesOp, [a, b, bias, scale], {}, results);
  return { g: g!, beta: beta! };
}
