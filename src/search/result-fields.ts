import { z } from 'zod';
import { METRICS } from '../tasks/objective.ts';
import { fields, filled, list, number, oneOf, text, whole } from '../util/schema.ts';

/** What the parts of a result are made of. */

/** What a part is checked against: the layers of its model, and the tasks that it was judged by. */
export interface Frame {
  layers: number;
  tasks: readonly string[];
}

export const rates = () => filled(number());

export const modelSchema = fields({
  path: text().describe('folder of the parent model'),
  layers: whole(1).describe('how many it has'),
  parameters: number(),
});

/** Layers that keep full attention, or have what else a part is about. */
export function placement({ layers }: Pick<Frame, 'layers'>) {
  const isRight = (list: readonly number[]) =>
    list.every((layer, i) => layer < layers && (i === 0 || layer > list[i - 1]!));
  return list(whole(0))
    .refine(isRight, { error: `layers from 0 to ${layers - 1}, ascending` })
    .describe('layers, ascending, counted from 0 as checkpoints name them');
}

export function architecture({ layers }: Pick<Frame, 'layers'>) {
  return text()
    .length(layers, { error: `a letter for each of ${layers} layers` })
    .describe('a letter per layer');
}

export const objective = () =>
  filled(
    fields({
      task: text(),
      metric: oneOf(METRICS),
      examples: whole(1),
      guides: z
        .boolean({ error: 'true or false' })
        .optional()
        .describe('false for a task that was judged and is reported, but does not count in the score'),
    }).meta({ title: 'task' }),
  ).describe('the tasks, each with the metric that counts in the score');

const scores = fields({
  accuracy: number(),
  accuracyNorm: number()
    .optional()
    .describe('by log-probabilities over the length of each option, where the task has it'),
  goldLoss: number().describe('minus the logarithm of the probability of the right answer'),
  goldLossPerToken: number(),
});

export function judged(frame: Frame) {
  return fields({
    placement: placement(frame).readonly(),
    score: number().describe(
      'mean over the tasks that guide: accuracy, or minus the loss per token; higher is better',
    ),
    tasks: z
      .record(z.string(), scores, { error: 'an object' })
      .superRefine((found, context) => {
        const missing = frame.tasks.find((name) => !Object.hasOwn(found, name));
        if (missing !== undefined)
          context.addIssue({ code: 'custom', path: [missing], message: 'an object' });
      })
      .describe('by the names of the tasks'),
  }).meta({ title: 'judged placement', description: 'what was found out about one placement' });
}

export type Judged = z.infer<ReturnType<typeof judged>>;

/** What something took. */
export const cost = { seconds: number(), tokens: number() };

export const conditions = () =>
  fields({
    device: text(),
    threads: number().describe("ONNX Runtime's; 0 for all cores"),
    context: number().describe('tokens of the prompt'),
    tokens: number().describe('tokens timed in a round'),
  }).meta({
    title: 'timing',
    description: 'how decoding was timed: one sequence, greedy steps after a prompt',
  });

/** What a model costs to run. */
export const modelCost = {
  parameters: number().describe('of the whole model'),
  stateBytes: number().describe(
    'of one sequence at the end of the prompt, caches and states of all layers, float32',
  ),
  decode: rates().describe('tokens per second, a value per round'),
};

export const modelCostSchema = fields(modelCost).meta({ title: 'cost of a model' });
export type ModelCost = z.infer<typeof modelCostSchema>;
