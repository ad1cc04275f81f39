import type { Device } from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { TokenBatches } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { ObjectiveTask } from '../judge.ts';
import type { TrainingSettings } from '../settings.ts';
import type { Recipe } from './recipe.ts';

/** What every stage of a run is given. */
export interface RunContext {
  recipe: Recipe;
  /** Folder of the parent model. */
  model: string;
  config: ModelConfig;
  /** Folder of the run, with a folder per stage. */
  out: string;
  batches: TokenBatches;
  /** What the search is judged on. */
  tasks: readonly ObjectiveTask[];
  /** The same tasks with examples that no stage of the search has seen. */
  freshTasks: readonly ObjectiveTask[];
  threads?: number;
  /** Where it is trained and judged; the CPU unless told. */
  device?: Device;
  /** What repeats the run, to be kept with its result. */
  command?: string;
  onProgress?: OnProgress;
  signal: AbortSignal;
}

/** The tasks, of which only the named ones count in the score; all for none. @throws InputError for unknown names */
export function ledBy(
  tasks: readonly ObjectiveTask[],
  names: readonly string[] | undefined,
): ObjectiveTask[] {
  const known = tasks.map(({ plan }) => plan.name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InputError(`the objective '${unknown}' is none of the recipe's tasks: ${known.join(', ')}`);
  }
  return tasks.map((task) => (names && !names.includes(task.plan.name) ? { ...task, guides: false } : task));
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
