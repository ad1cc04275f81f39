import { z } from 'zod';
import { isObject, type JsonObject } from '../model/json-fields.ts';
import { date, fields, number, text } from '../util/schema.ts';
import type { Recipe } from './recipe.ts';
import { cost, type Frame, modelSchema, placement } from './result-fields.ts';
import { blocksSchema } from './stages/blocks/result.ts';
import { finalSchema } from './stages/final/result.ts';
import { mlpsSchema } from './stages/mlps-result.ts';
import { placementSchema } from './stages/placement/result.ts';
import { throughputSchema } from './stages/throughput-result.ts';
import { windowsSchema } from './stages/windows-result.ts';

/**
 * What a run of a recipe found, as the JSON file that the report reads: a search alone, a comparison of blocks alone and all
 * stages of PostNAS are the same kind of file, with the parts of the stages that were done. Plain data.
 */
export const RESULT_FORMAT = 'postnas-result-2';

/**
 * A recipe is kept as it was run. Those of earlier versions may have had other fields, and mixers from outside need not be
 * registered where a result is only shown: what the report does not need is not looked at.
 */
export const recipePart = z
  .record(z.string(), z.unknown(), { error: 'an object' })
  .superRefine((own, context) => {
    const slack = isObject(own.dimensions) ? own.dimensions.slack : undefined;
    if (slack !== undefined && !number().safeParse(slack).success) {
      context.addIssue({ code: 'custom', path: ['dimensions', 'slack'], message: 'a number' });
    }
  }) as unknown as z.ZodType<Recipe>;

/** What stands in every result, beside the parts of its stages. */
export const about = {
  command: text().optional().describe('the command line that repeats the run'),
  created: date().describe('ISO 8601'),
};

export const machinePart = fields({ processor: text(), cores: number(), node: text(), onnxruntime: text() });

export const costOfAll = {
  seconds: cost.seconds.describe('of everything, those of earlier processes included'),
  tokens: cost.tokens.describe('of everything'),
};

/** The layers of a model, as far as they can be read: what is wrong with it is told by its schema. */
export function layersIn(model: unknown): number {
  const known = isObject(model) && Number.isSafeInteger(model.layers);
  return known ? (model.layers as number) : Number.MAX_SAFE_INTEGER;
}

/** The names of the tasks that a part was judged by, as far as they can be read. */
export function tasksIn(part: unknown): string[] {
  const objective = isObject(part) && Array.isArray(part.objective) ? part.objective : [];
  return objective.flatMap((entry) =>
    isObject(entry) && typeof entry.task === 'string' ? [entry.task] : [],
  );
}

/** The parts that stages of a run leave, in the order of the stages. */
export function partsOf(json: JsonObject, layers: number) {
  const frame = (part: unknown): Frame => ({ layers, tasks: tasksIn(part) });
  return {
    placement: placementSchema(frame(json.placement))
      .optional()
      .describe('stage 1: where full attention must stay'),
    chosen: fields({ placement: placement({ layers }), rule: text() })
      .optional()
      .describe(
        'the layers that keep it from here on, one placement for all seeds, and the rule that took it, in words',
      ),
    blocks: blocksSchema(frame(json.blocks)).optional().describe('stage 2: which block replaces attention'),
    design: blocksSchema(frame(json.design)).optional().describe('stage 3: how a JetBlock is built'),
    dimensions: blocksSchema(frame(json.dimensions))
      .optional()
      .describe('stage 4: heads and widths at a fixed size of the state'),
    throughput: throughputSchema()
      .optional()
      .describe('what decoding depends on: hybrids with random weights, timed in turns'),
    windows: windowsSchema(frame(json.windows))
      .optional()
      .describe(
        'sliding windows in layers that have lost their full attention, by another objective than that kept it',
      ),
    final: finalSchema(frame(json.final))
      .optional()
      .describe(
        'distillation of the chosen architecture, judged on examples that no stage of the search has seen',
      ),
    mlps: mlpsSchema(frame(json.placement))
      .optional()
      .describe('whether freezing the MLPs changes which placements are good'),
  };
}

/** The schema of a result, which depends on the model's layers and on the tasks that `json`, what is to be read, names. */
export function resultSchema(json: JsonObject) {
  return fields({
    format: z.literal(RESULT_FORMAT),
    recipe: recipePart.optional().describe('the recipe as it was run, defaults filled in'),
    ...about,
    machine: machinePart.optional().describe('what rates were measured on'),
    model: modelSchema,
    ...partsOf(json, layersIn(json.model)),
    hybrid: text()
      .optional()
      .describe('folder of the model that the last of these stages has left, by the first seed'),
    ...costOfAll,
  });
}

export type Result = z.infer<ReturnType<typeof resultSchema>>;
