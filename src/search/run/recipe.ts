import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { z } from 'zod';
import { InputError } from '../../util/errors.ts';
import { systemMeaning } from '../../util/system-errors.ts';
import { BEST_MIXER, comparedMixers, linearKinds } from '../linear-mixer.ts';

/**
 * A whole run of PostNAS as data: stages 1 to 4, sliding windows and the final training. A stage that is absent is
 * left out. What a stage does is in the file of its name.
 */

const count = z.int().min(1);
const steps = z.int().min(1);
const rate = z.number().positive();
/** A kind of linear mixer, with `+rope` behind it to rotate queries and keys as the parent does. */
const kind = z
  .string()
  .refine((name) => (linearKinds() as readonly string[]).includes(name.replace(/\+rope$/, '')), {
    error: () => `expected one of ${linearKinds().join(', ')}`,
  });
/** 'recall:accuracy' or 'held-out-loss:loss:16': a task, its metric, and its number of examples. */
const task = z
  .string()
  .regex(/^[\w-]+(:(accuracy|loss)(:\d+)?)?$/, 'expected task:metric or task:metric:examples');

/** Names of tasks that lead a stage, each with another metric if wanted: 'choice:loss'. */
const objective = z
  .array(z.string().regex(/^[\w-]+(:(accuracy|loss))?$/, 'expected task or task:metric'))
  .min(1)
  .optional();
/** Rows of a step and their length, if other than the recipe's. */
const shape = { rows: count.optional(), length: count.optional() };
/** Alignment of single layers, then feature distillation of the whole, MLPs frozen. */
const training = { ...shape, alignSteps: steps, trainSteps: steps, rate: rate.default(2e-3) };

const recipeSchema = z.strictObject({
  /** A Hugging Face folder, or the id of a model on the Hub. */
  model: z.string(),
  /** Everything is done once with each. */
  seeds: z.array(z.int().min(0)).min(1).default([1]),
  /** Where it is trained and judged. */
  device: z.enum(['cpu', 'webgpu']).default('cpu'),
  /** A text file to train on, or 'world' for the generated world, which only its own models may leave out. */
  data: z.string().optional(),
  /** Text for the objective held-out-loss. */
  heldOut: z.string().optional(),
  /** Rows of a step, and tokens of each. */
  rows: count.default(8),
  length: count.default(256),
  /** What everything is judged by and reported on; a stage may be led by some of them alone. */
  tasks: z.array(task).min(1),
  /** Examples of each task that does not say. */
  examples: count.default(128),
  /** Stage 1. */
  placement: z.strictObject({
    ...shape,
    mixer: kind.default(BEST_MIXER),
    /** Layers that keep full attention. */
    budget: count,
    alignSteps: steps,
    supernetSteps: steps,
    rate: rate.default(2e-3),
    sampling: z.enum(['budget', 'uniform', 'coin']).default('budget'),
    beam: count.default(3),
    /** Random placements to compare with; 0 for none. */
    random: z.int().min(0).default(8),
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
      mixers: z.array(kind).min(1).default(comparedMixers),
    })
    .optional(),
  /** Stage 3. */
  design: z.strictObject({ ...training, designs: z.array(z.string()).min(1).optional() }).optional(),
  /** Stage 4. */
  dimensions: z
    .strictObject({
      ...training,
      /** Numbers of heads to try; half, once and twice the block's when absent. */
      heads: z.array(count).min(1).optional(),
      /** The most that one of key and value width may be wider than the other. */
      aspect: count.default(4),
      /** Taps of the convolutions to try beside the block's own. */
      convSizes: z.array(count).default([]),
      /** How much slower than the block's own dimensions the choice may decode. */
      slack: z.number().min(0).default(0.03),
      /** Also time hybrids of other state sizes and with other numbers of full layers. */
      throughput: z.boolean().default(true),
    })
    .optional(),
  /** How decoding is timed in stages 2 to 4. */
  decode: z
    .strictObject({
      device: z.enum(['cpu', 'webgpu']).default('cpu'),
      context: count.default(256),
      tokens: count.default(64),
      rounds: count.default(5),
    })
    .prefault({}),
  /** Sliding windows in place of some of the linear blocks. */
  windows: z
    .strictObject({
      /** Tokens that a window holds. */
      size: count,
      /** Layers that may have one. */
      budget: count,
      beam: count.default(3),
      objective,
    })
    .optional(),
  /** The final training. */
  final: z
    .strictObject({
      /** Steps of each stage; 0 leaves it out. */
      featureSteps: z.int().min(0),
      logitSteps: z.int().min(0),
      allSteps: z.int().min(0),
      featureRate: rate.default(2e-3),
      logitRate: rate.default(1e-3),
      /** Of the mixers while all weights are trained. */
      allRate: rate.default(1e-3),
      /** Of all other weights, as a multiple of that. */
      bodyRate: z.number().min(0).default(0.1),
      /** Weight of the cross-entropy beside the KL divergence while all weights are trained. */
      crossEntropy: z.number().min(0).default(0.1),
      temperature: z.number().positive().default(1),
      ...shape,
      /** Examples of each task in the final judgement, none of them seen by the search. */
      examples: count.default(256),
    })
    .optional(),
});

export type Recipe = z.infer<typeof recipeSchema>;

/**
 * Reads a recipe and fills in the defaults. Files that it names are looked for beside it first.
 *
 * @throws InputError naming the file, the field and what was expected there
 */
export function readRecipe(path: string): Recipe {
  let json: unknown;
  try {
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
      if (!existsSync(beside)) return file;
      const below = relative(process.cwd(), beside);
      return below.startsWith('..') ? beside : below;
    };
    return {
      ...read.data,
      model: found(model),
      ...(data && { data: found(data) }),
      ...(heldOut && { heldOut: found(heldOut) }),
    };
  }
  const issues = read.error.issues.map(
    ({ path: at, message }) => `\n  ${at.join('.') || 'recipe'}: ${message}`,
  );
  throw new InputError(`${path} is no recipe:${issues.join('')}`);
}
