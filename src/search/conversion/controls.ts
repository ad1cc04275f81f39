import { attentionSpec } from '../../mixers/head-attention.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import type { Checkpoint } from '../../model/checkpoint.ts';
import { bytesOf, cutToBytes } from '../compare/subjects.ts';
import { placementSpecs } from '../reach/placement.ts';
import type { PlacedReach, ReachResult } from '../reach/result.ts';

/** What a trained hybrid is compared with, trained alike: it might have been the training that did it, or the bytes. */
export interface Control {
  /** Of its folder, too. */
  name: string;
  student: Checkpoint;
  /** It is the parent itself. */
  parent?: boolean;
}

/**
 * The parent; whole layers evenly spread and random heads within the same budget; and windows alone, of as many bytes as the
 * hybrid takes at the context.
 */
export function controlsOf(
  parent: Checkpoint,
  { placements, context, sinks }: Pick<ReachResult, 'placements' | 'context' | 'sinks'>,
  chosen: PlacedReach,
): { controls: Control[]; skipped: { name: string; why: string }[] } {
  const placed = (layers: MixerSpec[]): Checkpoint => ({ ...parent, config: { ...parent.config, layers } });
  const skipped: { name: string; why: string }[] = [];
  const of = (how: PlacedReach['how'], name: string, why: string): Control[] => {
    const found = placements.find((each) => each.how === how && each.budget === chosen.budget);
    if (found) return [{ name, student: placed(placementSpecs(found.layers, parent.config)) }];
    skipped.push({ name, why });
    return [];
  };
  const tokens = Math.min(context, parent.config.maxPositionEmbeddings);
  const bytes = bytesOf(placed(placementSpecs(chosen.layers, parent.config)).config, tokens);
  const window = cutToBytes(parent.config, bytes, tokens);
  const alone: Control[] = [];
  if (window === null)
    skipped.push({ name: 'windows-trained', why: 'windows of as many bytes would hold the whole text' });
  else {
    const layers = parent.config.layers.map(() => attentionSpec([], parent.config, { window, sinks }));
    alone.push({ name: `windows-${window}-trained`, student: placed(layers) });
  }
  const controls = [
    { name: 'parent-trained', student: parent, parent: true },
    ...of('uniform', 'uniform-trained', 'no whole layer of heads fits the budget'),
    ...of('random', 'random-trained', 'the search drew no random heads for the budget'),
    ...alone,
  ];
  return { controls, skipped };
}
