import type { GatedDeltaNetSpec, GlaSpec, MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from '../model/config.ts';
import { InputError } from '../util/errors.ts';

/** The blocks that can take the place of attention, sized to their parent. */
export type LinearKind = (GlaSpec | GatedDeltaNetSpec)['kind'];

export const LINEAR_KINDS: readonly LinearKind[] = ['gla', 'gated_deltanet'];

/**
 * A linear mixer with as many heads as the parent's attention has query heads, of the same width, so that the
 * attention's weights can be copied into it.
 *
 * @throws InputError for a kind that does not exist
 */
export function linearMixer(kind: string, { numHeads, headDim }: ModelConfig): MixerSpec {
  const size = { heads: numHeads, keyDim: headDim, valueDim: headDim };
  switch (kind as LinearKind) {
    case 'gla':
      return { kind: 'gla', ...size, gateRank: 16, rope: true };
    case 'gated_deltanet':
      return { kind: 'gated_deltanet', ...size, convSize: 4, rope: false };
    default:
      throw new InputError(`unknown mixer '${kind}'; expected ${LINEAR_KINDS.join(' or ')}`);
  }
}
