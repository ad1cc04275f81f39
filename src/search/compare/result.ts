import { z } from 'zod';
import { date, fields, filled, list, number, oneOf, text, whole } from '../../util/schema.ts';
import { machinePart } from '../result.ts';

/** What a comparison found, as the JSON file that its page reads. Plain data; losses in nats, sizes in bytes. */
export const COMPARE_FORMAT = 'postnas-compare-1';

const share = number().min(0, { error: 'a number from 0 to 1' }).max(1, { error: 'a number from 0 to 1' });

const textSchema = fields({
  loss: number().describe('mean over all predicted tokens'),
  change: number().describe("this model's loss minus the parent's"),
  margin: number()
    .nullable()
    .describe('half of the 95 % interval of that change, over rows of text; null for a single row'),
  positions: filled(
    fields({
      from: whole(0).describe('tokens before the predicted one, at least'),
      to: whole(1).describe('and fewer than'),
      tokens: whole(1).describe('predicted tokens that this is the mean of'),
      loss: number(),
    }),
  ),
  agreement: share.describe('of tokens for which this model finds the same one most probable as the parent'),
  kl: fields({
    mean: number().describe("Kullback-Leibler divergence from the parent's next token to this model's"),
    margin: number().nullable().describe('half of its 95 % interval'),
    tokens: whole(1).describe('places of the text that it is the mean over, evenly spread'),
  }),
});

const recallSchema = fields({
  name: text().describe("'needle': one number in a story; 'keys': one of several, by its name"),
  cells: filled(
    fields({
      length: whole(1).describe('tokens of the text, question and answer included'),
      depth: share.describe('where the answer stands: 0 at the beginning, 1 right before the question'),
      right: whole(0),
      examples: whole(1),
    }),
  ),
});

const taskSchema = fields({
  name: text(),
  examples: whole(1),
  accuracy: share,
  interval: z.tuple([share, share]).describe('of the accuracy: 95 %, by Wilson'),
  chance: share.describe('accuracy of guessing'),
  goldLoss: number().describe('mean of -log p(right answer)'),
  share: number()
    .nullable()
    .describe("of the parent's accuracy above chance; null where the parent has none"),
});

const speedSchema = fields({
  context: whole(1).describe('tokens before the first that is written'),
  prefillTokensPerSecond: number().nullable().describe('null where the state was drawn, not read'),
  decodeTokensPerSecond: number(),
  stateBytes: number().describe('of a sequence, as it lies in memory, places for tokens to come included'),
  formulaBytes: number().describe('the same by formula, without such places'),
});

const modelSchema = fields({
  name: text(),
  role: oneOf(['parent', 'hybrid', 'baseline']),
  of: whole(0).optional().describe('of a baseline: the place in this list of the hybrid whose bytes it has'),
  window: whole(1).optional().describe('of a baseline: tokens of the windows in all layers'),
  sinks: whole(1).optional().describe('of a baseline: first tokens of the text that stay visible'),
  placed: z
    .literal(true)
    .optional()
    .describe("the parent's own weights under a placement: nothing was trained"),
  architecture: text().describe('a letter per layer'),
  mixers: filled(text()).describe('what the letters stand for, with the layers'),
  parameters: number(),
  stateBytes: number().describe('of a sequence of `context` tokens, by formula, float32'),
  text: textSchema,
  recall: list(recallSchema),
  tasks: list(taskSchema),
  answers: list(text()).describe('to the prompts, in their order; greedy'),
  speed: list(speedSchema),
});

const verdictSchema = fields({
  model: whole(0).describe('place of the hybrid in `models`'),
  headline: text(),
  points: list(
    fields({ kind: oneOf(['kept', 'lost', 'open', 'cost', 'next']), text: text() }).meta({ title: 'point' }),
  ),
});

export const compareSchema = fields({
  format: z.literal(COMPARE_FORMAT),
  command: text().optional().describe('the command line that repeats it'),
  created: date().describe('ISO 8601'),
  machine: machinePart,
  dtype: text().describe('of the weights while they were compared'),
  threads: whole(1).nullable().describe('all cores when null'),
  context: whole(1).describe('tokens of the longest text'),
  data: fields({ name: text(), rows: whole(1), tokens: whole(1) }).describe(
    'the text; tokens that were predicted',
  ),
  prompts: list(text()),
  models: filled(modelSchema).describe('the parent first'),
  notes: list(text()).describe('what was left out, and why'),
  verdicts: list(verdictSchema),
  thresholds: z
    .record(text(), number(), { error: 'an object' })
    .describe('by which the verdicts follow from the figures'),
  seconds: number().describe('of everything, those of earlier processes included'),
});

export type CompareResult = z.infer<typeof compareSchema>;
export type ComparedModel = CompareResult['models'][number];
export type Verdict = CompareResult['verdicts'][number];
export type TaskFound = ComparedModel['tasks'][number];
export type RecallMap = ComparedModel['recall'][number];
export type SpeedFound = ComparedModel['speed'][number];
