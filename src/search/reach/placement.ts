import { attentionSpec } from '../../mixers/head-attention.ts';
import type { MixerContext, MixerSpec } from '../../mixers/spec.ts';

/** How far each KV head of a model sees. */

/** Of one layer: some KV heads see everything, the others a window and the first tokens of the text. */
export interface LayerReach {
  /** KV heads that see all tokens, ascending. */
  fullHeads: readonly number[];
  /** Last tokens that the others see, the current one included. */
  window: number;
  /** First tokens of the text that they see. */
  sinks: number;
}

/** A layer's reach for each layer of a model. */
export type ReachPlacement = readonly LayerReach[];

/** The mixers of a model whose heads see so far. */
export function placementSpecs(
  placement: ReachPlacement,
  context: Pick<MixerContext, 'numKvHeads'>,
): MixerSpec[] {
  return placement.map(({ fullHeads, window, sinks }) =>
    attentionSpec(fullHeads, context, { window, sinks }),
  );
}

/** KV heads of all layers that see everything. */
export function fullHeadsOf(placement: ReachPlacement): number {
  return placement.reduce((sum, { fullHeads }) => sum + fullHeads.length, 0);
}

/** Its heads that see everything, as tables name them: '18.2 20.1'. */
export function shownPlacement(placement: ReachPlacement): string {
  return placement.flatMap(({ fullHeads }, layer) => fullHeads.map((head) => `${layer}.${head}`)).join(' ');
}
