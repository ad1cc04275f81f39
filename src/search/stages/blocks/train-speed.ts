import type { TokenBatches } from '../../../train/batches.ts';
import { pathOf, replacedLayers } from '../../judge/judge.ts';
import { BranchWeights } from '../../network/branches.ts';
import type { BlockSpec } from '../../network/linear-mixer.ts';
import type { Network } from '../../network/network.ts';
import { scheduleOf, type TrainingSettings, tokensOf } from '../../train/settings.ts';
import { trainSuperNetwork } from '../../train/super-network.ts';
import type { Placement } from '../placement/searcher.ts';

/** Steps that are timed, after one that compiles. */
const TIMED_STEPS = 2;

/**
 * Tokens per second of feature distillation of a hybrid with this block: forwards, backwards and optimiser.
 *
 * @param network the parent, which gets the branches
 */
export async function measureTraining(
  network: Network,
  placement: Placement,
  spec: BlockSpec,
  {
    batches,
    train,
    threads,
    signal,
  }: { batches: TokenBatches; train: TrainingSettings; threads?: number; signal?: AbortSignal },
): Promise<number> {
  const layers = replacedLayers(placement, network.branches.length);
  const branches = new BranchWeights(network, layers, spec);
  branches.initialise(1);
  branches.attach();
  const timed = { ...train, steps: TIMED_STEPS + 1 };
  const ends: number[] = [];
  await trainSuperNetwork({
    branches,
    batches,
    shape: timed,
    sampling: { rule: 'fixed', path: pathOf(placement, network.branches.length) },
    schedule: scheduleOf(timed),
    seed: 1,
    threads,
    signal,
    // Only a whole step has a loss.
    onProgress: ({ values }) => values && ends.push(performance.now()),
  });
  return tokensOf({ ...timed, steps: TIMED_STEPS }) / ((ends.at(-1)! - ends[0]!) / 1000);
}
