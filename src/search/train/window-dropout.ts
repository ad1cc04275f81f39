import { float32, type Value } from '../../graph/index.ts';
import { mixerOf } from '../../mixers/registry.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import type { Random } from '../../util/random.ts';

/**
 * Window dropout: where a layer has a linear mixer beside its window, the window already does most of what is asked, and the
 * other learns little. So while it is trained the windows of a share of the rows are left out, and there it is alone
 * (arXiv 2510.05901). The share falls to none over the steps, as nothing is left out where the model is used.
 */

/** The share of rows when so much of a training is over, from 0 to 1. */
export function shareAt(share: number, part: number): number {
  return share * (1 - part);
}

/**
 * Draws of which rows the window counts, layer by layer: 1, or 0 where it is left out, [B] each. Only layers that have a
 * linear mixer beside their window are there.
 *
 * @param share of the rows whose window is left out; of 0 nothing is drawn
 */
export function keptWindows(
  layers: readonly MixerSpec[],
  batch: number,
  share: number,
  random: Random,
): Map<number, Value> {
  const kept = new Map<number, Value>();
  if (share <= 0) return kept;
  for (const [layer, spec] of layers.entries()) {
    if (!mixerOf(spec).beside) continue;
    const rows = Float32Array.from({ length: batch }, () => (random.uniform() < share ? 0 : 1));
    kept.set(layer, float32(rows, [batch]));
  }
  return kept;
}
