import { arange, concat, constant, expand, reshape, rotary, slice, type Tensor } from '../graph/index.ts';
import type { MixerInput } from './mixer.ts';
import type { MixerContext, RopeScaling } from './spec.ts';

/**
 * Rotary position embedding (Su et al. 2021), with linear scaling, the frequency scaling of Llama 3.1, and YaRN.
 */

/** Frequencies of the rotation planes of a head, in radians per token [headDim / 2]. */
export function ropeFrequencies({ headDim, ropeTheta, ropeScaling }: MixerContext): number[] {
  const kept = ropeScaling?.type === 'yarn' ? yarnRamp(headDim, ropeTheta, ropeScaling) : null;
  return Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = ropeTheta ** ((-2 * i) / headDim);
    if (ropeScaling === null) return frequency;
    if (ropeScaling.type === 'linear') return frequency / ropeScaling.factor;
    if (ropeScaling.type === 'yarn') {
      return (frequency / ropeScaling.factor) * (1 - kept!(i)) + frequency * kept!(i);
    }
    // Waves much longer than the original context are slowed down by the factor, short ones kept, those in
    // between interpolated.
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = ropeScaling;
    const turns = (originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
    if (turns < lowFreqFactor) return frequency / factor;
    if (turns > highFreqFactor) return frequency;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** What cosines and sines are multiplied by. */
export function ropeMagnitude({ ropeScaling }: Pick<MixerContext, 'ropeScaling'>): number {
  return ropeScaling?.type === 'yarn' ? ropeScaling.attentionFactor : 1;
}

/** How much of its speed each plane keeps: all at the fast end, none at the slow one, a straight line between. */
function yarnRamp(
  width: number,
  theta: number,
  scaling: Extract<RopeScaling, { type: 'yarn' }>,
): (plane: number) => number {
  const { originalMaxPositionEmbeddings: context, betaFast, betaSlow, truncate } = scaling;
  /** The plane, not a whole number, that turns so often over the original context. */
  const planeOf = (turns: number) =>
    (width * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const round = (f: (x: number) => number, x: number) => (truncate ? f(x) : x);
  const first = Math.max(round(Math.floor, planeOf(betaFast)), 0);
  let last = Math.min(round(Math.ceil, planeOf(betaSlow)), width - 1);
  if (last === first) last += 0.001;
  return (plane) => 1 - Math.min(1, Math.max(0, (plane - first) / (last - first)));
}

const tables = new Map<string, { cos: WeakRef<Tensor>; sin: WeakRef<Tensor> }>();

/** Cosines and sines of the angles of `rows` positions [rows, headDim / 2]: one pair for all layers of a graph. */
function angleTables(context: MixerContext, rows: number): { cos: Tensor; sin: Tensor } {
  const frequencies = ropeFrequencies(context);
  const magnitude = ropeMagnitude(context);
  const key = `${rows} ${magnitude} ${frequencies}`;
  const known = tables.get(key);
  const [knownCos, knownSin] = [known?.cos.deref(), known?.sin.deref()];
  if (knownCos && knownSin) return { cos: knownCos, sin: knownSin };
  const width = frequencies.length;
  const table = (f: (angle: number) => number) =>
    constant(
      Float32Array.from(
        { length: rows * width },
        (_, i) => magnitude * f(Math.floor(i / width) * frequencies[i % width]!),
      ),
      [rows, width],
    );
  const [cos, sin] = [table(Math.cos), table(Math.sin)];
  tables.set(key, { cos: new WeakRef(cos), sin: new WeakRef(sin) });
  return { cos, sin };
}

/** The same with the rotation that layers with `localRope` have. */
export function localRope<C extends Pick<MixerContext, 'ropeTheta' | 'ropeScaling' | 'localRopeTheta'>>(
  context: C,
): C {
  return { ...context, ropeTheta: context.localRopeTheta ?? context.ropeTheta, ropeScaling: null };
}

/** Channels of a head that are rotated. */
export function rotatedWidth({
  headDim,
  rotaryShare = 1,
}: Pick<MixerContext, 'headDim' | 'rotaryShare'>): number {
  return Math.floor(headDim * rotaryShare);
}

/** A function that rotates heads [B, H, T, headDim] by the positions of the mixer's input. */
export function rope(context: MixerContext, input: MixerInput, local = false): (heads: Tensor) => Tensor {
  const [B, T] = input.x.shape as [number, number];
  const rows = input.maxPositions ?? T;
  if (typeof rows !== 'number' && !input.angles)
    throw new Error(`rope: maxPositions is needed where T is symbolic (${T})`);
  const width = rotatedWidth(context);
  const own = { ...(local ? localRope(context) : context), headDim: width };
  const { cos, sin } = input.angles?.(width, local) ?? angleTables(own, rows);
  const positions = input.positions ?? expand(reshape(arange(T), [1, T]), [B, T]);
  const rotate = (x: Tensor) => rotary(x, positions, cos, sin);
  if (width === context.headDim) return rotate;
  return (heads) => concat([rotate(slice(heads, -1, 0, width)), slice(heads, -1, width)], 3);
}
