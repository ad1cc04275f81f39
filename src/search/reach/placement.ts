import { attentionForm, attentionSpec } from '../../mixers/head-attention.ts';
import type { MixerContext, MixerSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import { range } from '../../util/range.ts';

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

/** Windows in all layers. */
export function windowed(
  { layers }: Pick<ModelConfig, 'layers'>,
  window: number,
  sinks: number,
): ReachPlacement {
  return layers.map(() => ({ fullHeads: [], window, sinks }));
}

/** The same with all heads seeing everything: the parent, whatever the windows. */
export function withAllHeads(
  placement: ReachPlacement,
  { numKvHeads }: Pick<MixerContext, 'numKvHeads'>,
): ReachPlacement {
  const fullHeads = range(numKvHeads);
  return placement.map((layer) => ({ ...layer, fullHeads }));
}

/** The mixers of a model of full attention whose heads see so far. */
export function placementSpecs(
  placement: ReachPlacement,
  config: Pick<ModelConfig, 'numKvHeads' | 'layers'>,
): MixerSpec[] {
  return placement.map(({ fullHeads, window, sinks }, layer) =>
    attentionSpec(fullHeads, config, { window, sinks, ...attentionForm(config.layers[layer]!) }),
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
