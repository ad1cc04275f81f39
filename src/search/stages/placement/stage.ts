import { join } from 'node:path';
import { average } from '../../../util/statistics.ts';
import { linearMixer } from '../../network/linear-mixer.ts';
import { ledBy, type RunContext, training } from '../../run/context.ts';
import type { MakeStage } from '../../run/stage.ts';
import { tokensOf } from '../../train/settings.ts';
import type { PlacementResult } from './result.ts';
import { type SearchSettings, searchPlacement, searchSeed } from './search.ts';

/** Stage 1: where full attention must stay. */
export const placementStage: MakeStage<'placement'> = (context) => {
  const settings = placementSettings(context);
  return {
    units: context.recipe.seeds.map((seed) => ({
      id: `placement/seed-${seed}`,
      tokens: tokensOf(settings.align) + tokensOf(settings.supernet),
      run: (control) => searchSeed({ ...settings, ...control }, seed),
    })),
    finish: (control) => searchPlacement({ ...settings, ...control }),
  };
};

export function placementSettings(context: RunContext): SearchSettings {
  const { recipe, config, model, batches, threads, device, command } = context;
  const { placement } = recipe;
  const { budget, sampling, rate } = placement;
  return {
    model,
    out: join(context.out, 'placement'),
    mixer: linearMixer(placement.mixer, config),
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
    finish: training(recipe, placement, 0, rate),
    beamWidth: placement.beam,
    randomSamples: placement.random,
    exhaustive: placement.exhaustive,
    threads,
    device,
    command,
  };
}

/** How one placement is taken for all seeds. */
export const AGREEMENT =
  'what most seeds found; of those found equally often the one with the highest mean score';

/** The one placement that later stages keep: AGREEMENT. */
export function agreedPlacement({ runs }: PlacementResult): number[] {
  const found = new Map<string, { placement: number[]; scores: number[] }>();
  for (const { placement, searchers } of runs) {
    const key = placement.join();
    const entry = found.get(key) ?? { placement, scores: [] };
    entry.scores.push(searchers[0]!.best.at(-1)!.score);
    found.set(key, entry);
  }
  return [...found.values()].sort(
    (a, b) => b.scores.length - a.scores.length || average(b.scores) - average(a.scores),
  )[0]!.placement;
}
