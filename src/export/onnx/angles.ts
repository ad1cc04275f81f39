import { add, constant, div, mul, sub, type Tensor, take } from '../../graph/index.ts';
import { ropeFrequencies, ropeMagnitude } from '../../mixers/rope.ts';
import type { ModelConfig } from '../../model/config.ts';

/** Positions that share a row of the coarse table. */
const FINE = 256;

/**
 * Cosines and sines of the rotation angles of positions [N] (int64), for heads of a width: [N, width / 2] each.
 *
 * A table of all positions would be the largest thing in a small model. Here an angle is the sum of a coarse and a fine
 * one, each from a table of its own: as exact as float32 is at any position, which position times frequency is not.
 */
export function rotationAngles(
  config: ModelConfig,
  width: number,
  positions: Tensor,
): { cos: Tensor; sin: Tensor } {
  const frequencies = ropeFrequencies({ ...config, headDim: width });
  const table = (rows: number, step: number, f: (angle: number) => number, magnitude: number) => {
    const values = Array.from({ length: rows }, (_, row) =>
      frequencies.map((x) => magnitude * f(row * step * x)),
    ).flat();
    return constant(Float32Array.from(values), [rows, frequencies.length]);
  };
  const coarse = div(positions, FINE);
  const fine = sub(positions, mul(coarse, FINE));
  const rows = Math.ceil(config.maxPositionEmbeddings / FINE);
  const [cosA, sinA] = [Math.cos, Math.sin].map((f) =>
    take(table(rows, FINE, f, ropeMagnitude(config)), coarse),
  ) as [Tensor, Tensor];
  const [cosB, sinB] = [Math.cos, Math.sin].map((f) => take(table(FINE, 1, f, 1), fine)) as [Tensor, Tensor];
  return {
    cos: sub(mul(cosA, cosB), mul(sinA, sinB)),
    sin: add(mul(sinA, cosB), mul(cosA, sinB)),
  };
}
