import type { z } from 'zod';
import { DEFAULTS } from './defaults.ts';
import { type RecipeInput, sharedSchema, type stageSchemas } from './recipe.ts';

/**
 * One stage by itself, as a recipe that has no other: its settings stand beside those that all stages share, in one plain
 * object.
 */

type StageSettings<N extends keyof typeof stageSchemas> = Omit<
  z.input<(typeof stageSchemas)[N]>,
  'rows' | 'length' | 'examples'
>;

/** What all stages share: the model, what it is trained on and judged by, rows and seeds. */
export interface SharedSettings extends Omit<z.input<typeof sharedSchema>, '$schema'> {}

/** Stage 1: a search of the layers that must keep full attention. */
export interface SearchSettings extends SharedSettings, StageSettings<'placement'> {}

interface ComparisonSettings extends SharedSettings {
  /** The layers that keep full attention, counted from 0, or the result.json that has them. */
  placement: readonly number[] | string;
  /** How decoding is timed; where the model is trained unless told. */
  decode?: RecipeInput['decode'];
}

/** Stage 2: a comparison of the blocks that can take the place of attention. */
export interface BlocksSettings extends ComparisonSettings, StageSettings<'blocks'> {}

/** Stage 3: a comparison of designs of the JetBlock. */
export interface DesignSettings extends ComparisonSettings, StageSettings<'design'> {}

/** Stage 4: a comparison of heads and widths of one block, at one size of its state. */
export interface DimensionsSettings
  extends ComparisonSettings,
    Omit<StageSettings<'dimensions'>, 'throughput'> {
  /** The block; 'gated_deltanet+rope' unless told. */
  mixer?: string;
}

/** The final training, of a hybrid of the model. */
export interface DistillSettings extends SharedSettings, StageSettings<'final'> {
  /** Folder of the hybrid. */
  hybrid: string;
  /** How decoding is timed, of the model and of the hybrid. */
  decode?: RecipeInput['decode'];
}

export function searchRecipe(settings: SearchSettings): RecipeInput {
  const { shared, own } = split(settings);
  return { ...shared, placement: own };
}

export function blocksRecipe({ placement, decode, ...settings }: BlocksSettings): RecipeInput {
  const { shared, own } = split(settings);
  return { ...shared, ...compared(shared, placement, decode), blocks: own };
}

export function designRecipe({ placement, decode, ...settings }: DesignSettings): RecipeInput {
  const { shared, own } = split(settings);
  return { ...shared, ...compared(shared, placement, decode), design: own };
}

export function dimensionsRecipe(settings: DimensionsSettings): RecipeInput {
  const { placement, decode, mixer, ...others } = settings;
  const { shared, own } = split(others);
  return {
    ...shared,
    ...compared(shared, placement, decode, mixer),
    // That is of many blocks, and a stage of its own.
    dimensions: { ...own, throughput: false },
  };
}

export function distillRecipe({ decode, ...settings }: DistillSettings): RecipeInput {
  const { shared, own } = split(settings);
  // Which examples the final judgement has depends on both numbers.
  const { examples = DEFAULTS.final.examples, device } = shared;
  return { ...shared, examples, decode: { device, ...decode }, final: { ...own, examples } };
}

/** What a stage has of its own is all the rest, so that a misspelt name is refused with it. */
function split<S extends SharedSettings>(settings: S) {
  const entries = Object.entries(settings);
  const isShared = ([name]: [string, unknown]) => Object.hasOwn(sharedSchema.shape, name);
  return {
    shared: Object.fromEntries(entries.filter(isShared)) as unknown as SharedSettings,
    own: Object.fromEntries(entries.filter((entry) => !isShared(entry))) as Omit<S, keyof SharedSettings>,
  };
}

function compared(
  { device }: SharedSettings,
  placement: readonly number[] | string,
  decode: RecipeInput['decode'],
  mixer?: string,
): Pick<RecipeInput, 'placement' | 'decode'> {
  return { placement: { layers: placement, mixer }, decode: { device, ...decode } };
}
