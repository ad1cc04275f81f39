import { join } from 'node:path';
import { openCheckpoint } from '../../../model/checkpoint.ts';
import { noticeBy, type OnProgress } from '../../../util/progress.ts';
import { type Identity, without } from '../../../util/store/identity.ts';
import { remember } from '../../../util/store/kept.ts';
import { Judge, pathOf, replacedLayers, tasksIdentity } from '../../judge/judge.ts';
import { PathScorer } from '../../judge/scorer.ts';
import { BranchWeights } from '../../network/branches.ts';
import { Network } from '../../network/network.ts';
import { align } from '../../train/align.ts';
import { startOf } from '../../train/calibrate.ts';
import { scheduleOf } from '../../train/settings.ts';
import { trainSuperNetwork } from '../../train/super-network.ts';
import { asPlacement, type Judged, type Placement } from '../placement/searcher.ts';
import { searchIdentity } from '../placement/trained-branches.ts';
import type { Candidate, CompareSettings } from './compare.ts';
import type { BlockRun } from './result.ts';

/** One candidate with one seed: what a comparison trains and judges, independent of all other trials. */

/**
 * Trains and judges. What was found is kept in the trial's folder, so that a comparison whose trials were done
 * elsewhere has only to put them together.
 */
export async function runTrial(
  settings: CompareSettings,
  candidate: Candidate,
  seed: number,
): Promise<{ run: BlockRun; seconds: number }> {
  const { placement } = settings;
  const identity = trialIdentity(settings, candidate, seed);
  const folder = folderOf(settings, candidate, seed);
  return remember(
    join(folder, 'trial.json'),
    identity,
    async () => {
      const { network, alignment, loss, seconds } = await trainedNetwork(settings, candidate, seed);
      const label = labelOf(candidate, seed);
      const begun = performance.now();
      const judged = await judgeNetwork(settings, network, placement, join(folder, 'judged.json'), label);
      const judging = (performance.now() - begun) / 1000;
      return {
        run: { seed, alignment, loss, judged },
        seconds: seconds.align + seconds.train + judging,
      };
    },
    { onNotice: noticeBy(settings.onProgress, labelOf(candidate, seed)) },
  );
}

/** All that a trial depends on: every setting that is not left out here. */
export function trialIdentity(settings: CompareSettings, { spec: mixer }: Candidate, seed: number): Identity {
  const { config, weights } = openCheckpoint(settings.model);
  const elsewhere = ['out', 'onProgress', 'signal', 'threads', 'device'] as const;
  // Of the comparison, not of one trial.
  const ofAll = ['stage', 'candidates', 'seeds', 'decode', 'rule'] as const;
  return {
    ...searchIdentity({ ...settings, mixer }, new Network(config, weights)),
    ...without(settings, 'model', 'batches', ...elsewhere, ...ofAll),
    start: startOf(mixer, settings.start),
    placement: asPlacement(settings.placement),
    tasks: tasksIdentity(settings.tasks),
    mixer,
    seed,
  };
}

/** The parent with the trained candidate beside the attention of every layer that loses it. */
export async function trainedNetwork(settings: CompareSettings, candidate: Candidate, seed: number) {
  const { batches, windowDropout, onProgress, signal, threads, device } = settings;
  const { config, weights } = openCheckpoint(settings.model);
  const network = new Network(config, weights);
  const identity = searchIdentity({ ...settings, mixer: candidate.spec }, network);
  const placement = asPlacement(settings.placement);
  const layers = replacedLayers(placement, network.branches.length);
  const folder = folderOf(settings, candidate, seed);
  const shared = {
    batches,
    windowDropout,
    signal,
    threads,
    device,
    onProgress: named(onProgress, labelOf(candidate, seed)),
  };
  const branches = new BranchWeights(network, layers, candidate.spec);
  branches.initialise(seed);
  const start = startOf(candidate.spec, settings.start);
  const aligned = await align({
    ...shared,
    branches,
    shape: settings.align,
    start,
    schedule: scheduleOf(settings.align),
    seed,
    fingerprint: identity,
    folder: join(folder, 'align'),
  });
  branches.attach();
  const trained = await trainSuperNetwork({
    ...shared,
    branches,
    shape: settings.train,
    sampling: { rule: 'fixed', path: pathOf(placement, network.branches.length) },
    schedule: scheduleOf(settings.train),
    seed: seed + 1000,
    stage: 'train',
    fingerprint: { ...identity, align: settings.align, start },
    folder: join(folder, 'train'),
  });
  return {
    network,
    alignment: aligned.losses,
    loss: trained.loss,
    seconds: { align: aligned.seconds, train: trained.seconds },
  };
}

/** Judges the path that keeps full attention in `placement`; judgements are kept in the file `keep`. */
export async function judgeNetwork(
  {
    tasks,
    threads,
    device,
    signal,
    onProgress,
  }: Pick<CompareSettings, 'tasks' | 'threads' | 'device' | 'signal' | 'onProgress'>,
  network: Network,
  placement: Placement,
  keep: string,
  label: string,
): Promise<Judged> {
  const scorer = new PathScorer(network, { threads, device });
  try {
    const judge = new Judge(scorer, network.branches.length, tasks, {
      signal,
      onProgress: named(onProgress, label),
      keep: { path: keep, network: network.fingerprint() },
    });
    return (await judge.judge([placement]))[0]!;
  } finally {
    await scorer.dispose();
  }
}

function folderOf({ out }: CompareSettings, { name }: Candidate, seed: number): string {
  return join(out, `seed-${seed}`, name);
}

const labelOf = ({ name }: Candidate, seed: number) => `${name}, seed ${seed}`;

function named(onProgress: OnProgress | undefined, label: string): OnProgress | undefined {
  return onProgress && ((event) => onProgress({ ...event, stage: `${label}: ${event.stage}` }));
}
