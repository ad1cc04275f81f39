import { concat, slice, type Tensor } from '../graph/index.ts';
import { range } from '../util/range.ts';
import {
  attendAfter,
  attendWithin,
  attentionParameters,
  copyAttention,
  output,
  placesOf,
  rotatedHeads,
} from './attention.ts';
import type { Mixer, Reach } from './mixer.ts';
import type {
  AttentionForm,
  AttentionSpec,
  HeadAttentionSpec,
  MixerContext,
  MixerSpec,
  SlidingWindowSpec,
} from './spec.ts';

/**
 * Attention by key and value head: some see all tokens, the others a window and the first tokens of the text. Its weights
 * are those of attention. Heads that look far back are few, and which ones they are is a property of the model
 * (Xiao et al. 2024, DuoAttention, arXiv 2410.10819).
 */

type Heads = Record<'q' | 'k' | 'v', Tensor>;

/** Runs of heads that stand one behind the other: [first, end). */
function runsOf(heads: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const head of heads) {
    const last = runs.at(-1);
    if (last?.[1] === head) last[1]++;
    else runs.push([head, head + 1]);
  }
  return runs;
}

/** Some key heads of x [B, heads, T, d], of which each stands for `size` heads of x. */
function headsOf(x: Tensor, heads: readonly number[], size: number): Tensor {
  return joined(runsOf(heads).map(([from, to]) => slice(x, 1, from * size, to * size)));
}

/**
 * Attention by groups of key heads, of which each is attended to by itself.
 *
 * @param heads q [B, H, T, d], k and v [B, KV, T, d]
 * @param attend of the heads of a group: q [B, H', T, d], k and v [B, KV', T, d] -> [B, H', T, d]
 * @returns what all query heads get [B, H, T, d]
 */
export function attendByGroup<Group extends Reach>(
  { q, k, v }: Heads,
  groups: readonly Group[],
  { numHeads, numKvHeads }: Pick<MixerContext, 'numHeads' | 'numKvHeads'>,
  attend: (own: Heads, group: Group) => Tensor,
): Tensor {
  if (groups.length === 1) return attend({ q, k, v }, groups[0]!);
  const size = numHeads / numKvHeads;
  const parts = groups.flatMap((group) => {
    const { heads } = group;
    const own = { q: headsOf(q, heads, size), k: headsOf(k, heads, 1), v: headsOf(v, heads, 1) };
    const attended = attend(own, group);
    let done = 0;
    return runsOf(heads).map(([from, to]) => {
      const part = slice(attended, 1, done * size, (done + to - from) * size);
      done += to - from;
      return { from, part };
    });
  });
  return joined(parts.sort((a, b) => a.from - b.from).map(({ part }) => part));
}

function joined(parts: readonly Tensor[]): Tensor {
  return parts.length === 1 ? parts[0]! : concat(parts, 1);
}

function reach(
  { fullHeads, window, sinks = 0 }: HeadAttentionSpec,
  { numKvHeads }: Pick<MixerContext, 'numKvHeads'>,
): readonly [Reach, Reach] {
  const all = range(numKvHeads);
  return [
    { heads: fullHeads, window: Number.POSITIVE_INFINITY, sinks: 0 },
    { heads: all.filter((head) => !fullHeads.includes(head)), window, sinks },
  ];
}

/** What a layer's attention has whatever it sees, to be had by another in its place. */
export function attentionForm(spec: MixerSpec): AttentionForm {
  const { noRope, localRope } = spec as AttentionForm;
  return { ...(noRope && { noRope }), ...(localRope && { localRope }) };
}

/**
 * Attention of which some KV heads see all tokens and the others a window, as the mixer that says so: full attention where
 * all do, a sliding window where none does.
 */
export function attentionSpec(
  fullHeads: readonly number[],
  { numKvHeads }: Pick<MixerContext, 'numKvHeads'>,
  { window, sinks = 0, ...form }: { window: number; sinks?: number } & AttentionForm,
): AttentionSpec | SlidingWindowSpec | HeadAttentionSpec {
  const near = { window, ...(sinks > 0 ? { sinks } : {}), ...form };
  if (fullHeads.length === numKvHeads) return { kind: 'attention', ...form };
  if (fullHeads.length === 0) return { kind: 'sliding_window', ...near };
  return { kind: 'head_attention', fullHeads: [...fullHeads].sort((a, b) => a - b), ...near };
}

/** The state of the full heads grows; that of the others, whose names begin with `window_`, has all its places. */
export const headAttention: Mixer<HeadAttentionSpec> = {
  kind: 'head_attention',
  letter: 'H',
  anyLength: true,
  parameters: attentionParameters,
  state: ({ fullHeads, window, sinks = 0 }, { numKvHeads, headDim }) => {
    const [full, others, places] = [fullHeads.length, numKvHeads - fullHeads.length, sinks + window];
    return [
      { name: 'k', shape: ['B', full, 'P', headDim] },
      { name: 'v', shape: ['B', full, 'P', headDim] },
      { name: 'valid', shape: ['B', 'P'] },
      { name: 'window_k', shape: ['B', others, places, headDim] },
      { name: 'window_v', shape: ['B', others, places, headDim] },
      { name: 'window_valid', shape: ['B', places] },
    ];
  },
  forward: (spec, context, input) => {
    const state: Record<string, Tensor> = {};
    const attend = (own: Heads, { window }: Reach) => {
      const prefix = window === Number.POSITIVE_INFINITY ? '' : 'window_';
      const before = placesOf(input, prefix);
      const { attended, state: after } = prefix
        ? attendWithin(input, own, before, spec)
        : attendAfter(input, own, before, window);
      for (const [name, tensor] of Object.entries(after)) state[`${prefix}${name}`] = tensor;
      return attended;
    };
    const heads = rotatedHeads(context, input, spec);
    return {
      y: output(attendByGroup(heads, reach(spec, context), context, attend), input.params, () => input.x),
      state,
    };
  },
  cached: {
    reach,
    heads: (spec, context, input) => rotatedHeads(context, input, spec),
    output,
  },
  fromAttention: (_spec, context, weights) => copyAttention(weights, context),
};
