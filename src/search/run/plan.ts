import { sizedPart } from '../../mixers/sized-part.ts';
import type { ModelConfig } from '../../model/config.ts';
import { BEST_MIXER, linearMixer } from '../network/linear-mixer.ts';
import type { PreparedRecipe } from '../recipe.ts';
import { jetDesigns } from '../stages/blocks/designs.ts';
import { nearbyHeads, sameStateSize } from '../stages/blocks/dimensions.ts';
import { tokensOf } from '../train/settings.ts';
import { training } from './context.ts';
import type { StageName } from './stage.ts';

/** What a recipe will take, before anything is known of what it will find. */
export interface PlannedStage {
  name: StageName;
  /** Trainings, each of its own. */
  trials: number;
  /** Tokens that layers are aligned on, one by one. */
  aligned: number;
  /** Tokens of training through the whole model. */
  trained: number;
}

/** The stages of a recipe that train, in order, with the tokens that they train on. */
export function planOf(recipe: PreparedRecipe, config: ModelConfig): PlannedStage[] {
  const { placement, mlps, blocks, design, dimensions, final, seeds } = recipe;
  const shaped = (own: { rows?: number | undefined; length?: number | undefined }, steps: number) =>
    tokensOf(training(recipe, own, steps, 1));
  const stage = (name: StageName, perSeed: number, aligned: number, trained: number): PlannedStage => {
    const trials = perSeed * seeds.length;
    return { name, trials, aligned: trials * aligned, trained: trials * trained };
  };
  const comparison = (name: 'blocks' | 'design' | 'dimensions', candidates: number): PlannedStage => {
    const own = recipe[name]!;
    return stage(name, candidates, shaped(own, own.alignSteps), shaped(own, own.trainSteps));
  };
  const search = placement && 'layers' in placement ? undefined : placement;
  return [
    ...(search
      ? [
          stage(
            'placement',
            1,
            shaped(search, search.alignSteps),
            shaped(search, search.supernetSteps + search.finishSteps),
          ),
        ]
      : []),
    ...(blocks ? [comparison('blocks', blocks.mixers.length)] : []),
    ...(design ? [comparison('design', design.designs?.length ?? jetDesigns(ONE_HEAD).length)] : []),
    ...(dimensions ? [comparison('dimensions', gridSize(recipe, config))] : []),
    ...(final
      ? [stage('final', 1, 0, shaped(final, final.featureSteps + final.logitSteps + final.allSteps))]
      : []),
    ...(mlps && search ? [stage('mlps', 1, 0, shaped(search, search.supernetSteps))] : []),
  ];
}

const ONE_HEAD = { heads: 1, keyDim: 8, valueDim: 8 };

/** Every kind of block starts with the same heads and widths, so that any of them tells the size of the grid. */
function gridSize({ dimensions }: PreparedRecipe, config: ModelConfig): number {
  const { heads, aspect, convSizes } = dimensions!;
  const spec = linearMixer(BEST_MIXER, config);
  return sameStateSize(spec, { heads: heads ?? nearbyHeads(sizedPart(spec).heads), aspect, convSizes })
    .length;
}
