import type { z } from 'zod';
import { isObject, type JsonObject } from '../model/json-fields.ts';
import { fields, oneOf } from '../util/schema.ts';
import {
  about,
  costOfAll,
  layersIn,
  machinePart,
  partsOf,
  RESULT_FORMAT,
  type Result,
  recipePart,
  tasksIn,
} from './result.ts';
import { modelSchema } from './result-fields.ts';
import { blocksSchema, comparedTokens } from './stages/blocks/result.ts';
import { placementSchema } from './stages/placement/result.ts';

/**
 * Results from before there was one format for all: a search, a comparison of blocks and a run of a recipe had one each. They
 * are read by the same schemas, at the places where the parts stood then, so that messages name the fields of the file.
 */

/** Reads a value by a schema. @throws InputError naming the file and the field */
export type Read = <S extends z.ZodType>(schema: S, json: JsonObject) => z.output<S>;

export const OLD_FORMATS: Record<string, (json: JsonObject, read: Read) => Result> = {
  'postnas-search-1': readSearch,
  'postnas-blocks-1': readBlocks,
  'postnas-run-1': readRun,
};

/** A part and what stands in every result, side by side. */
function readSearch(json: JsonObject, read: Read): Result {
  const { model, ...rest } = read(fields({ model: modelSchema, ...about }), json);
  const placement = read(placementSchema({ layers: model.layers, tasks: tasksIn(json) }), json);
  const { seconds, tokens } = placement;
  return { format: RESULT_FORMAT, ...rest, model, placement, seconds, tokens };
}

function readBlocks(json: JsonObject, read: Read): Result {
  const { stage } = read(fields({ stage: oneOf(['blocks', 'design', 'dimensions']) }), json);
  const { model, ...rest } = read(fields({ model: modelSchema, ...about }), json);
  const found = read(blocksSchema({ layers: model.layers, tasks: tasksIn(json) }), json);
  const { seconds } = found;
  return { format: RESULT_FORMAT, ...rest, model, [stage]: found, seconds, tokens: comparedTokens(found) };
}

/** All parts stood where they are, each with its own format, model and date. */
function readRun(json: JsonObject, read: Read): Result {
  const old = isObject(json.placement) ? json.placement : {};
  const parts = partsOf(withObjective(json, old), layersIn(old.model));
  const required = {
    recipe: recipePart,
    ...about,
    machine: machinePart,
    placement: fields({ model: modelSchema }),
  };
  const { placement, ...rest } = read(fields(required), json);
  const found = read(
    fields({
      ...parts,
      placement: parts.placement.unwrap(),
      chosen: parts.chosen.unwrap(),
      ...costOfAll,
    }),
    withObjective(json, old),
  );
  return { format: RESULT_FORMAT, ...rest, model: placement.model, ...found };
}

/** The final model was judged by the tasks of the placement. */
function withObjective(json: JsonObject, { objective }: JsonObject): JsonObject {
  return isObject(json.final) ? { ...json, final: { ...json.final, objective } } : json;
}
