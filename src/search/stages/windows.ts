import { join } from 'node:path';
import { attentionForm, attentionSpec } from '../../mixers/head-attention.ts';
import { noticeBy } from '../../util/progress.ts';
import { Random } from '../../util/random.ts';
import { remember } from '../../util/store/kept.ts';
import { Judge, objectiveOf, replacedLayers } from '../judge/judge.ts';
import { PathScorer } from '../judge/scorer.ts';
import type { Network } from '../network/network.ts';
import { chosenNetwork } from '../run/chosen.ts';
import { ledBy, type RunContext } from '../run/context.ts';
import { unitIdentity } from '../run/identity.ts';
import { type Findings, type MakeStage, stageFolder, type Unit } from '../run/stage.ts';
import { beamSearch } from './placement/beam.ts';
import { type Judged, type Placement, placementKey } from './placement/searcher.ts';
import { uniform } from './placement/uniform.ts';
import type { WindowsResult } from './windows-result.ts';

/**
 * Sliding windows, placed as in the paper after full attention and by another objective (spec §3.1): some of the layers
 * that lost their attention get it back over the last tokens only. They need no training: the weights are the parent's.
 */
export const windowsStage: MakeStage<'windows'> = (context, findings) => {
  const { recipe, tasks } = context;
  const { windows, seeds } = recipe;
  if (!windows) return undefined;
  return {
    units: seeds.map((seed) => ({
      id: `windows/seed-${seed}`,
      tokens: 0,
      run: (control) => search(context, findings, seed, control),
    })),
    finish: async (control) => {
      const runs: SeedWindows[] = [];
      for (const seed of seeds) runs.push(await search(context, findings, seed, control));
      const sum = (value: (run: SeedWindows) => number) => runs.reduce((total, run) => total + value(run), 0);
      return {
        window: windows.size,
        ...(windows.sinks ? { sinks: windows.sinks } : {}),
        budget: windows.budget,
        objective: objectiveOf(ledBy(tasks, windows.objective)),
        runs: runs.map(({ seed, alone, searchers }) => ({ seed, alone, searchers })),
        chosen: await agreed(context, findings, runs, control),
        rule: AGREED,
        seconds: sum(({ seconds }) => seconds),
        tokens: sum((run) => run.tokens),
      };
    },
  };
};

type Control = Parameters<Unit['run']>[0];
type SeedWindows = WindowsResult['runs'][number] & { seconds: number; tokens: number };

/** The search with one seed. */
async function search(
  context: RunContext,
  findings: Findings,
  seed: number,
  control: Control,
): Promise<SeedWindows> {
  const { windows } = context.recipe;
  const folder = join(stageFolder(context, 'windows'), `seed-${seed}`);
  const identity = unitIdentity(context, 'windows', findings, seed);
  const onNotice = noticeBy(control.onProgress, `windows, seed ${seed}`);
  return remember(
    join(folder, 'found.json'),
    identity,
    () =>
      withJudge(context, findings, seed, control, async (judge, free) => {
        const begun = performance.now();
        const budget = Math.min(windows!.budget, free.length);
        const alone = await judge.judge([[], ...free.map((_, i) => [i])]);
        const searchers: SeedWindows['searchers'] = [];
        for (const searcher of [beamSearch(windows!.beam), uniform]) {
          const random = new Random(seed);
          const { signal } = control;
          const { best } = await searcher.search({
            layers: free.length,
            budget,
            judge: judge.judge,
            random,
            signal,
          });
          searchers.push({ name: searcher.name, best: best.map((judged) => inModel(judged, free)) });
        }
        return {
          seed,
          alone: alone.map((judged) => inModel(judged, free)),
          searchers,
          seconds: (performance.now() - begun) / 1000,
          tokens: judge.tokens,
        };
      }),
    { onNotice },
  );
}

const AGREED =
  'of all that the beam found best with any seed and any number of windows, the highest mean score over all seeds';

/** AGREED: each of them is judged with every seed. */
async function agreed(
  context: RunContext,
  findings: Findings,
  runs: readonly SeedWindows[],
  control: Control,
): Promise<number[]> {
  const found = new Map(
    runs.flatMap(({ searchers }) =>
      searchers[0]!.best.map(({ placement }) => [placementKey(placement), [...placement]]),
    ),
  );
  const placements = [...found.values()];
  const totals = placements.map(() => 0);
  for (const { seed } of runs) {
    const judged = await withJudge(context, findings, seed, control, (judge, free) =>
      judge.judge(placements.map((placement) => placement.map((layer) => free.indexOf(layer)))),
    );
    for (const [i, { score }] of judged.entries()) totals[i]! += score;
  }
  return placements[totals.indexOf(Math.max(...totals))]!;
}

/**
 * Calls with a judge of window placements in the chosen network of a seed. Its placements are of the layers that lost
 * their attention, `free`, counted from 0 among themselves.
 */
async function withJudge<T>(
  context: RunContext,
  findings: Findings,
  seed: number,
  control: Control,
  use: (judge: Judge, free: readonly number[]) => Promise<T>,
): Promise<T> {
  const { recipe, config } = context;
  const { size, sinks, objective } = recipe.windows!;
  const { onProgress, signal, threads, device } = control;
  const { network, placement: full } = await chosenNetwork(context, findings, seed, control);
  const free = replacedLayers(full, config.layers.length);
  addWindows(network, free, size, sinks);
  const scorer = new PathScorer(network, { threads, device });
  const inLayers = (placement: Placement) => placement.map((i) => free[i]!);
  try {
    const judge = new Judge(scorer, free.length, ledBy(context.tasks, objective), {
      signal,
      onProgress: onProgress && ((event) => onProgress({ ...event, stage: `windows, seed ${seed}: judge` })),
      path: (placement) => windowPath(full, inLayers(placement), config.layers.length),
      keep: {
        path: join(stageFolder(context, 'windows'), `seed-${seed}`, 'judged.json'),
        network: network.fingerprint(),
      },
    });
    return await use(judge, free);
  } finally {
    await scorer.dispose();
  }
}

/** The branch of windows in a network that has one linear branch per layer that lost its attention. */
const WINDOW = 2;

/** Gives layers a third branch: their own attention over the last tokens, and the first ones. */
export function addWindows(network: Network, layers: readonly number[], size: number, sinks = 0): void {
  for (const layer of layers) {
    const { weights, spec: full } = network.branches[layer]![0]!;
    const spec = attentionSpec([], network.config, { window: size, sinks, ...attentionForm(full) });
    const branch = network.addBranch(layer, { spec, weights });
    if (branch !== WINDOW)
      throw new Error(`layer ${layer} has ${branch} branches before its window, expected 2`);
  }
}

/** Full attention, windows, and the linear branch in all other layers. */
export function windowPath(full: Placement, windows: Placement, layers: number): number[] {
  return Array.from({ length: layers }, (_, layer) =>
    full.includes(layer) ? 0 : windows.includes(layer) ? WINDOW : 1,
  );
}

const inModel = (judged: Judged, free: readonly number[]): Judged => ({
  ...judged,
  placement: judged.placement.map((i) => free[i]!),
});
