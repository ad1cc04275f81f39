import type { Device } from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { fullName } from '../../tasks/named-task.ts';
import type { Metric, ObjectiveTask } from '../../tasks/objective.ts';
import type { TrainingData } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { PreparedRecipe, Recipe } from '../recipe.ts';
import type { TrainingSettings } from '../train/settings.ts';

/** What every stage of a run is given. */
export interface RunContext {
  recipe: PreparedRecipe;
  /** Folder of the parent model. */
  model: string;
  config: ModelConfig;
  /** Folder of the run, with a folder per stage. */
  out: string;
  batches: TrainingData;
  /** Text that is neither trained nor reported on, where there is some: the final training is measured on it. */
  heldOut?: TrainingData | undefined;
  /** What the search is judged on. */
  tasks: readonly ObjectiveTask[];
  /** The same tasks with examples that nothing is chosen on: what is found is compared and reported on these. */
  freshTasks: readonly ObjectiveTask[];
  /** The same, with as many examples as the final judgement wants: what stage 1 found does not hang on that. */
  finalTasks: readonly ObjectiveTask[];
  threads?: number;
  /** Where it is trained and judged; the CPU unless told. */
  device?: Device;
  /** What repeats the run, to be kept with its result. */
  command?: string;
  onProgress?: OnProgress;
  signal: AbortSignal;
}

/**
 * The tasks, of which only the named ones count in the score; all when none are named. A name may say by which metric:
 * `choice:loss`.
 *
 * @throws InputError for names of no task
 */
export function ledBy(
  tasks: readonly ObjectiveTask[],
  names: readonly string[] | undefined,
): ObjectiveTask[] {
  if (!names) return [...tasks];
  const wanted = new Map(
    names.map((text): [string, Metric | undefined] => {
      const [name, metric] = text.split(':') as [string, Metric?];
      return [fullName(name), metric];
    }),
  );
  const known = tasks.map(({ plan }) => plan.name);
  const unknown = [...wanted.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InputError(`the objective '${unknown}' is none of the recipe's tasks: ${known.join(', ')}`);
  }
  return tasks.map((task) => {
    const { name } = task.plan;
    return wanted.has(name)
      ? { ...task, metric: wanted.get(name) ?? task.metric }
      : { ...task, guides: false };
  });
}

/** A stage of training in the recipe's shape of batches unless it has its own. */
export function training(
  { rows, length }: Pick<Recipe, 'rows' | 'length'>,
  own: { rows?: number | undefined; length?: number | undefined },
  steps: number,
  rate: number,
): TrainingSettings {
  return { batch: own.rows ?? rows, length: own.length ?? length, steps, rate };
}
