import type { Device } from '../../graph/index.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { resolveModel } from '../../model/hub.ts';
import type { OnProgress } from '../../util/progress.ts';
import { dataOf, unseenTasks } from '../data.ts';
import type { Recipe } from '../recipe.ts';
import { checkRun } from './check.ts';
import type { RunContext } from './context.ts';
import { preparedRecipe } from './prepared-recipe.ts';

/** How and where a recipe is run. */
export interface RunSettings {
  /** Folder of the run. */
  out: string;
  /** ONNX Runtime's; all cores unless told. */
  threads?: number;
  /** The recipe's unless told. */
  device?: Device;
  /** What repeats the run, to be kept with its result. */
  command?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * Gets what a recipe names: the models, from the Hub if need be, the text and the tasks.
 *
 * @throws InputError for what is not there, and for a recipe that the model does not allow
 */
export async function prepareRun(
  recipe: Recipe,
  { out, threads = 0, device = recipe.device, command, onProgress, signal }: RunSettings,
): Promise<RunContext> {
  const fetching = { onProgress, signal };
  const model = await resolveModel(recipe.model, fetching);
  const { final } = recipe;
  const hybrid = final?.hybrid === undefined ? undefined : await resolveModel(final.hybrid, fetching);
  const options = {
    ...recipe,
    task: recipe.tasks,
    validated: final !== undefined,
    answersOnly: final?.answersOnly,
  };
  const { batches, heldOut, tasks, texts } = await dataOf(model, options, fetching);
  const unseen = (examples: number) => unseenTasks(model, options, { examples }, { ...fetching, texts });
  const freshTasks = await unseen(recipe.examples);
  const more = final && final.examples !== recipe.examples;
  const { config } = openCheckpoint(model);
  const context: RunContext = {
    recipe: {
      ...preparedRecipe({ ...recipe, ...(hybrid !== undefined && { final: { ...final!, hybrid } }) }, config),
      tasks: recipe.tasks ?? tasks.map(({ plan, metric }) => `${plan.name}:${metric}`),
    },
    model,
    config,
    out,
    batches,
    heldOut,
    tasks,
    freshTasks,
    finalTasks: more ? await unseen(final.examples) : freshTasks,
    threads,
    device,
    command,
    onProgress,
    signal: signal ?? new AbortController().signal,
  };
  checkRun(context);
  return context;
}
