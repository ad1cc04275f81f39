import {
  add,
  arange,
  cast,
  type Dim,
  dimension,
  max,
  mul,
  mulDims,
  reshape,
  slice,
  type Tensor,
  take,
} from '../graph/index.ts';
import type { MixerInput } from './mixer.ts';

/** What padding means for states that hold the newest tokens: those at the end, whatever padding follows. */

/** The mask as `newestPlaces` needs it: not at all where the last places are the newest. */
export function trailing({ mask, paddedLeft }: Pick<MixerInput, 'mask' | 'paddedLeft'>): Tensor | undefined {
  return paddedLeft ? undefined : mask;
}

/**
 * The newest `count` places of x [B, M, count + T, W], which holds `count` earlier places and then T new ones:
 * [B, M, count, W]. Places after the last token of a sequence are left out, so that padding on the right changes
 * nothing.
 *
 * @param mask 1 for a token, 0 for padding [B, T]; all tokens when absent
 */
export function newestPlaces(x: Tensor, count: number, mask?: Tensor): Tensor {
  if (!mask) return slice(x, 2, -count);
  const [B, M, S, W] = x.shape as [Dim, Dim, Dim, Dim];
  const T = mask.shape[1]!;
  // Per sequence, how many of the new places there are up to its last token.
  const ordinals = add(arange(T, 'float32'), 1);
  const used = reshape(cast(max(mul(mask, ordinals), 1), 'int64'), [B, 1, 1]);
  const column = (size: Dim, shape: readonly Dim[]) => reshape(arange(size), shape);
  const rows = mul(
    add(mul(column(B, [B, 1, 1]), dimension(M, 'int64')), column(M, [1, M, 1])),
    dimension(S, 'int64'),
  );
  const places = add(add(rows, used), column(count, [1, 1, count]));
  return take(reshape(x, [mulDims(mulDims(B, M), S), W]), places);
}
