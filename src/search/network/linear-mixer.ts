import { attentionForm } from '../../mixers/head-attention.ts';
import { releasedJetBlock } from '../../mixers/jet-block.ts';
import { customKinds } from '../../mixers/registry.ts';
import type { BuiltInKind, CustomSpec, LinearSpec, WindowLinearSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import { InputError } from '../../util/errors.ts';

/** The blocks that can take the place of attention, sized to their parent. */
export type LinearKind = LinearSpec['kind'];

/** A block whose state is a matrix of key width x value width per head. */
export type SizedSpec = LinearSpec;

/** Such a block, or one beside attention over a window. */
export type BlockSpec = SizedSpec | WindowLinearSpec;

/** Tokens of the longest window: those of the longest text that there can be. */
const MOST_TOKENS = 2 ** 24;

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
  [K in LinearKind & BuiltInKind]: (size: Size, hiddenSize: number) => Extract<LinearSpec, { kind: K }>;
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

/**
 * What can stand behind a kind, as no paper has it: `+rope` rotates queries and keys as the parent does, `+qk_norm`
 * normalises them by head as the attention of some parents does (Qwen3), starting from its norms, and `+qkv_bias` keeps the
 * biases of queries, keys and values of others (Qwen2).
 */
const VARIANTS: Record<string, (spec: SizedSpec, config: ModelConfig) => SizedSpec | string> = {
  rope: (spec) =>
    'rope' in spec || spec.kind === 'jet_block'
      ? ({ ...spec, rope: true } as SizedSpec)
      : `a ${spec.kind} block has no rotation to choose`,
  qk_norm: (spec) =>
    spec.kind === 'gla' || spec.kind === 'retnet' || spec.kind === 'mamba2'
      ? { ...spec, qkNorm: true }
      : `a ${spec.kind} block normalises its queries and keys by itself, or knows no norms: of the kinds gla, retnet and ` +
        'mamba2 have this variant',
  qkv_bias: (spec, { qkvBias }) => {
    if (!qkvBias) return "the parent's attention has no biases of queries, keys and values to start from";
    if (spec.kind === 'mamba2') return 'a mamba2 block holds them in the biases of its convolution anyway';
    return isCustom(spec) ? `${spec.kind} takes them if it has a q_proj.bias` : { ...spec, qkvBias: true };
  },
};

function isCustom(spec: SizedSpec): spec is CustomSpec {
  return spec.kind.startsWith('custom_');
}

/** Variants that put a block beside attention over a window of so many tokens, and over so many first ones of the text. */
const NEAR = /^(window|sinks)(0|[1-9]\d*)$/;
/** The first tokens beside a window, where nothing is said of them. */
const SINKS = 4;

interface Name {
  kind: string;
  variants: readonly string[];
  /** Where there is a window. */
  near: { window: number; sinks: number } | undefined;
}

/**
 * A block with as many heads as the parent's attention has query heads, of the same width, so that the attention's
 * weights can be copied into it, and that every kind has a state of the same size.
 *
 * @param name a kind as its authors define it, or one with variants behind it: `gla+rope+qk_norm`; with `+window128`
 *   stands beside attention over 128 tokens and the first 4, or those of `+sinks8`
 * @throws InputError for a kind or a variant that does not exist, or that do not go together
 */
export function linearMixer(name: string, config: ModelConfig): BlockSpec {
  const { numHeads, headDim, hiddenSize } = config;
  const { kind, variants, near } = read(name);
  if (config.qkNormOfAll && variants.includes('qk_norm')) {
    throw new InputError(
      `mixer '${name}': the parent normalises all heads together, +qk_norm each by itself`,
    );
  }
  if (near && config.layers.some((spec) => Object.keys(attentionForm(spec)).length > 0)) {
    throw new InputError(
      `mixer '${name}': the parent's layers are rotated differently, for which windows beside blocks have no place`,
    );
  }
  const size = { heads: numHeads, keyDim: headDim, valueDim: headDim };
  let spec: SizedSpec = Object.hasOwn(SIZED, kind)
    ? SIZED[kind as keyof typeof SIZED](size, hiddenSize)
    : { kind: kind as CustomSpec['kind'], ...size };
  for (const variant of variants) {
    const made = VARIANTS[variant]!(spec, config);
    if (typeof made === 'string') throw new InputError(`mixer '${name}': ${made}`);
    spec = made;
  }
  if (!near) return spec;
  const { window, sinks } = near;
  return { kind: 'window_linear', window, ...(sinks > 0 ? { sinks } : {}), linear: spec };
}

/** @throws InputError for a name that is no kind's with variants of which each stands once */
export function checkName(name: string): void {
  read(name);
}

function read(name: string): Name {
  const [kind = '', ...all] = name.split('+');
  const known: readonly string[] = linearKinds();
  if (!known.includes(kind)) {
    throw new InputError(`unknown mixer '${kind}'; expected one of ${known.join(', ')}`);
  }
  const numbers = new Map<string, number>();
  const seen = new Set<string>();
  for (const variant of all) {
    const [, near, count] = NEAR.exec(variant) ?? [];
    const what = near ?? variant;
    if (seen.has(what) || !(near || Object.hasOwn(VARIANTS, variant))) {
      const others = [...Object.keys(VARIANTS), 'window128'].map((each) => `+${each}`).join(', ');
      throw new InputError(`mixer '${name}': +${variant}, expected ${others} or +sinks${SINKS}, each once`);
    }
    seen.add(what);
    if (near) numbers.set(near, checkedNumber(name, variant, near, Number(count)));
  }
  const [window, sinks] = [numbers.get('window'), numbers.get('sinks')];
  if (sinks !== undefined && window === undefined) {
    throw new InputError(`mixer '${name}': +sinks${sinks} goes with a window, such as +window128`);
  }
  return {
    kind,
    variants: all.filter((variant) => Object.hasOwn(VARIANTS, variant)),
    near: window === undefined ? undefined : { window, sinks: sinks ?? SINKS },
  };
}

function checkedNumber(name: string, variant: string, near: string, count: number): number {
  const least = near === 'window' ? 1 : 0;
  if (count >= least && count <= MOST_TOKENS) return count;
  throw new InputError(`mixer '${name}': +${variant}, expected ${least} to ${MOST_TOKENS} tokens`);
}
