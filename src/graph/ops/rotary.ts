import { type Shape, showShape } from '../dim.ts';
import { type NdArray, ndarray } from '../ndarray.ts';
import { GraphError, isFloat, type Op, record, type Tensor } from '../tensor.ts';
import { neg } from './elementwise.ts';

/** Rotary position embedding, half-split ("NeoX") layout: halves a, b of each head become a cos - b sin, b cos + a sin. */
const rotaryOp: Op = {
  name: 'rotary',
  emit: (emitter, [x, positions, cos, sin]) => [
    emitter.node('RotaryEmbedding', [x!, positions!, cos!, sin!], {}, { domain: 'com.microsoft' }),
  ],
  // The transpose of a rotation is the rotation the other way.
  vjp: ({ inputs: [, positions, cos, sin] }, [dy]) => [
    rotary(dy!, positions!, cos!, neg(sin!)),
    null,
    null,
    null,
  ],
  evaluate: ([x, positions, cos, sin]): NdArray[] => {
    const [B, H, T, K] = x!.shape as [number, number, number, number];
    const half = K / 2;
    const result = ndarray(x!.shape);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < H; h++) {
        for (let t = 0; t < T; t++) {
          const row = ((b * H + h) * T + t) * K;
          const angle = positions!.data[b * T + t]! * half;
          for (let i = 0; i < half; i++) {
            const [c, s] = [cos!.data[angle + i]!, sin!.data[angle + i]!];
            const [p, q] = [x!.data[row + i]!, x!.data[row + half + i]!];
            result.data[row + i] = p * c - q * s;
            result.data[row + half + i] = q * c + p * s;
          }
        }
      }
    }
    return [result];
  },
};

/**
 * Rotates x [B, H, T, K] by the angles of its positions [B, T] (int64), looked up in tables cos and sin
 * [positions, K/2].
 */
export function rotary(x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor): Tensor {
  const [B, , T, K] = x.shape as Shape;
  const fits =
    x.rank === 4 &&
    isFloat(x.dtype) &&
    cos.dtype === x.dtype &&
    sin.dtype === x.dtype &&
    positions.dtype === 'int64' &&
    positions.rank === 2 &&
    positions.shape[0] === B &&
    positions.shape[1] === T &&
    typeof K === 'number' &&
    cos.rank === 2 &&
    cos.shape[1] === K / 2 &&
    sin.shape.join() === cos.shape.join();
  if (!fits) {
    throw new GraphError(
      `rotary: x ${x.dtype}${showShape(x.shape)}, positions ${positions.dtype}${showShape(positions.shape)}, ` +
        `cos ${cos.dtype}${showShape(cos.shape)}, sin ${sin.dtype}${showShape(sin.shape)}`,
    );
  }
  return record(rotaryOp, [x, positions, cos, sin], {}, x.dtype, x.shape);
}
