import { attentionSpec } from '../../mixers/head-attention.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { Path } from '../judge/scorer.ts';
import type { Network } from '../network/network.ts';
import type { Unit } from '../reach/assemble.ts';
import type { Placement } from '../stages/placement/searcher.ts';

/** Where full attention is kept or not, and how a network takes a placement. */

type Shape = Pick<ModelConfig, 'layers' | 'numKvHeads'>;

/** Every layer with all its KV heads. */
export function layerPlaces({ layers, numKvHeads }: Shape): Unit[] {
  return layers.map((_, layer) => ({ layer, heads: headsUpTo(numKvHeads) }));
}

/** Every KV head of every layer. */
export function headPlaces({ layers, numKvHeads }: Shape): Unit[] {
  return layers.flatMap((_, layer) => headsUpTo(numKvHeads).map((head) => ({ layer, heads: [head] })));
}

/**
 * Gives each layer of a parent branches with windows, all of the parent's own weights: for each set of its places that may be
 * kept there one whose other heads see a window and the first tokens of the text.
 *
 * @returns the path of a placement
 */
export function addWindows(
  network: Network,
  places: readonly Unit[],
  reach: { window: number; sinks: number },
): (placement: Placement) => Path {
  const branchOf = network.branches.map((branches, layer) => {
    const own = places.filter((place) => place.layer === layer);
    const numbers = new Map<string, number>();
    for (let set = 0; set < 2 ** own.length; set++) {
      const heads = own.filter((_, i) => set & (1 << i)).flatMap((place) => place.heads);
      const spec = attentionSpec(heads, network.config, reach);
      const number =
        spec.kind === 'attention' ? 0 : network.addBranch(layer, { spec, weights: branches[0]!.weights });
      numbers.set(keyOf(heads), number);
    }
    return numbers;
  });
  return (placement) => {
    const heads = network.branches.map((): number[] => []);
    for (const place of placement) heads[places[place]!.layer]!.push(...places[place]!.heads);
    return heads.map((own, layer) => branchOf[layer]!.get(keyOf(own))!);
  };
}

const keyOf = (heads: readonly number[]) => [...heads].sort((a, b) => a - b).join();

function headsUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, head) => head);
}
