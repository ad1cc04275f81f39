/** Pages and schema of recipes and results are what the code reads. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { documents } from '../scripts/docs-schemas.ts';
import { readRecipe } from '../src/search/read-recipe.ts';
import { recipeSchemas } from '../src/search/recipe.ts';

const root = resolve(import.meta.dirname, '..');
const json = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'));

test.each([...documents()])('%s is up to date', (path, text) => {
  // If not: npm run docs:schemas
  expect(readFileSync(join(root, path), 'utf8')).toBe(text);
});

test('every field of a recipe is described', () => {
  const page = readFileSync(join(root, 'docs/recipe.md'), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  expect(rows.length).toBeGreaterThan(60);
  expect(rows.filter((row) => /\|\s+\|$/.test(row))).toEqual([]);
  for (const name of Object.keys(recipeSchemas.searched.shape)) expect(page).toContain(`\`${name}\``);
});

describe('the JSON Schema of recipes', () => {
  const check = new Ajv2020({ strict: false }).compile(json('recipes/schema/recipe.json'));
  const names = readdirSync(join(root, 'recipes')).filter((name) => name.endsWith('.json'));

  test.each(names)('allows %s, which names it', (name) => {
    const recipe = json(`recipes/${name}`);
    expect(check(recipe), JSON.stringify(check.errors)).toBe(true);
    expect(recipe.$schema).toBe('./schema/recipe.json');
    expect(readRecipe(join(root, 'recipes', name))).not.toHaveProperty('$schema');
  });

  const small = { model: 'models/base', placement: { budget: 2 } };
  test.each<[string, object, boolean]>([
    ['a placement that is searched', small, true],
    ['one that is given', { ...small, placement: { layers: [1, 3] }, blocks: {} }, true],
    ['one of a result', { ...small, placement: { layers: 'runs/search/result.json' }, blocks: {} }, true],
    ['a misspelt field', { ...small, plaecment: {} }, false],
    ['a misspelt field of a stage', { ...small, blocks: { alignStep: 3 } }, false],
    ['rows beyond their bounds', { ...small, rows: 0 }, false],
    ['a rate of 0', { ...small, placement: { rate: 0 } }, false],
    ['no model', { placement: {} }, false],
    ['steps in words', { ...small, final: { allSteps: 'many' } }, false],
  ])('%s', (_, recipe, allowed) => {
    expect(check(recipe)).toBe(allowed);
  });
});
