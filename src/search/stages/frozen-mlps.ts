import { join } from 'node:path';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { combinations, countCombinations } from '../../util/combinations.ts';
import { noticeBy } from '../../util/progress.ts';
import { rankCorrelation } from '../../util/statistics.ts';
import { hashOf } from '../../util/store/identity.ts';
import { remember } from '../../util/store/kept.ts';
import { Judge } from '../judge/judge.ts';
import { PathScorer } from '../judge/scorer.ts';
import { Network } from '../network/network.ts';
import type { RunContext } from '../run/context.ts';
import { unitIdentity } from '../run/identity.ts';
import { type Findings, type MakeStage, stageFolder } from '../run/stage.ts';
import { tokensOf } from '../train/settings.ts';
import type { MlpsResult } from './mlps-result.ts';
import type { SearchSettings } from './placement/search.ts';
import { type Judged, type Placement, placementKey } from './placement/searcher.ts';
import { searchSettings } from './placement/stage.ts';
import { searchIdentity, trainedBranches } from './placement/trained-branches.ts';

/**
 * Whether the search may freeze the MLPs, as PostNAS does: a second super network per seed whose MLPs are trained along
 * with the mixers, from the same start on the same batches and paths, and the same placements judged on both.
 */
export const mlpsStage: MakeStage<'mlps'> = (context, findings) => {
  const { mlps, seeds } = context.recipe;
  const settings = searchSettings(context);
  if (!mlps || !settings) return undefined;
  const placements = placementsOf(settings.budget, context, findings);
  const tokens = tokensOf(settings.supernet);
  return {
    units: seeds.map((seed) => ({
      id: `mlps/seed-${seed}`,
      tokens,
      run: (control) => compare(context, { ...settings, ...control }, placements, seed),
    })),
    finish: async (control) => {
      const runs: SeedFindings[] = [];
      for (const seed of seeds)
        runs.push(await compare(context, { ...settings, ...control }, placements, seed));
      return {
        placements,
        runs: runs.map(({ seconds: _, tokens: __, ...run }) => run),
        seconds: runs.reduce((sum, { seconds }) => sum + seconds, 0),
        tokens: runs.reduce((sum, run) => sum + run.tokens, 0),
      };
    },
  };
};

type SeedFindings = MlpsResult['runs'][number] & { seconds: number; tokens: number };

/** Placements up to which all of them are judged. */
const ALL = 64;

/** Every placement of the budget in a small model; in a large one those that a searcher of stage 1 judged best. */
function placementsOf(budget: number, { config }: RunContext, { placement }: Findings): Placement[] {
  const layers = config.layers.length;
  if (countCombinations(layers, budget) <= ALL) return combinations(layers, budget);
  const judged = placement!.runs.flatMap(({ searchers, heatMap }) => [
    ...searchers.flatMap(({ best }) => best),
    ...heatMap,
  ]);
  return [...new Map(judged.map(({ placement }) => [placementKey(placement), placement])).values()];
}

async function compare(
  context: RunContext,
  settings: SearchSettings,
  placements: readonly Placement[],
  seed: number,
): Promise<SeedFindings> {
  const { config, weights } = openCheckpoint(context.model);
  const fingerprint = searchIdentity(settings, new Network(config, weights));
  const { align, supernet, tasks, mixer, threads, device, signal, onProgress } = settings;
  const folder = join(stageFolder(context, 'mlps'), `seed-${seed}`);
  const judge = async (mlps: boolean): Promise<{ judged: Judged[]; seconds: number; tokens: number }> => {
    const network = new Network(config, weights);
    const trained = await trainedBranches(settings, network, seed, {
      fingerprint,
      mlps: mlps ? folder : undefined,
    });
    const scorer = new PathScorer(network, { threads, device });
    try {
      const begun = performance.now();
      const judging = new Judge(scorer, network.branches.length, tasks, {
        signal,
        onProgress: onProgress && ((event) => onProgress({ ...event, stage: `MLPs, seed ${seed}: judge` })),
        keep: {
          path: join(folder, mlps ? 'trained.json' : 'frozen.json'),
          network: network.fingerprint(),
        },
      });
      const judged = await judging.judge(placements);
      const seconds = (performance.now() - begun) / 1000 + (mlps ? trained.supernet.seconds : 0);
      return { judged, seconds, tokens: judging.tokens + (mlps ? tokensOf(supernet) : 0) };
    } finally {
      await scorer.dispose();
    }
  };
  const identity = {
    ...unitIdentity(context, 'mlps', {}, seed),
    ...{ placements: hashOf(placements), mixer, align, supernet },
  };
  return remember(
    join(folder, 'found.json'),
    identity,
    async () => {
      const [frozen, trained] = [await judge(false), await judge(true)];
      const scores = ({ judged }: { judged: Judged[] }) => judged.map(({ score }) => score);
      return {
        seed,
        frozen: frozen.judged,
        trained: trained.judged,
        // Scores that are all the same rank nothing, and agree on nothing.
        rankCorrelation: rankCorrelation(scores(frozen), scores(trained)) ?? 0,
        seconds: frozen.seconds + trained.seconds,
        tokens: frozen.tokens + trained.tokens,
      };
    },
    { onNotice: noticeBy(onProgress, `MLPs, seed ${seed}`) },
  );
}
