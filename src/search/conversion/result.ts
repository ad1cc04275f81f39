import { z } from 'zod';
import { date, fields, filled, list, number, oneOf, text, whole } from '../../util/schema.ts';
import { compareSchema } from '../compare/result.ts';
import { reachSchema } from '../reach/result.ts';
import { machinePart } from '../result.ts';
import { curveFields } from '../stages/final/result.ts';

/** What a conversion found and chose, as the JSON file that its page reads. */
export const CONVERSION_FORMAT = 'postnas-convert-1';

const trainedControl = fields({
  name: text(),
  model: text().describe('its folder'),
  tokens: whole(0),
  steps: whole(0),
  seconds: number(),
  ...curveFields,
});

const trained = fields({
  hours: number().describe('that it was given'),
  rows: whole(1).describe('of a step'),
  length: whole(2).describe('tokens of a row'),
  crossEntropy: number().describe('weight of the loss on the text beside the divergence'),
  answersOnly: z.boolean().describe('whether the tokens of answers alone counted'),
  model: text().describe('folder of the trained hybrid'),
  tokens: whole(0),
  steps: whole(0),
  seconds: number(),
  ended: oneOf(['steps', 'time', 'patience']),
  ...curveFields,
  controls: list(trainedControl).describe('trained for as many steps on the same rows'),
  skipped: list(fields({ name: text(), why: text() })).describe('controls that were not trained'),
});

export type TrainedConversion = z.infer<typeof trained>;
export type TrainedControl = z.infer<typeof trainedControl>;

export const conversionSchema = fields({
  format: z.literal(CONVERSION_FORMAT),
  command: text().optional().describe('the command line that repeats it'),
  created: date().describe('ISO 8601'),
  machine: machinePart,
  name: text().describe('of the placement'),
  wanted: fields({
    context: whole(1).describe('tokens of a sequence'),
    memory: number().optional().describe('bytes of the keys and values of a sequence, at most'),
    speed: number().optional().describe('tokens written a second at the context, at least'),
    heads: whole(0).optional().describe('KV heads that see everything, at most'),
    keep: number().optional().describe("share of the parent's answers to be kept at every distance"),
    textLoss: number().optional().describe('nats a token of text more than the parent, at most'),
  }),
  reach: reachSchema.describe('what was tried'),
  kept: filled(
    fields({
      recall: list(number().nullable()).describe(
        "by distance: share of the parent's answers that are found; null where the parent finds less than half of what was told",
      ),
      text: number().nullable().describe('nats a token of text more than the parent'),
    }),
  ).describe('of each of `reach.placements`'),
  chosen: whole(0).describe('place of the placement in `reach.placements`'),
  reason: text().describe('why that one'),
  training: trained
    .nullable()
    .optional()
    .describe('of the hybrid of the placement, by KL to its parent; null where no time was given'),
  comparison: compareSchema
    .nullable()
    .describe(
      'of the placement, and of what was trained, with the parent, on tasks that the search did not see; null where it was left out',
    ),
  seconds: number().describe('of search, training and comparison, those of earlier processes included'),
});

export type ConversionResult = z.infer<typeof conversionSchema>;
