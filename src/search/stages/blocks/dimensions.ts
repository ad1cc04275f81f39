import { sizedPart, withSizedPart } from '../../../mixers/sized-part.ts';
import { InputError } from '../../../util/errors.ts';
import type { BlockSpec, SizedSpec } from '../../network/linear-mixer.ts';
import type { Candidate } from './compare.ts';

/** Heads x key width x value width: the numbers that a step reads and writes. */
export function stateSize(spec: BlockSpec): number {
  const { heads, keyDim, valueDim } = sizedPart(spec);
  return heads * keyDim * valueDim;
}

/** Widths are multiples of this: what vector units and head-wise products like. */
const STEP = 8;

export interface Grid {
  /** Numbers of heads to try. */
  heads: readonly number[];
  /** The most that one of key and value width may be wider than the other. */
  aspect: number;
  /** Taps of the convolutions to try beside the block's own, at its own widths. */
  convSizes?: readonly number[];
}

/**
 * The grid of stage 4 (spec §3.4; the paper's Table 2): all heads, key and value widths with the state size of the
 * given block, the block itself first; then other numbers of taps.
 *
 * @throws InputError for numbers of heads that leave no other dimensions, and for taps of a block without convolution
 */
export function sameStateSize(block: BlockSpec, { heads, aspect, convSizes = [] }: Grid): Candidate[] {
  const spec = sizedPart(block);
  const size = stateSize(spec);
  const found = new Map<string, SizedSpec>();
  const put = (each: SizedSpec) => found.set(dimensionsName(each), each);
  put(spec);
  for (const count of heads) {
    for (let keyDim = STEP; keyDim * count <= size / STEP; keyDim += STEP) {
      const valueDim = size / (count * keyDim);
      if (valueDim % STEP !== 0 || Math.max(keyDim / valueDim, valueDim / keyDim) > aspect) continue;
      const name = dimensionsName({ ...spec, heads: count, keyDim, valueDim });
      if (!found.has(name)) put({ ...spec, heads: count, keyDim, valueDim });
    }
  }
  for (const convSize of convSizes) {
    if (!('convSize' in spec))
      throw new InputError(`a ${spec.kind} block has no convolution to give ${convSize} taps`);
    if (convSize !== spec.convSize)
      found.set(`${dimensionsName(spec)}-${convSize}taps`, { ...spec, convSize });
  }
  if (found.size < 2) {
    throw new InputError(
      `heads ${heads.join(', ')}: none of them leaves widths of multiples of ${STEP} for a state of ${size} numbers ` +
        `per layer with one width at most ${aspect} times the other`,
    );
  }
  return [...found].map(([name, each]) => ({ name, spec: withSizedPart(block, each) }));
}

/** Half, once and twice so many heads. */
export function nearbyHeads(heads: number): number[] {
  return [...new Set([Math.max(1, Math.floor(heads / 2)), heads, 2 * heads])];
}

/** 4x32x32: heads, key width, value width. */
function dimensionsName({ heads, keyDim, valueDim }: SizedSpec): string {
  return `${heads}x${keyDim}x${valueDim}`;
}
