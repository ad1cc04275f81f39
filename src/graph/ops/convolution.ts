/** Convolution along the last axis, a filter per channel. */
import { addDims, showShape } from '../dim.ts';
import { type NdArray, ndarray, strides } from '../ndarray.ts';
import { GraphError, isFloat, type Op, record, recordMany, type Tensor } from '../tensor.ts';
import { mul } from './elementwise.ts';
import { normalizeAxes, sum } from './reduce.ts';
import { pad, slice, stack } from './shape.ts';

interface Padding {
  [name: string]: number;
  before: number;
  after: number;
}

/** Visits all places where tap w of a filter meets element s of a row of S for element l of the result. */
function eachTap(
  [B, D, S]: readonly number[],
  W: number,
  { before, after }: Padding,
  visit: (x: number, w: number, y: number) => void,
): void {
  const L = S! + before + after - W + 1;
  for (let row = 0; row < B! * D!; row++) {
    for (let l = 0; l < L; l++) {
      for (let w = 0; w < W; w++) {
        const s = l + w - before;
        if (s >= 0 && s < S!) visit(row * S! + s, (row % D!) * W + w, row * L + l);
      }
    }
  }
}

const depthwiseConvOp: Op<Padding> = {
  name: 'depthwiseConv',
  emit: (emitter, [x, weight], { inputs, attributes: { before, after } }) => {
    const [D, W] = inputs[1]!.shape as [number, number];
    const kernel = emitter.node('Reshape', [weight!, emitter.shape([D, 1, W])]);
    return [emitter.node('Conv', [x!, kernel], { group: D, pads: [before, after] })];
  },
  vjp: ({ inputs: [x, weight], attributes: { before, after } }, [dy]) => {
    const W = weight!.shape[1] as number;
    const dx = depthwiseConv(dy!, reverse(weight!, 1), { before: W - 1 - before, after: W - 1 - after });
    // As a convolution of rows with rows this would take several times as long.
    const padded = pad(x!, 2, before, after);
    const taps = Array.from({ length: W }, (_, w) =>
      sum(mul(dy!, slice(padded, 2, w, addDims(w, dy!.shape[2]!))), [0, 2]),
    );
    return [dx, stack(taps, 1)];
  },
  evaluate: ([x, weight], { attributes }): NdArray[] => {
    const [B, D, S] = x!.shape as [number, number, number];
    const W = weight!.shape[1]!;
    const result = ndarray([B, D, S + attributes.before + attributes.after - W + 1]);
    eachTap(x!.shape, W, attributes, (s, w, l) => {
      result.data[l]! += x!.data[s]! * weight!.data[w]!;
    });
    return [result];
  },
};

/**
 * Correlates each channel with its filter: x [B, D, S] with zeros `before` and `after` it, weight [D, W] ->
 * [B, D, S + before + after - W + 1]; element l is the sum over w of weight[d, w] x[b, d, l + w - before].
 */
export function depthwiseConv(
  x: Tensor,
  weight: Tensor,
  { before = 0, after = 0 }: { before?: number; after?: number } = {},
): Tensor {
  const [, W] = weight.shape;
  const fits =
    x.rank === 3 &&
    weight.rank === 2 &&
    typeof W === 'number' &&
    typeof weight.shape[0] === 'number' &&
    isFloat(x.dtype) &&
    x.dtype === weight.dtype;
  if (!fits || x.shape[1] !== weight.shape[0] || Math.max(before, after) >= W) {
    throw new GraphError(
      `depthwiseConv: x ${x.dtype}${showShape(x.shape)}, weight ${weight.dtype}${showShape(weight.shape)}, ` +
        `padding ${before} and ${after}`,
    );
  }
  const length = addDims(x.shape[2]!, before + after - W + 1);
  return record(depthwiseConvOp, [x, weight], { before, after }, x.dtype, [...x.shape.slice(0, 2), length]);
}

const convolutionStepOp: Op = {
  name: 'convolutionStep',
  emit: (emitter, [u, weight, state, ...bias], { inputs }) => {
    const [D, W] = inputs[1]!.shape;
    const taps = emitter.node('Reshape', [weight!, emitter.shape([D!, 1, W!])]);
    // The node remembers one input less than it has taps: a tap of 0 before the others, and it is as many.
    const none =
      typeof D === 'number'
        ? emitter.constant('float32', ndarray([D, 1, 1]))
        : emitter.node('ConstantOfShape', [emitter.shape([D!, 1, 1])]);
    const filters = emitter.node('Concat', [none, taps], { axis: 2 });
    const attributes = { activation: 'silu', ndim: 1, channels_last: 0 };
    const given = [u!, filters, bias[0] ?? '', state!];
    return emitter.nodeMany('CausalConvWithState', given, 2, attributes, { domain: 'com.microsoft' });
  },
  evaluate: ([u, weight, state, bias]): NdArray[] => {
    const [, D, W] = state!.shape as [number, number, number];
    const y = ndarray(u!.shape);
    const next = ndarray(state!.shape);
    for (let row = 0; row < y.data.length; row++) {
      const seen = next.data.subarray(row * W, (row + 1) * W);
      seen.set(state!.data.subarray(row * W + 1, (row + 1) * W));
      seen[W - 1] = u!.data[row]!;
      let total = bias ? bias.data[row % D]! : 0;
      for (let w = 0; w < W; w++) total += weight!.data[(row % D) * W + w]! * seen[w]!;
      y.data[row] = total / (1 + Math.exp(-total));
    }
    return [y, next];
  },
};

/**
 * One more token of a causal convolution, and SiLU: with the last W inputs before it, `state` [B, D, W], and its own, u
 * [B, D, 1], silu(sum over w of weight[d, w] seen[b, d, w] + bias[d]) [B, D, 1], where `seen`, the newest W of them, is the
 * new state. weight [D, W], bias [D]. In one node, so there is no gradient.
 */
export function convolutionStep(
  u: Tensor,
  weight: Tensor,
  state: Tensor,
  bias?: Tensor,
): { y: Tensor; state: Tensor } {
  const [B, D, W] = state.shape;
  const inputs = [u, weight, state, ...(bias ? [bias] : [])];
  const fits =
    inputs.every(({ dtype }) => dtype === 'float32') &&
    typeof W === 'number' &&
    u.shape.join() === [B, D, 1].join() &&
    weight.shape.join() === [D, W].join() &&
    (!bias || bias.shape.join() === [D].join());
  if (!fits) {
    const shown = inputs.map(({ dtype, shape }) => `${dtype}${showShape(shape)}`);
    throw new GraphError(`convolutionStep: u, weight, state and bias ${shown.join(', ')}`);
  }
  const results = [u, state].map(({ dtype, shape }) => ({ dtype, shape }));
  const [y, next] = recordMany(convolutionStepOp, inputs, {}, results);
  return { y: y!, state: next! };
}

const reverseOp: Op<{ axis: number }> = {
  name: 'reverse',
  emit: (emitter, [x], { attributes: { axis } }) => {
    const int = (value: number) => emitter.constant('int64', ndarray([1], [value]));
    // From the last element to before the first, which only a number beyond any size can say.
    return [emitter.node('Slice', [x!, int(-1), int(-(2 ** 31)), int(axis), int(-1)])];
  },
  vjp: ({ attributes: { axis } }, [dy]) => [reverse(dy!, axis)],
  evaluate: ([x], { attributes: { axis } }): NdArray[] => {
    const stride = strides(x!.shape)[axis]!;
    const size = x!.shape[axis]!;
    const result = ndarray(x!.shape);
    for (let i = 0; i < result.data.length; i++) {
      const place = Math.floor(i / stride) % size;
      result.data[i] = x!.data[i + (size - 1 - 2 * place) * stride]!;
    }
    return [result];
  },
};

/** The elements along one axis in the opposite order. */
export function reverse(x: Tensor, axis: number): Tensor {
  const [normal] = normalizeAxes('reverse', x, axis) as [number];
  return record(reverseOp, [x], { axis: normal }, x.dtype, x.shape);
}
