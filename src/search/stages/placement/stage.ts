import { linearMixer } from '../../network/linear-mixer.ts';
import { ledBy, type RunContext, training } from '../../run/context.ts';
import { type MakeStage, stageFolder } from '../../run/stage.ts';
import { tokensOf } from '../../train/settings.ts';
import { type SearchSettings, searchPlacement, searchSeed } from './search.ts';

/** Stage 1: where full attention must stay. */
export const placementStage: MakeStage<'placement'> = (context) => {
  const settings = searchSettings(context);
  return (
    settings && {
      units: context.recipe.seeds.map((seed) => ({
        id: `placement/seed-${seed}`,
        tokens: tokensOf(settings.align) + tokensOf(settings.supernet) + tokensOf(settings.finish),
        run: (control) => searchSeed({ ...settings, ...control }, seed),
      })),
      finish: (control) => searchPlacement({ ...settings, ...control }),
    }
  );
};

/** The settings of the search; undefined where the recipe does not search the placement. */
export function searchSettings(context: RunContext): SearchSettings | undefined {
  const { recipe, config, model, batches, threads, device } = context;
  const { placement } = recipe;
  if (!placement || 'layers' in placement) return undefined;
  const { budget, sampling, rate } = placement;
  return {
    model,
    out: stageFolder(context, 'placement'),
    mixer: linearMixer(placement.mixer, config),
    start: placement.start,
    windowDropout: placement.windowDropout,
    budget,
    seeds: recipe.seeds,
    tasks: ledBy(context.tasks, placement.objective),
    unseenTasks: ledBy(context.freshTasks, placement.objective),
    batches,
    align: training(recipe, placement, placement.alignSteps, rate),
    supernet: {
      ...training(recipe, placement, placement.supernetSteps, rate),
      sampling: sampling === 'budget' ? { rule: sampling, budget } : { rule: sampling },
    },
    finish: training(recipe, placement, placement.finishSteps, rate / 2),
    beamWidth: placement.beam,
    randomSamples: placement.random,
    exhaustive: placement.exhaustive,
    threads,
    device,
  };
}
