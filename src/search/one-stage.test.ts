import { describe, expect, test } from 'vitest';
import {
  blocksRecipe,
  designRecipe,
  dimensionsRecipe,
  distillRecipe,
  type SharedSettings,
  searchRecipe,
} from './one-stage.ts';
import { recipeOf } from './read-recipe.ts';
import { type RecipeInput, sharedSchema } from './recipe.ts';

const shared: Required<SharedSettings> = {
  ...{ model: 'm', seeds: [3], device: 'webgpu', data: ['a.jsonl'], heldOut: 'b.txt', heldOutShare: 0.1 },
  ...{ field: 'body', rows: 3, length: 33, tasks: ['recall'], examples: 7, dataDir: 'sets', shots: 2 },
};
const compared = { ...shared, placement: [1] };

describe.each<[string, RecipeInput, object]>([
  ['search', searchRecipe({ ...shared, beam: 9 }), { placement: { beam: 9 } }],
  ['blocks', blocksRecipe({ ...compared, alignSteps: 9 }), { blocks: { alignSteps: 9 } }],
  ['design', designRecipe({ ...compared, trainSteps: 9 }), { design: { trainSteps: 9 } }],
  [
    'dimensions',
    dimensionsRecipe({ ...compared, mixer: 'gla', slack: 9 }),
    { dimensions: { slack: 9, throughput: false }, placement: { layers: [1], mixer: 'gla' } },
  ],
  [
    'distill',
    distillRecipe({ ...shared, hybrid: 'h', allSteps: 9 }),
    { final: { hybrid: 'h', allSteps: 9 } },
  ],
])('%s', (_, made, own) => {
  test('whatever stages share stands at the top of the recipe, what is left in the stage', () => {
    const names = Object.keys(sharedSchema.shape).filter((name) => name !== '$schema');
    expect(names.sort()).toEqual(Object.keys(shared).sort());
    expect(recipeOf(made)).toMatchObject({ ...shared, ...own });
  });
});

test('decoding is timed where the model is trained, unless it is told where', () => {
  expect(recipeOf(blocksRecipe(compared)).decode.device).toBe('webgpu');
  const decode = { device: 'cpu' as const, rounds: 2 };
  expect(recipeOf(blocksRecipe({ ...compared, decode })).decode).toMatchObject(decode);
  expect(recipeOf(distillRecipe({ ...shared, hybrid: 'h' })).decode.device).toBe('webgpu');
});

test('a distillation is judged on as many examples as it is told', () => {
  expect(recipeOf(distillRecipe({ ...shared, hybrid: 'h' })).final!.examples).toBe(7);
  const { examples: _, ...less } = shared;
  expect(recipeOf(distillRecipe({ ...less, hybrid: 'h' }))).toMatchObject({
    examples: 256,
    final: { examples: 256 },
  });
});
