import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { z } from 'zod';
import { namesFiles } from '../tasks/corpus/names.ts';
import { InputError } from '../util/errors.ts';
import { systemMeaning } from '../util/system-errors.ts';
import { bounds, MOST_ENTRIES } from './bounds.ts';
import { BEST_MIXER, checkName, comparedMixers } from './network/linear-mixer.ts';

/**
 * A whole run of PostNAS as data: stages 1 to 4, sliding windows and the final training. A stage that is absent is
 * left out. What a stage does is in the file of its name.
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
const task = z
  .string()
  .regex(/^[\w-]+(:(accuracy|loss)(:\d+)?)?$/, 'expected task:metric or task:metric:examples')
  .superRefine((text, context) => {
    const count = text.split(':')[2];
    const issue = count && bounds.examples.safeParse(Number(count)).error?.issues[0];
    if (issue) context.addIssue({ code: 'custom', message: `examples ${issue.message}` });
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
  alignSteps: bounds.steps,
  trainSteps: bounds.steps,
  rate: bounds.rate.default(2e-3),
};

/** One name or several. */
const texts = z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(MOST_ENTRIES)]);

export const recipeSchema = z.strictObject({
  /** A Hugging Face folder, or the id of a model on the Hub. */
  model: z.string(),
  /** Everything is done once with each. */
  seeds: z
    .array(bounds.seed)
    .min(1)
    .max(MOST_ENTRIES)
    .default([1])
    .refine((seeds) => new Set(seeds).size === seeds.length, 'expected different seeds'),
  /** Where it is trained and judged. */
  device: z.enum(['cpu', 'webgpu']).default('cpu'),
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
  rows: bounds.rows.default(8),
  length: bounds.length.default(256),
  /** What everything is judged by and reported on; a stage may be led by some of them alone. */
  tasks: z.array(task).min(1).max(MOST_ENTRIES),
  /** Examples of each task that does not say. */
  examples: bounds.examples.default(128),
  /** Stage 1. */
  placement: z.strictObject({
    ...shape,
    mixer: kind.default(BEST_MIXER),
    /** Layers that keep full attention. */
    budget: bounds.layers,
    alignSteps: bounds.steps,
    supernetSteps: bounds.steps,
    rate: bounds.rate.default(2e-3),
    sampling: z.enum(['budget', 'uniform', 'coin']).default('budget'),
    beam: bounds.beam.default(3),
    /** Random placements to compare with; 0 for none. */
    random: bounds.random.default(8),
    /** Judge every placement of the budget too: small models only. */
    exhaustive: z.boolean().default(false),
    /** Tasks that lead the search; all when absent. */
    objective,
  }),
  /** Whether placements rank alike when MLPs are trained too: a second super network per seed. */
  mlps: z.strictObject({}).optional(),
  /** Stage 2. */
  blocks: z
    .strictObject({
      ...training,
      mixers: z.array(kind).min(1).max(MOST_ENTRIES).default(comparedMixers),
    })
    .optional(),
  /** Stage 3. */
  design: z
    .strictObject({ ...training, designs: z.array(z.string()).min(1).max(MOST_ENTRIES).optional() })
    .optional(),
  /** Stage 4. */
  dimensions: z
    .strictObject({
      ...training,
      /** Numbers of heads to try; half, once and twice the block's when absent. */
      heads: z.array(bounds.heads).min(1).max(MOST_ENTRIES).optional(),
      /** The most that one of key and value width may be wider than the other. */
      aspect: bounds.aspect.default(4),
      /** Taps of the convolutions to try beside the block's own. */
      convSizes: z.array(bounds.taps).max(MOST_ENTRIES).default([]),
      /** How much slower than the block's own dimensions the choice may decode. */
      slack: bounds.slack.default(0.03),
      /** Also time hybrids of other state sizes and with other numbers of full layers. */
      throughput: z.boolean().default(true),
    })
    .optional(),
  /** How decoding is timed in stages 2 to 4. */
  decode: z
    .strictObject({
      device: z.enum(['cpu', 'webgpu']).default('cpu'),
      context: bounds.tokens.default(256),
      tokens: bounds.tokens.default(64),
      rounds: bounds.rounds.default(5),
    })
    .prefault({}),
  /** Sliding windows in place of some of the linear blocks. */
  windows: z
    .strictObject({
      /** Tokens that a window holds. */
      size: bounds.tokens,
      /** Layers that may have one. */
      budget: bounds.layers,
      beam: bounds.beam.default(3),
      objective,
    })
    .optional(),
  /** The final training. */
  final: z
    .strictObject({
      /** Steps of each stage; 0 leaves it out. */
      featureSteps: bounds.stepsOrNone,
      logitSteps: bounds.stepsOrNone,
      allSteps: bounds.stepsOrNone,
      featureRate: bounds.rate.default(2e-3),
      logitRate: bounds.rate.default(1e-3),
      /** Of the mixers while all weights are trained. */
      allRate: bounds.rate.default(1e-3),
      /** Of all other weights, as a multiple of that. */
      bodyRate: bounds.weight.default(0.1),
      /** Weight of the cross-entropy beside the KL divergence while all weights are trained. */
      crossEntropy: bounds.weight.default(0.1),
      temperature: bounds.temperature.default(1),
      ...shape,
      /** Examples of each task in the final judgement, none of them seen by the search. */
      examples: bounds.examples.default(256),
    })
    .optional(),
});

export type Recipe = z.infer<typeof recipeSchema>;

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
  const read = recipeSchema.safeParse(json);
  if (read.success) {
    const { model, data, heldOut } = read.data;
    const found = (file: string) => {
      const beside = resolve(dirname(path), file);
      if (!existsSync(beside) && !namesFiles(beside)) return file;
      const below = relative(process.cwd(), beside);
      return below.startsWith('..') ? beside : below;
    };
    const all = (names: string | string[]) => (Array.isArray(names) ? names.map(found) : found(names));
    return {
      ...read.data,
      model: found(model),
      ...(data && { data: all(data) }),
      ...(heldOut && { heldOut: all(heldOut) }),
    };
  }
  const issues = read.error.issues.map(
    ({ path: at, message }) => `\n  ${at.join('.') || 'recipe'}: ${message}`,
  );
  throw new InputError(`${path} is no recipe:${issues.join('')}`);
}
