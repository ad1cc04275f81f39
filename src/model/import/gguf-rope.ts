/** How GGUF stores the scaling of rotary position encoding. */
import type { RopeScaling } from '../../mixers/spec.ts';
import { InputError } from '../../util/errors.ts';
import type { GgufMetadata } from './gguf-metadata.ts';

/** Divisors of the rotary frequencies: how GGUF stores Llama 3's scaling. */
export const ROPE_FACTORS = 'rope_freqs.weight';

/** @throws InputError for a scaling of another type */
export function linearScaling(metadata: GgufMetadata, arch: string): RopeScaling | null {
  const old = `${arch}.rope.scale_linear`;
  const key = `${arch}.rope.scaling.type`;
  const type = metadata.text(key, metadata.has(old) ? 'linear' : 'none');
  if (type === 'none') return null;
  if (type !== 'linear') throw metadata.wrong(key, "'none' or 'linear'");
  const current = `${arch}.rope.scaling.factor`;
  const factor = metadata.positive(metadata.has(current) ? current : old);
  return factor === 1 ? null : { type: 'linear', factor };
}

/** A float32 from the file as the decimal that its author wrote: 1e-5, not 0.000009999999747378752. */
export function shortest(value: number): number {
  return Number(value.toPrecision(7));
}

/**
 * Finds the parameters of Llama 3's scaling that give the stored divisors of the frequencies: all published models
 * have low and high factor 1 and 4 over an original context of 8192, and differ in the factor.
 */
export function llama3Scaling(
  path: string,
  headDim: number,
  theta: number,
  factors: Float32Array,
): RopeScaling | null {
  const factor = Math.max(...factors);
  if (factor === 1) return null;
  const scaling = {
    type: 'llama3' as const,
    factor,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  };
  const { lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: context } = scaling;
  const fits = [...factors].every((found, j) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * j) / headDim);
    const smooth = Math.min(1, Math.max(0, (context / wavelength - low) / (high - low)));
    const expected = 1 / ((1 - smooth) / factor + smooth);
    return Math.abs(found - expected) < 1e-3 * expected;
  });
  if (!fits) {
    throw new InputError(
      `${path}: ${ROPE_FACTORS} holds frequency factors other than Llama 3's, which are not supported`,
    );
  }
  return scaling;
}
