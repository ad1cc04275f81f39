import { z } from 'zod';
import { fields, filled, list, number, text, whole } from '../../../util/schema.ts';
import {
  architecture,
  conditions,
  cost,
  type Frame,
  judged,
  modelCostSchema,
  objective,
} from '../../result-fields.ts';

/** What was measured on held-out text while a stage trained. */
export const curveFields = {
  curve: list(
    fields({
      tokens: number().describe('trained on by then'),
      seconds: number(),
      divergence: number().describe('KL(teacher || student), nats a token'),
      crossEntropy: number().describe('of the text, nats a token'),
    }),
  )
    .optional()
    .describe('on held-out text, in order; empty without one'),
  more: fields({
    seconds: number(),
    tokens: number(),
    expected: number(),
    low: number(),
    high: number(),
  })
    .nullable()
    .optional()
    .describe('nats that as much training again would take off the divergence; null where it cannot be told'),
};

/** Distillation of the chosen architecture, judged on examples that no stage of the search has seen. */
export const finalSchema = (frame: Frame) =>
  fields({
    architecture: architecture(frame),
    objective: objective(),
    examples: whole(1),
    base: judged(frame).describe('the parent on these examples'),
    runs: filled(
      fields({
        seed: whole(0),
        stages: filled(
          fields({
            name: text(),
            ...cost,
            steps: number(),
            loss: number(),
            judged: judged(frame),
            ended: z
              .enum(['steps', 'time', 'patience'])
              .optional()
              .describe('why: with its steps, its time, or for want of progress on held-out text'),
            ...curveFields,
          }),
        ).describe(
          'in order: before distillation (0 steps), after features, after logits, after all weights',
        ),
        hybrid: text().describe('folder of the finished hybrid'),
      }),
    ),
    cost: fields({
      decode: conditions(),
      base: modelCostSchema,
      hybrid: modelCostSchema,
    }).describe('what a sequence costs, the parent and the hybrid timed in turns'),
  });

export type FinalResult = z.infer<ReturnType<typeof finalSchema>>;
