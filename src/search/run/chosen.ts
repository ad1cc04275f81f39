import { openCheckpoint } from '../../model/checkpoint.ts';
import { trainedNetwork } from '../blocks/trial.ts';
import { Network } from '../network.ts';
import { searchIdentity, superNetwork } from '../super-network.ts';
import { chosenBlock, comparison } from './block-stages.ts';
import type { RunContext } from './context.ts';
import { agreedPlacement, placementSettings } from './placement-stage.ts';
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
  const placement = agreedPlacement(findings.placement!);
  const chosen = chosenBlock(findings);
  if (chosen) {
    const settings = comparison(chosen.stage, context, findings)!;
    const { network } = await trainedNetwork({ ...settings, ...control }, chosen.candidate, seed);
    return { network, placement };
  }
  const { config, weights } = openCheckpoint(context.model);
  const network = new Network(config, weights);
  const settings = placementSettings(context);
  const fingerprint = searchIdentity(settings, network);
  await superNetwork({ ...settings, ...control }, network, seed, { fingerprint });
  return { network, placement };
}
