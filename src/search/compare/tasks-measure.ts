import type { Engine } from '../../runtime/engine.ts';
import { EngineScorer } from '../../tasks/engine-scorer.ts';
import { type Plan, scorePlan } from '../../tasks/harness.ts';
import type { OnProgress } from '../../util/progress.ts';
import { average, wilson } from '../../util/statistics.ts';
import type { TaskFound } from './result.ts';

/** Tasks as any evaluation has them, with what guessing gives, so that shares of an ability can be told. */

export type TaskScored = Omit<TaskFound, 'share'>;

export async function measureTask(
  engine: Engine,
  plan: Plan,
  { onProgress, signal }: { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined },
): Promise<TaskScored> {
  const { name, examples, accuracy, goldLoss } = await scorePlan(new EngineScorer(engine), plan, {
    ...(onProgress && { onProgress: (event) => onProgress({ ...event, stage: `task ${plan.name}` }) }),
    ...(signal && { signal }),
  });
  return { name, examples, accuracy, interval: wilson(accuracy, examples), chance: chanceOf(plan), goldLoss };
}

/** Accuracy of guessing: one of the options, and nothing where an answer has to be written. */
export function chanceOf({ examples }: Plan): number {
  return average(examples.map(({ slots, gold }) => (gold === undefined ? 0 : 1 / slots.length)));
}

/** Of what the parent has above guessing; null where it has nothing that its own interval does not hold. */
export function withShare(scored: TaskScored, parent: TaskScored): TaskFound {
  const above = parent.accuracy - parent.chance;
  const able = parent.interval[0] > parent.chance && above > 0;
  return { ...scored, share: able ? (scored.accuracy - scored.chance) / above : null };
}
