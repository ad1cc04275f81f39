import type { z } from 'zod';
import { fields, filled, number, text, whole } from '../../../util/schema.ts';
import {
  architecture,
  conditions,
  cost,
  type Frame,
  judged,
  modelCostSchema,
  objective,
} from '../../result-fields.ts';

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
          fields({ name: text(), ...cost, steps: number(), loss: number(), judged: judged(frame) }),
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
