import type { MixerContext } from '../../mixers/spec.ts';
import { cacheBytes } from '../../runtime/kv/cache.ts';
import type { ReachPlacement } from './placement.ts';

/** What a placement costs at a context: bytes of a sequence by formula, milliseconds a token as measured. */

/** Milliseconds a token at the context, measured with an engine. Plain data. */
export interface ReachTimes {
  /** All but the layers' attention over what is kept: projections, MLPs, head. */
  fixed: number;
  /** A layer's attention, for each window: by the number of its KV heads that see everything, 0 to all of them. */
  layers: readonly { window: number; milliseconds: readonly number[] }[];
}

/** What a layer costs of which so many KV heads see everything and the others a window. */
export interface LayerCosts {
  bytes(fullHeads: number, window: number): number;
  milliseconds?(fullHeads: number, window: number): number | undefined;
  /** Milliseconds a token beside the layers. */
  fixed: number;
}

/**
 * As the engine keeps keys and values of a sequence of `tokens`: windows in float32; of heads that see everything full blocks in
 * 8 bits with factors (q8) or all in float32.
 */
export function layerCosts(
  { headDim, numKvHeads }: Pick<MixerContext, 'headDim' | 'numKvHeads'>,
  {
    tokens,
    sinks,
    cache,
    times,
  }: { tokens: number; sinks: number; cache: 'f32' | 'q8'; times?: ReachTimes | undefined },
): LayerCosts {
  const head = { heads: 1, width: headDim };
  const full = cacheBytes({ ...head, window: Number.POSITIVE_INFINITY }, tokens, cache);
  return {
    bytes: (fullHeads, window) =>
      fullHeads * full + (numKvHeads - fullHeads) * cacheBytes({ ...head, window, sinks }, tokens, 'f32'),
    ...(times && {
      milliseconds: (fullHeads: number, window: number) =>
        times.layers.find((entry) => entry.window === window)?.milliseconds[fullHeads],
    }),
    fixed: times?.fixed ?? 0,
  };
}

/** Of all layers; milliseconds where they were measured for all of the placement's windows. */
export function placementCost(
  placement: ReachPlacement,
  costs: LayerCosts,
): { bytes: number; milliseconds?: number } {
  let [bytes, milliseconds] = [0, costs.fixed];
  for (const { fullHeads, window } of placement) {
    bytes += costs.bytes(fullHeads.length, window);
    milliseconds += costs.milliseconds?.(fullHeads.length, window) ?? Number.NaN;
  }
  return { bytes, ...(Number.isFinite(milliseconds) && { milliseconds }) };
}
