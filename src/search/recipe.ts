import { z } from 'zod';
import { WRITTEN_DTYPES } from '../model/safetensors.ts';
import { parseTask } from '../tasks/objective.ts';
import { bounds, MOST_ENTRIES } from './bounds.ts';
import { DEFAULTS } from './defaults.ts';
import { checkName, comparedMixers } from './network/linear-mixer.ts';

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
    parseTask(text, 1);
  } catch (error) {
    refuse(`expected task:metric or task:metric:examples; ${(error as Error).message}`);
  }
});

/** Names of tasks that lead a stage, each with another metric if wanted: 'choice:loss'. */
const objective = z
  .array(z.string().regex(/^[\w-]+(:(accuracy|loss))?$/, 'expected task or task:metric'))
  .min(1)
  .optional();
/** Rows of a step and their length, if other than the recipe's. */
const shape = { rows: bounds.rows.optional(), length: bounds.length.optional() };
/** Alignment of single layers, then feature distillation of the whole, MLPs frozen. */
const training = {
  ...shape,
  alignSteps: bounds.steps.default(DEFAULTS.comparison.alignSteps),
  trainSteps: bounds.steps.default(DEFAULTS.comparison.trainSteps),
  rate: bounds.rate.default(DEFAULTS.comparison.rate),
};

/** One name or several. */
const texts = z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(MOST_ENTRIES).readonly()]);

/** Stage 1, where full attention must stay, to be searched. */
const searched = z.strictObject({
  ...shape,
  mixer: kind.default(DEFAULTS.placement.mixer),
  /** Layers that keep full attention. */
  budget: bounds.layers.default(DEFAULTS.placement.budget),
  /** Steps that train each linear block beside its attention. */
  alignSteps: bounds.steps.default(DEFAULTS.placement.alignSteps),
  /** Steps that train all blocks together, in changing placements. */
  supernetSteps: bounds.steps.default(DEFAULTS.placement.supernetSteps),
  /** Steps that train the hybrid that was found, at half the rate; none for a run that goes on with other stages. */
  finishSteps: bounds.stepsOrNone.default(DEFAULTS.placement.finishSteps),
  /** Highest learning rate. */
  rate: bounds.rate.default(DEFAULTS.placement.rate),
  /** How placements are drawn while all blocks are trained. */
  sampling: z.enum(['budget', 'uniform', 'coin']).default(DEFAULTS.placement.sampling),
  /** Placements that the search follows at once. */
  beam: bounds.beam.default(DEFAULTS.placement.beam),
  /** Random placements to compare with; 0 for none. */
  random: bounds.random.default(DEFAULTS.placement.random),
  /** Judge every placement of the budget too: small models only. */
  exhaustive: z.boolean().default(DEFAULTS.placement.exhaustive),
  /** Tasks that lead the search; all when absent. */
  objective,
});

/** The same where it is known. */
const given = z.strictObject({
  /** The layers that keep full attention, counted from 0. */
  layers: z.array(bounds.layer).max(MOST_ENTRIES),
  /** The block that takes the place of attention in the others, where no stage chooses one. */
  mixer: kind.default(DEFAULTS.placement.mixer),
});

/** Stage 2. */
const blocks = z.strictObject({
  ...training,
  /** Blocks to compare. */
  mixers: z.array(kind).min(1).max(MOST_ENTRIES).default(comparedMixers),
});

/** Stage 3. */
const design = z.strictObject({
  ...training,
  /** Designs of the JetBlock to compare; all when absent. */
  designs: z.array(z.string()).min(1).max(MOST_ENTRIES).optional(),
});

/** Stage 4. */
const dimensions = z.strictObject({
  ...training,
  /** Numbers of heads to try; half, once and twice the block's when absent. */
  heads: z.array(bounds.heads).min(1).max(MOST_ENTRIES).optional(),
  /** The most that one of key and value width may be wider than the other. */
  aspect: bounds.aspect.default(DEFAULTS.dimensions.aspect),
  /** Taps of the convolutions to try beside the block's own. */
  convSizes: z.array(bounds.taps).max(MOST_ENTRIES).default([]),
  /** How much slower than the block's own dimensions the choice may decode. */
  slack: bounds.slack.default(DEFAULTS.dimensions.slack),
  /** Also time hybrids of other state sizes and with other numbers of full layers. */
  throughput: z.boolean().default(true),
});

/** How decoding is timed in stages 2 to 4. */
const decode = z.strictObject({
  device: z.enum(['cpu', 'webgpu']).default(DEFAULTS.device),
  context: bounds.tokens.default(DEFAULTS.decode.context),
  tokens: bounds.tokens.default(DEFAULTS.decode.tokens),
  rounds: bounds.rounds.default(DEFAULTS.decode.rounds),
});

/** Sliding windows in place of some of the linear blocks. */
const windows = z.strictObject({
  /** Tokens that a window holds. */
  size: bounds.tokens,
  /** Layers that may have one. */
  budget: bounds.layers,
  beam: bounds.beam.default(DEFAULTS.windows.beam),
  objective,
});

/** The final training. */
const final = z.strictObject({
  /** A folder with a hybrid of the model, which is trained in place of what other stages find: it has no others then. */
  hybrid: z.string().optional(),
  /** Steps of each stage; 0 leaves it out. */
  featureSteps: bounds.stepsOrNone.default(DEFAULTS.final.featureSteps),
  logitSteps: bounds.stepsOrNone.default(DEFAULTS.final.logitSteps),
  allSteps: bounds.stepsOrNone.default(DEFAULTS.final.allSteps),
  featureRate: bounds.rate.default(DEFAULTS.final.featureRate),
  logitRate: bounds.rate.default(DEFAULTS.final.logitRate),
  /** Of the mixers while all weights are trained. */
  allRate: bounds.rate.default(DEFAULTS.final.allRate),
  /** Of all other weights, as a multiple of that. */
  bodyRate: bounds.weight.default(DEFAULTS.final.bodyRate),
  /** Weight of the cross-entropy beside the KL divergence while all weights are trained. */
  crossEntropy: bounds.weight.default(DEFAULTS.final.crossEntropy),
  temperature: bounds.temperature.default(DEFAULTS.final.temperature),
  /** A folder for the model's 64 most probable tokens of each place; then only they are compared with. */
  cacheLogits: z.string().optional(),
  /** The most that they may take, in bytes. */
  cacheLimit: bounds.bytes.default(DEFAULTS.final.cacheLimit),
  /** Type of the written weights. */
  dtype: z.enum(WRITTEN_DTYPES).default(DEFAULTS.final.dtype),
  ...shape,
  /** Examples of each task in the final judgement, none of them seen by the search. */
  examples: bounds.examples.default(DEFAULTS.final.examples),
});

const rest = z.strictObject({
  /** A Hugging Face folder, or the id of a model on the Hub. */
  model: z.string(),
  /** Everything is done once with each. */
  seeds: z
    .array(bounds.seed)
    .min(1)
    .max(MOST_ENTRIES)
    .default(DEFAULTS.seeds)
    .refine((seeds) => new Set(seeds).size === seeds.length, 'expected different seeds'),
  /** Where it is trained and judged. */
  device: z.enum(['cpu', 'webgpu']).default(DEFAULTS.device),
  /**
   * Files, folders and globs of text to train on, or 'world' for the generated world, which only its own models may
   * leave out.
   */
  data: texts.optional(),
  /** Text for the task held-out-loss, in the same way. */
  heldOut: texts.optional(),
  /** Share of the documents of `data` that are held out for that task where `heldOut` is absent; 0.01 unless given. */
  heldOutShare: bounds.share.optional(),
  /** The field of records that has the text; text, messages or conversations when absent. */
  field: z.string().min(1).optional(),
  /** Rows of a step, and tokens of each. */
  rows: bounds.rows.default(DEFAULTS.rows),
  length: bounds.length.default(DEFAULTS.length),
  /**
   * What everything is judged by and reported on; a stage may be led by some of them alone. When absent those of the
   * generated world for its models, held-out-loss for others.
   */
  tasks: z.array(task).min(1).max(MOST_ENTRIES).optional(),
  /** Examples of each task that does not say. */
  examples: bounds.examples.default(DEFAULTS.examples),
  /** Whether placements rank alike when MLPs are trained too: a second super network per seed. */
  mlps: z.strictObject({}).optional(),
  blocks: blocks.optional(),
  design: design.optional(),
  dimensions: dimensions.optional(),
  decode: decode.prefault({}),
  windows: windows.optional(),
  final: final.optional(),
});

/** Of a recipe that searches the placement, and of one whose placement is given, which has `layers`. */
export const recipeSchemas = {
  searched: rest.extend({ placement: searched.optional() }),
  given: rest.extend({ placement: given }),
};

/** A recipe with the defaults filled in. */
export interface Recipe extends z.infer<typeof rest> {
  placement?: z.infer<typeof searched> | z.infer<typeof given>;
}

/** A recipe as people write it: the layers that keep full attention may be named by the result.json that has them. */
export interface RecipeInput extends z.input<typeof rest> {
  placement?:
    | z.input<typeof searched>
    | (Omit<z.input<typeof given>, 'layers'> & { layers: readonly number[] | string });
}

/** What each stage is told, without what all of them share. */
export const stageSchemas = { placement: searched, blocks, design, dimensions, decode, final };
