import { openCheckpoint } from '../../model/checkpoint.ts';
import { align, BranchWeights } from '../align.ts';
import { Network } from '../network.ts';
import { scheduleOf } from '../settings.ts';
import { trainSupernet } from '../supernet.ts';
import type { RunContext } from './context.ts';
import { placementSettings } from './placement-stage.ts';
import { type PlannedStage, planOf } from './plan.ts';

export interface Estimate {
  stages: (PlannedStage & { seconds: number })[];
  tokens: number;
  /** Of the whole, with this many units side by side; judging and timing not counted. */
  seconds: number;
}

/** Steps that are timed after a first one that compiles. */
const STEPS = 2;

/**
 * What a run will take on this machine: tokens by the recipe, seconds by a few steps of both kinds of training with
 * the first mixer.
 *
 * @param jobs units done side by side, each with its threads
 */
export async function estimateRun(context: RunContext, jobs: number): Promise<Estimate> {
  const { config, weights } = openCheckpoint(context.model);
  const network = new Network(config, weights);
  const settings = placementSettings(context);
  const { batches, mixer, threads, device } = settings;
  const { signal } = context;
  const branches = new BranchWeights(
    network,
    network.branches.map((_, layer) => layer),
    mixer,
  );
  branches.initialise(0);
  const rateOf = async (tokens: number, run: (onProgress: () => void) => Promise<unknown>) => {
    const ends: number[] = [];
    await run(() => ends.push(performance.now()));
    return (STEPS * tokens) / ((ends.at(-1)! - ends[0]!) / 1000);
  };
  const shared = { branches, batches, threads, device, signal, seed: 0 };
  const shape = { ...settings.align, steps: STEPS + 1 };
  const tokens = shape.batch * shape.length;
  const aligned = await rateOf(tokens, (onProgress) =>
    align({ ...shared, shape, schedule: scheduleOf(shape), onProgress }),
  );
  branches.attach();
  const path = network.branches.map(() => 1);
  const trained = await rateOf(tokens, (onProgress) =>
    trainSupernet({
      ...shared,
      shape,
      sampling: { rule: 'fixed', path },
      schedule: scheduleOf(shape),
      onProgress,
    }),
  );
  const stages = planOf(context.recipe, config).map((stage) => ({
    ...stage,
    seconds: (stage.aligned / aligned + stage.trained / trained) / jobs,
  }));
  return {
    stages,
    tokens: stages.reduce((sum, stage) => sum + stage.aligned + stage.trained, 0),
    seconds: stages.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}
