import { openCheckpoint } from '../../model/checkpoint.ts';
import { Network } from '../network/network.ts';
import { chosenBlock, comparison } from '../stages/blocks/stages.ts';
import { trainedNetwork } from '../stages/blocks/trial.ts';
import { keptLayers } from '../stages/placement/agreed.ts';
import { searchSettings } from '../stages/placement/stage.ts';
import { searchIdentity, trainedBranches } from '../stages/placement/trained-branches.ts';
import type { RunContext } from './context.ts';
import type { Findings, Unit } from './stage.ts';

/**
 * The network of a seed in which the chosen block stands trained beside the attention of every layer that loses it:
 * from the last comparison of blocks, or the super network where there was none.
 */
export async function chosenNetwork(
  context: RunContext,
  findings: Findings,
  seed: number,
  control: Parameters<Unit['run']>[0],
): Promise<{ network: Network; placement: number[] }> {
  const placement = keptLayers(context, findings);
  const chosen = chosenBlock(findings);
  if (chosen) {
    const settings = comparison(chosen.stage, context, findings)!;
    const { network } = await trainedNetwork({ ...settings, ...control }, chosen.candidate, seed);
    return { network, placement };
  }
  const { config, weights } = openCheckpoint(context.model);
  const network = new Network(config, weights);
  // A recipe whose placement is given has a comparison (read-recipe.ts).
  const settings = searchSettings(context)!;
  const fingerprint = searchIdentity(settings, network);
  await trainedBranches({ ...settings, ...control }, network, seed, { fingerprint });
  return { network, placement };
}
