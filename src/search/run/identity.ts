import { openCheckpoint } from '../../model/checkpoint.ts';
import { identityOf } from '../../util/remember.ts';
import { Network } from '../network/network.ts';
import type { Recipe } from '../recipe.ts';
import { dataHash } from '../train/settings.ts';
import type { RunContext } from './context.ts';
import { STAGES, type StageName } from './stage.ts';

/**
 * For each stage a hash of all that its result depends on: the model, the data, the tasks, the recipe up to the stage.
 * Where files lie makes no difference: what is in them counts. Nor do threads and the device: states resume on any.
 */
export function stageIdentity({
  recipe,
  model,
  batches,
  tasks,
  freshTasks,
}: RunContext): (name: StageName) => string {
  const { config, weights, generation } = openCheckpoint(model);
  const parent = new Network(config, weights).fingerprint();
  const parts: Record<string, unknown> = { ...recipe, final: recipe.final && placeless(recipe.final) };
  const { model: _, data: __, heldOut: ___, device: ____, ...own } = recipe;
  const common = Object.entries(own).filter(([key]) => !STAGES.includes(key as StageName));
  const data = dataHash(batches, recipe.length);
  return (name) => {
    const upTo = STAGES.slice(0, STAGES.indexOf(name) + 1).map((each) => parts[each]);
    return identityOf(parent, generation, data, common, upTo, tasks, freshTasks);
  };
}

/** What a final training depends on: the content of the hybrid, not its place, and whether there is a cache, not where. */
function placeless({ hybrid, cacheLogits, cacheLimit: _, ...final }: NonNullable<Recipe['final']>) {
  const given = hybrid === undefined ? undefined : openCheckpoint(hybrid);
  return {
    ...final,
    ...(given && { hybrid: [new Network(given.config, given.weights).fingerprint(), given.generation] }),
    cached: cacheLogits !== undefined,
  };
}
