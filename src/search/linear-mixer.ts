import { releasedJetBlock } from '../mixers/jet-block.ts';
import { customKinds } from '../mixers/registry.ts';
import type { BuiltInKind, CustomSpec, MixerKind, MixerSpec } from '../mixers/spec.ts';
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

/**
 * The rank that RWKV7's reference gives a projection of a model of this width: a multiple of 32.
 *
 * @param factor ranks grow as this times the root of the width
 */
function rwkv7Rank(hiddenSize: number, factor: number): number {
  return Math.max(32, 32 * Math.round((factor * Math.sqrt(hiddenSize)) / 32));
}

const SIZED: {
  [K in LinearKind & BuiltInKind]: (size: Size, hiddenSize: number) => Extract<MixerSpec, { kind: K }>;
} = {
  retnet: (size) => ({ kind: 'retnet', ...size }),
  gla: (size) => ({ kind: 'gla', ...size, gateRank: 16, rope: false }),
  deltanet: (size) => ({ kind: 'deltanet', ...size, convSize: 4, rope: false }),
  gated_deltanet: (size) => ({ kind: 'gated_deltanet', ...size, convSize: 4, rope: false }),
  jet_block: releasedJetBlock,
  mamba2: (size) => ({ kind: 'mamba2', ...size, headsPerGroup: 1, convSize: 4 }),
  rwkv7: (size, hiddenSize) => ({
    kind: 'rwkv7',
    ...size,
    decayRank: rwkv7Rank(hiddenSize, (2.5 * size.keyDim) / 64),
    rateRank: rwkv7Rank(hiddenSize, (2.5 * size.keyDim) / 64),
    gateRank: rwkv7Rank(hiddenSize, 5),
    // Branches have to be functions of their own input.
    valueRank: 0,
  }),
  kda: (size) => ({ kind: 'kda', ...size, gateRank: size.valueDim, convSize: 4 }),
};

/** All kinds, those that were registered from outside last. */
export function linearKinds(): LinearKind[] {
  return [...(Object.keys(SIZED) as LinearKind[]), ...customKinds()];
}

/**
 * The block that keeps most of a parent's abilities in all comparisons so far (docs/LOG.md): what is taken where nothing
 * else is said.
 */
export const BEST_MIXER = 'gated_deltanet+rope';

/** What is compared where nothing else is said: every kind as its authors define it, and the best so far. */
export function comparedMixers(): string[] {
  return [...linearKinds(), BEST_MIXER];
}

/** The end of a name for a block whose queries and keys are rotated as those of the parent, as no paper has it. */
const ROPE = '+rope';

/**
 * A linear mixer with as many heads as the parent's attention has query heads, of the same width, so that the
 * attention's weights can be copied into it, and that every kind has a state of the same size.
 *
 * @param name a kind as its authors define it, or one with `+rope` behind it: `gated_deltanet+rope`
 * @throws InputError for a kind that does not exist, or that knows no rotation
 */
export function linearMixer(name: string, { numHeads, headDim, hiddenSize }: ModelConfig): SizedSpec {
  const rope = name.endsWith(ROPE);
  const kind = rope ? name.slice(0, -ROPE.length) : name;
  const known: readonly string[] = linearKinds();
  if (!known.includes(kind)) {
    throw new InputError(`unknown mixer '${kind}'; expected one of ${known.join(', ')}`);
  }
  const size = { heads: numHeads, keyDim: headDim, valueDim: headDim };
  const spec: SizedSpec = Object.hasOwn(SIZED, kind)
    ? SIZED[kind as keyof typeof SIZED](size, hiddenSize)
    : { kind: kind as CustomSpec['kind'], ...size };
  if (!rope) return spec;
  if (!('rope' in spec) && spec.kind !== 'jet_block')
    throw new InputError(`mixer '${name}': a ${kind} block has no rotation to choose`);
  return { ...spec, rope: true };
}
