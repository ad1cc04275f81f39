import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import type { z } from 'zod';
import { namesFiles } from '../tasks/corpus/names.ts';
import { InputError } from '../util/errors.ts';
import { issuesError } from '../util/schema.ts';
import { systemMeaning } from '../util/system-errors.ts';
import { layersOf } from './read-placement.ts';
import { type Recipe, type RecipeInput, recipeSchemas } from './recipe.ts';

/** Bytes of a recipe's file: more is another file. */
const LARGEST = 1e6;

/**
 * Reads a recipe and fills in the defaults. Files that it names are looked for beside it first.
 *
 * @throws InputError naming the file, the field and what was expected there
 */
export function readRecipe(path: string): Recipe {
  let json: unknown;
  try {
    const { size } = statSync(path);
    if (size > LARGEST) throw new Error(`it has ${size} bytes, a recipe has at most ${LARGEST}`);
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new InputError(
      `cannot read the recipe ${path}: ${systemMeaning(error) ?? (error as Error).message}`,
    );
  }
  const found = (file: string) => {
    const beside = resolve(dirname(path), file);
    if (!existsSync(beside) && !namesFiles(beside)) return file;
    const below = relative(process.cwd(), beside);
    return below.startsWith('..') ? beside : below;
  };
  return withNames(checked(json, `${path} is no recipe`, found), found);
}

/**
 * A recipe as it is to stand in a file: what it names in the working folder is named as seen from that file, where something
 * else of this name may be, or come to be.
 */
export function recipeIn(path: string, recipe: Recipe): Recipe {
  return withNames(recipe, (name) => {
    const isHere = name !== 'world' && !isAbsolute(name) && (existsSync(name) || namesFiles(name));
    return isHere ? relative(resolve(dirname(path)), resolve(name)) : name;
  });
}

/** Gives what a recipe names other names. */
function withNames(
  { data, heldOut, dataDir, final, ...recipe }: Recipe,
  found: (name: string) => string,
): Recipe {
  const all = (names: string | readonly string[]) =>
    typeof names === 'string' ? found(names) : names.map(found);
  return {
    ...recipe,
    model: found(recipe.model),
    ...(data && { data: all(data) }),
    ...(heldOut && { heldOut: all(heldOut) }),
    ...(dataDir !== undefined && { dataDir: found(dataDir) }),
    ...(final && { final: { ...final, ...(final.hybrid && { hybrid: found(final.hybrid) }) } }),
  };
}

/**
 * A recipe of settings, defaults filled in. Files are looked for in the working folder.
 *
 * @throws InputError naming the field and what was expected there
 */
export function recipeOf(settings: RecipeInput): Recipe {
  return checked(settings, 'these settings cannot be', (file) => file);
}

function checked(value: unknown, wrong: string, found: (file: string) => string): Recipe {
  const { placement } = (value ?? {}) as { placement?: unknown };
  const isGiven = typeof placement === 'object' && placement !== null && 'layers' in placement;
  const schema = recipeSchemas[isGiven ? 'given' : 'searched'];
  const read = schema.safeParse(isGiven ? withLayers(value as { placement: object }, found) : value);
  const issues = read.success ? conflicts(read.data) : read.error.issues;
  if (read.success && issues.length === 0) {
    const { $schema: _, ...recipe } = read.data;
    return recipe;
  }
  throw issuesError(wrong, issues, 'recipe');
}

/** The layers of a result in place of its file's name. */
function withLayers<V extends { placement: { layers?: unknown } }>(
  value: V,
  found: (file: string) => string,
) {
  const { layers } = value.placement;
  if (typeof layers !== 'string') return value;
  return { ...value, placement: { ...value.placement, layers: layersOf(found(layers)) } };
}

type Issue = Pick<z.core.$ZodIssue, 'path' | 'message'>;

/** What each stage needs of the others. */
function conflicts({ placement, mlps, blocks, design, dimensions, windows, final }: Recipe): Issue[] {
  const issues: Issue[] = [];
  const refuse = (at: string, message: string) => issues.push({ path: at.split('.'), message });
  const compared = blocks ?? design ?? dimensions;
  if (final?.hybrid !== undefined) {
    if (placement ?? mlps ?? compared ?? windows) {
      refuse('final.hybrid', 'this model is trained as it is: expected no stage before the final one');
    }
    return issues;
  }
  if (!placement) {
    refuse(
      'placement',
      'is missing: expected {"budget": 2} to search it, {"layers": [1, 3]} where it is known',
    );
  } else if ('layers' in placement) {
    if (mlps) refuse('mlps', 'compares placements of a search: expected a placement that is searched');
    const needing = windows ? 'windows' : final && 'final';
    if (needing && !compared) {
      refuse(
        needing,
        'needs trained blocks: expected blocks, design or dimensions beside a placement that is given',
      );
    }
    if (!(compared ?? needing))
      refuse('recipe', 'has no stage: expected one beside the placement that is given');
  }
  return issues;
}
