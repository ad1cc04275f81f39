import { z } from 'zod';
import { WRITTEN_DTYPES } from '../model/safetensors.ts';
import { checkMetric, parseTask } from '../tasks/objective.ts';
import { bounds, MOST_ENTRIES } from './bounds.ts';
import { DEFAULTS, type FinalTraining, WIDE } from './defaults.ts';
import { checkName, comparedMixers } from './network/linear-mixer.ts';
import { STARTS } from './train/start.ts';

/**
 * A run of PostNAS as data: stages 1 to 4, sliding windows and the final training, all of them or one. A stage that is
 * absent is left out. What a stage does is in the file of its name.
 */

/** A kind of linear mixer, with `+rope` or `+qk_norm` behind it for queries and keys as the parent has them. */
const kind = z.string().superRefine((name, { addIssue }) => {
  try {
    checkName(name);
  } catch (error) {
    addIssue({ code: 'custom', message: (error as Error).message });
  }
});
/** 'recall:accuracy' or 'held-out-loss:loss:16': a task, its metric, and its number of examples. */
const task = z.string().superRefine((text, { addIssue }) => {
  const refuse = (message: string) => addIssue({ code: 'custom', message });
  const count = text.split(':')[2] ?? '';
  const issue = /^\d+$/.test(count) && bounds.examples.safeParse(Number(count)).error?.issues[0];
  if (issue) return refuse(`examples ${issue.message}`);
  try {
    const { name, metric } = parseTask(text, 1);
    checkMetric(text, name, metric);
  } catch (error) {
    refuse(`expected task:metric or task:metric:examples; ${(error as Error).message}`);
  }
});

const objective = z
  .array(
    z.string().regex(/^[\w-]+(@\d+[Kk]?)?(:(accuracy|accuracy_norm|loss))?$/, 'expected task or task:metric'),
  )
  .min(1)
  .optional()
  .describe(
    "tasks that lead the stage, each with another metric if wanted, as in 'choice:loss'; all when absent",
  );
const shape = {
  rows: bounds.rows.optional().describe("rows of a step, if other than the recipe's"),
  length: bounds.length.optional().describe("tokens of a row, if other than the recipe's"),
};
const start = {
  start: z
    .enum(STARTS)
    .optional()
    .describe(
      "what linear blocks start from: 'calibrated', the attention's weights and what it does with 1,024 tokens of the text, or 'copied', its weights alone; when absent the first, where a block takes that",
    ),
};
const windowDropout = {
  windowDropout: bounds.dropout
    .optional()
    .describe(
      'share of rows in which windows that have a linear mixer beside them are left out, falling to 0 over the steps of each training; none when absent',
    ),
};
const training = {
  ...shape,
  ...start,
  ...windowDropout,
  alignSteps: bounds.steps
    .default(DEFAULTS.comparison.alignSteps)
    .describe('steps that train each linear block beside its attention'),
  trainSteps: bounds.steps
    .default(DEFAULTS.comparison.trainSteps)
    .describe('steps that train the blocks together afterwards, MLPs frozen'),
  rate: bounds.rate.default(DEFAULTS.comparison.rate).describe('highest learning rate'),
};

/** One name or several. */
const texts = z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(MOST_ENTRIES).readonly()]);

/** A placement that is searched. */
const searched = z.strictObject({
  ...shape,
  mixer: kind
    .default(DEFAULTS.placement.mixer)
    .describe('the linear block that takes the place of attention'),
  ...start,
  ...windowDropout,
  budget: bounds.layers.default(DEFAULTS.placement.budget).describe('layers that keep full attention'),
  alignSteps: bounds.steps
    .default(DEFAULTS.placement.alignSteps)
    .describe('steps that train each linear block beside its attention'),
  supernetSteps: bounds.steps
    .default(DEFAULTS.placement.supernetSteps)
    .describe('steps that train all blocks together, in changing placements'),
  finishSteps: bounds.stepsOrNone
    .default(DEFAULTS.placement.finishSteps)
    .describe(
      'steps that train the hybrid that was found, at half the rate; none for a run that goes on with other stages',
    ),
  rate: bounds.rate.default(DEFAULTS.placement.rate).describe('highest learning rate'),
  sampling: z
    .enum(['budget', 'uniform', 'coin'])
    .default(DEFAULTS.placement.sampling)
    .describe('how placements are drawn while all blocks are trained'),
  beam: bounds.beam.default(DEFAULTS.placement.beam).describe('placements that the search follows at once'),
  random: bounds.random
    .default(DEFAULTS.placement.random)
    .describe('random placements to compare with; 0 for none'),
  exhaustive: z
    .boolean()
    .default(DEFAULTS.placement.exhaustive)
    .describe('judge every placement of the budget too: small models only'),
  objective,
});

/** One that is known. */
const given = z.strictObject({
  layers: z
    .array(bounds.layer)
    .max(MOST_ENTRIES)
    .describe('the layers that keep full attention, counted from 0'),
  mixer: kind
    .default(DEFAULTS.placement.mixer)
    .describe('the block that takes the place of attention in the others, where no stage chooses one'),
});

const blocks = z.strictObject({
  ...training,
  mixers: z.array(kind).min(1).max(MOST_ENTRIES).default(comparedMixers).describe('blocks to compare'),
});

const design = z.strictObject({
  ...training,
  designs: z
    .array(z.string())
    .min(1)
    .max(MOST_ENTRIES)
    .optional()
    .describe('designs of the JetBlock to compare; all when absent'),
});

const dimensions = z.strictObject({
  ...training,
  heads: z
    .array(bounds.heads)
    .min(1)
    .max(MOST_ENTRIES)
    .optional()
    .describe("numbers of heads to try; half, once and twice the block's when absent"),
  aspect: bounds.aspect
    .default(DEFAULTS.dimensions.aspect)
    .describe('the most that one of key and value width may be wider than the other'),
  convSizes: z
    .array(bounds.taps)
    .max(MOST_ENTRIES)
    .default([])
    .describe("taps of the convolutions to try beside the block's own"),
  slack: bounds.slack
    .default(DEFAULTS.dimensions.slack)
    .describe("how much slower than the block's own dimensions the choice may decode"),
  throughput: z
    .boolean()
    .default(true)
    .describe('also time hybrids of other state sizes and with other numbers of full layers'),
});

const decode = z.strictObject({
  device: z.enum(['cpu', 'webgpu']).default(DEFAULTS.device).describe('where it is timed'),
  context: bounds.tokens.default(DEFAULTS.decode.context).describe('tokens of the prompt'),
  tokens: bounds.tokens.default(DEFAULTS.decode.tokens).describe('tokens timed in a round'),
  rounds: bounds.rounds.default(DEFAULTS.decode.rounds).describe('rounds; the middle one counts'),
});

const windows = z.strictObject({
  size: bounds.tokens.describe('tokens that a window holds'),
  sinks: bounds.tokens
    .optional()
    .describe('first tokens of the text that it holds besides; none when absent'),
  budget: bounds.layers.describe('layers that may have one'),
  beam: bounds.beam.default(DEFAULTS.windows.beam).describe('placements that the search follows at once'),
  objective,
});

const { small, pretrained } = DEFAULTS.final;
/** What a setting of the final training is when it is absent. */
const byModel = (name: keyof typeof small, tokens?: number): string => {
  const large =
    tokens === undefined
      ? pretrained[name as keyof typeof pretrained]
      : `as many as ${tokens.toLocaleString('en')} tokens take`;
  return `; when absent ${small[name]} for a model narrower than ${WIDE}, ${large} for others`;
};

const final = z.strictObject({
  hybrid: z
    .string()
    .optional()
    .describe(
      'a folder with a hybrid of the model, which is trained in place of what other stages find: it has no others then',
    ),
  featureSteps: bounds.stepsOrNone
    .optional()
    .describe(
      `steps in which the mixers learn the hidden states of the model; 0 for none${byModel('featureSteps', pretrained.featureTokens)}, none without linear mixers`,
    ),
  logitSteps: bounds.stepsOrNone
    .optional()
    .describe(
      `steps in which the mixers learn its predictions; 0 for none${byModel('logitSteps', pretrained.logitTokens)}, none without linear mixers`,
    ),
  allSteps: bounds.stepsOrNone
    .optional()
    .describe(
      `steps in which all weights learn its predictions and the text; 0 for none${byModel('allSteps', pretrained.allTokens)}`,
    ),
  featureRate: bounds.rate
    .optional()
    .describe(`highest learning rate of the first of them${byModel('featureRate')}`),
  logitRate: bounds.rate.optional().describe(`of the second${byModel('logitRate')}`),
  allRate: bounds.rate.optional().describe(`of the mixers in the third${byModel('allRate')}`),
  bodyRate: bounds.weight
    .optional()
    .describe(`of all other weights, as a multiple of that${byModel('bodyRate')}`),
  crossEntropy: bounds.weight
    .optional()
    .describe(
      `weight of the cross-entropy beside the KL divergence while all weights are trained${byModel('crossEntropy')}`,
    ),
  rateLeft: bounds.dropout
    .optional()
    .describe(`share of each rate that is left at the end of its stage${byModel('rateLeft')}`),
  embeddings: z
    .boolean()
    .optional()
    .describe(`whether embeddings and head are trained with all weights${byModel('embeddings')}`),
  answersOnly: z
    .boolean()
    .optional()
    .describe(
      'whether the tokens of answers alone count where predictions are compared: the data are conversations, or records with prompt and completion',
    ),
  patience: bounds.patienceOrNone
    .default(DEFAULTS.final.patience)
    .describe(
      'measurements on held-out text (about 32 a stage) without a better one, after which a stage ends; 0 for none. The best weights are kept',
    ),
  ...windowDropout,
  temperature: bounds.temperature
    .default(DEFAULTS.final.temperature)
    .describe('by which logits are divided where predictions are compared'),
  cacheLogits: z
    .string()
    .optional()
    .describe(
      "a folder for the model's 64 most probable tokens of each place; then only they are compared with",
    ),
  cacheLimit: bounds.bytes
    .default(DEFAULTS.final.cacheLimit)
    .describe('the most that they may take, in bytes'),
  dtype: z.enum(WRITTEN_DTYPES).default(DEFAULTS.final.dtype).describe('type of the written weights'),
  ...shape,
  examples: bounds.examples
    .default(DEFAULTS.final.examples)
    .describe('examples of each task in the final judgement, none of them seen by the search'),
});

/** What all stages share. */
export const sharedSchema = z.strictObject({
  $schema: z
    .string()
    .optional()
    .describe('the JSON Schema that an editor completes the recipe by; not looked at'),
  model: z.string().describe('a Hugging Face folder, or the id of a model on the Hub'),
  seeds: z
    .array(bounds.seed)
    .min(1)
    .max(MOST_ENTRIES)
    .default(DEFAULTS.seeds)
    .refine((seeds) => new Set(seeds).size === seeds.length, 'expected different seeds')
    .describe('everything is done once with each'),
  device: z.enum(['cpu', 'webgpu']).default(DEFAULTS.device).describe('where it is trained and judged'),
  data: texts
    .optional()
    .describe(
      "files, folders and globs of text to train on, or 'world' for the generated world, which only its own models may leave out",
    ),
  heldOut: texts.optional().describe('text for the task held-out-loss, in the same way'),
  heldOutShare: bounds.share
    .optional()
    .describe(
      `share of the documents of \`data\` that are held out for that task where \`heldOut\` is absent; ${DEFAULTS.heldOutShare} unless given`,
    ),
  field: z
    .string()
    .min(1)
    .optional()
    .describe('the field of records that has the text; text, messages or conversations when absent'),
  rows: bounds.rows.default(DEFAULTS.rows).describe('rows of a step'),
  length: bounds.length.default(DEFAULTS.length).describe('tokens of a row'),
  tasks: z
    .array(task)
    .min(1)
    .max(MOST_ENTRIES)
    .optional()
    .describe(
      'what everything is judged by and reported on; a stage may be led by some of them alone. When absent those of the generated world for its models, held-out-loss for others',
    ),
  examples: bounds.examples.default(DEFAULTS.examples).describe('examples of each task that does not say'),
  dataDir: z
    .string()
    .min(1)
    .optional()
    .describe('a folder with the files of public tasks, such as arc_easy; the Hub when absent'),
  shots: bounds.shots
    .optional()
    .describe(
      'solved examples in front of each of their questions; as many as lm-evaluation-harness has when absent',
    ),
});

const rest = sharedSchema.extend({
  blocks: blocks.optional().describe('stage 2: which block takes the place of attention'),
  design: design.optional().describe('stage 3: how a JetBlock is built'),
  dimensions: dimensions
    .optional()
    .describe('stage 4: heads and widths at one size of the state, on this machine'),
  decode: decode.prefault({}).describe('how decoding is timed in stages 2 to 4'),
  windows: windows.optional().describe('sliding windows in place of some of the linear blocks'),
  final: final.optional().describe('the final training'),
  mlps: z
    .strictObject({})
    .optional()
    .describe('whether placements rank alike when MLPs are trained too: a second super network per seed'),
});

/** Of a recipe that searches the placement, and of one whose placement is given, which has `layers`. */
export const recipeSchemas = {
  searched: rest.extend({ placement: searched.optional() }),
  given: rest.extend({ placement: given }),
};

/** A final training with the defaults of its model filled in. */
type FinalSettings = z.infer<typeof final> & FinalTraining;

/** A recipe whose model is known. */
export interface PreparedRecipe extends Omit<Recipe, 'final'> {
  final?: FinalSettings | undefined;
}

/** A recipe with the defaults filled in. */
export interface Recipe extends Omit<z.infer<typeof rest>, '$schema'> {
  placement?: z.infer<typeof searched> | z.infer<typeof given>;
}

/** A recipe as people write it: the layers that keep full attention may be named by the result.json that has them. */
export interface RecipeInput extends z.input<typeof rest> {
  placement?:
    | z.input<typeof searched>
    | (Omit<z.input<typeof given>, 'layers'> & { layers: readonly number[] | string });
}

/** What may stand in a file, for documents: both forms of the placement, and the layers by the name of a result's file. */
export const recipeFileSchema = z.strictObject({
  placement: z
    .union([
      searched,
      given.extend({
        layers: z
          .union([given.shape.layers, z.string()])
          .describe('the layers that keep full attention, counted from 0, or the result.json that has them'),
      }),
    ])
    .optional()
    .describe('stage 1: where full attention must stay, to be searched, or given by `layers`'),
  ...rest.shape,
});

/** What each stage is told, without what all of them share. */
export const stageSchemas = { placement: searched, blocks, design, dimensions, decode, final };
