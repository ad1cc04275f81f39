import type { MixerSpec } from '../../mixers/spec.ts';
import { range } from '../../util/range.ts';
import type { Fields } from '../json-fields.ts';
import { attention, byTypes, type Family, llamaBiases, near } from './family.ts';

/** SmolLM3: layers without rotation, by a list or every fourth; in these a window where there is one. */
function smolLm3Layers(fields: Fields, count: number): MixerSpec[] {
  const every = fields.integer('no_rope_layer_interval', 4, 0);
  const listed = fields.has('no_rope_layers') ? fields.list('no_rope_layers') : undefined;
  if (listed && (listed.length !== count || listed.some((each) => each !== 0 && each !== 1))) {
    throw fields.wrong('no_rope_layers', `${count} times 1 (rotated) or 0`);
  }
  const isRotated = (layer: number) => (listed ? listed[layer] === 1 : (layer + 1) % every !== 0);
  const windowed = fields.boolean('use_sliding_window', false) && fields.has('sliding_window');
  const window = windowed ? fields.integer('sliding_window') : 0;
  const types = fields.has('layer_types')
    ? byTypes(fields, count, window)
    : range(count).map((layer) => (windowed && !isRotated(layer) ? near(window) : attention));
  if (!windowed && types.some(({ kind }) => kind !== 'attention')) {
    throw fields.wrong('layer_types', "'full_attention' alone where use_sliding_window gives no window");
  }
  return types.map((spec, layer) => (isRotated(layer) ? spec : { ...spec, noRope: true }));
}

export const smollm3: Family = {
  ...{ maxPositions: 32768, ropeTheta: 2e6, tieWordEmbeddings: true, numKvHeads: 4 },
  reads: ['no_rope_layer_interval'],
  biases: llamaBiases,
  layers: smolLm3Layers,
};
