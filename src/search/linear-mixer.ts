import { releasedJetBlock } from '../mixers/jet-block.ts';
import type { MixerKind, MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from '../model/config.ts';
import { InputError } from '../util/errors.ts';

/** The blocks that can take the place of attention, sized to their parent. */
export type LinearKind = Exclude<MixerKind, 'attention' | 'sliding_window'>;

/** A block whose state is a matrix of key width x value width per head. */
export type SizedSpec = Extract<MixerSpec, { kind: LinearKind }>;

interface Size {
  heads: number;
  keyDim: number;
  valueDim: number;
}

const SIZED: { [K in LinearKind]: (size: Size) => Extract<MixerSpec, { kind: K }> } = {
  retnet: (size) => ({ kind: 'retnet', ...size }),
  gla: (size) => ({ kind: 'gla', ...size, gateRank: 16, rope: true }),
  deltanet: (size) => ({ kind: 'deltanet', ...size, convSize: 4, rope: false }),
  gated_deltanet: (size) => ({ kind: 'gated_deltanet', ...size, convSize: 4, rope: false }),
  jet_block: releasedJetBlock,
  mamba2: (size) => ({ kind: 'mamba2', ...size, headsPerGroup: 1, convSize: 4 }),
  kda: (size) => ({ kind: 'kda', ...size, gateRank: size.valueDim, convSize: 4 }),
};

export const LINEAR_KINDS = Object.keys(SIZED) as readonly LinearKind[];

/**
 * A linear mixer with as many heads as the parent's attention has query heads, of the same width, so that the
 * attention's weights can be copied into it, and that every kind has a state of the same size.
 *
 * @throws InputError for a kind that does not exist
 */
export function linearMixer(kind: string, { numHeads, headDim }: ModelConfig): SizedSpec {
  if (!Object.hasOwn(SIZED, kind)) {
    throw new InputError(`unknown mixer '${kind}'; expected one of ${LINEAR_KINDS.join(', ')}`);
  }
  return SIZED[kind as LinearKind]({ heads: numHeads, keyDim: headDim, valueDim: headDim });
}
