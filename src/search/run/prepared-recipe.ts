import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { defined } from '../../util/defined.ts';
import type { PreparedRecipe, Recipe } from '../recipe.ts';
import { finalDefaults } from '../stages/final/defaults.ts';
import { tokensOf } from '../train/settings.ts';
import { training } from './context.ts';

/** A recipe with what its model, and the hybrid that it may name, decide: the final training where nothing is said of it. */
export function preparedRecipe(recipe: Recipe, config: ModelConfig): PreparedRecipe {
  const { final } = recipe;
  if (!final) return { ...recipe, final };
  const layers = final.hybrid === undefined ? undefined : openCheckpoint(final.hybrid).config.layers;
  const defaults = finalDefaults(config, layers, tokensOf(training(recipe, final, 1, 1)));
  return { ...recipe, final: { ...final, ...defaults, ...defined(final) } };
}
