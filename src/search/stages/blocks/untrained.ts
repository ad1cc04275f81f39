import { pathOf, replacedLayers } from '../../judge/judge.ts';
import { BranchWeights } from '../../network/branches.ts';
import { hybridOf } from '../../network/hybrid.ts';
import type { BlockSpec } from '../../network/linear-mixer.ts';
import type { Network } from '../../network/network.ts';
import type { Placement } from '../placement/searcher.ts';

/**
 * A hybrid as a search starts it, for measuring times, which do not depend on the weights.
 *
 * @param network the parent, which gets the branches
 */
export function untrainedHybrid(network: Network, placement: Placement, spec: BlockSpec) {
  const layers = replacedLayers(placement, network.branches.length);
  if (layers.length > 0) {
    const branches = new BranchWeights(network, layers, spec);
    branches.initialise(1);
    branches.attach();
  }
  return hybridOf(network, pathOf(placement, network.branches.length));
}
