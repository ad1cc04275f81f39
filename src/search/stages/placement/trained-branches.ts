import { join } from 'node:path';
import { sourceOf } from '../../../mixers/registry.ts';
import type { TrainResult } from '../../../train/trainer.ts';
import type { OnProgress } from '../../../util/progress.ts';
import { hashOf, type Identity } from '../../../util/store/identity.ts';
import { BranchWeights } from '../../network/branches.ts';
import type { Network } from '../../network/network.ts';
import { align } from '../../train/align.ts';
import { startOf } from '../../train/calibrate.ts';
import { dataHash, NUMBERS, scheduleOf } from '../../train/settings.ts';
import { trainSuperNetwork } from '../../train/super-network.ts';
import type { SearchSettings } from './search.ts';

/** What all work of a search depends on beside its settings. */
export interface SearchIdentity extends Identity {
  numbers: number;
  parent: string;
  data: string;
  /** The source of a mixer from outside. */
  source?: string;
}

export function searchIdentity(
  { batches, align, mixer }: Pick<SearchSettings, 'batches' | 'align' | 'mixer'>,
  parent: Network,
): SearchIdentity {
  const source = sourceOf(mixer);
  return {
    numbers: NUMBERS,
    parent: parent.fingerprint(),
    data: dataHash(batches, align.length),
    ...(source && { source: hashOf(source) }),
  };
}

/** Progress under the name of a seed. */
export function seedProgress(onProgress: OnProgress | undefined, seed: number) {
  return (name: string): OnProgress | undefined =>
    onProgress && ((event) => onProgress({ ...event, stage: `seed ${seed}: ${name}` }));
}

export interface TrainedBranches {
  branches: BranchWeights;
  aligned: Awaited<ReturnType<typeof align>>;
  supernet: TrainResult;
}

/**
 * Gives every layer of a network a linear branch, aligned and trained along sampled paths. Both stages keep their
 * states in the seed's folder, where they resume; once trained, the same is had again at once.
 *
 * @param mlps a folder for the states of a super network whose MLPs are trained too; frozen when not given
 */
export async function trainedBranches(
  settings: Pick<
    SearchSettings,
    | 'out'
    | 'mixer'
    | 'start'
    | 'windowDropout'
    | 'batches'
    | 'align'
    | 'supernet'
    | 'onProgress'
    | 'signal'
    | 'threads'
    | 'device'
  >,
  network: Network,
  seed: number,
  { fingerprint, mlps }: { fingerprint: SearchIdentity; mlps?: string | undefined },
): Promise<TrainedBranches> {
  const { batches, windowDropout, signal, threads, device } = settings;
  const folder = join(settings.out, `seed-${seed}`);
  const named = seedProgress(settings.onProgress, seed);
  const shared = { batches, windowDropout, signal, threads, device };
  const branches = new BranchWeights(
    network,
    network.branches.map((_, layer) => layer),
    settings.mixer,
  );
  branches.initialise(seed);
  const start = startOf(settings.mixer, settings.start);
  const aligned = await align({
    ...shared,
    branches,
    shape: settings.align,
    start,
    schedule: scheduleOf(settings.align),
    seed,
    fingerprint,
    folder: join(folder, 'align'),
    // It tells of calibration, too.
    onProgress: (event) => named(event.stage)?.(event),
  });
  branches.attach();
  const supernet = await trainSuperNetwork({
    ...shared,
    branches,
    shape: settings.supernet,
    sampling: settings.supernet.sampling,
    schedule: scheduleOf(settings.supernet),
    seed: seed + 1000,
    // Each stage begins with what the one before left: its state is good for that alone.
    fingerprint: { ...fingerprint, align: settings.align, start },
    mlps: mlps !== undefined,
    folder: join(mlps ?? folder, 'supernet'),
    onProgress: named(mlps ? 'super network with MLPs' : 'super network'),
  });
  return { branches, aligned, supernet };
}
