import { join } from 'node:path';
import type { Device } from '../../../graph/index.ts';
import { showArchitecture } from '../../../mixers/registry.ts';
import type { MixerSpec } from '../../../mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import type { ModelConfig } from '../../../model/config.ts';
import type { GenerationConfig } from '../../../model/generation-config.ts';
import { refuseInputs } from '../../../model/output-place.ts';
import type { ObjectiveTask } from '../../../tasks/objective.ts';
import type { TrainingData } from '../../../train/batches.ts';
import { InputError } from '../../../util/errors.ts';
import { noticeBy, type OnProgress } from '../../../util/progress.ts';
import { Random } from '../../../util/random.ts';
import { type Identity, without } from '../../../util/store/identity.ts';
import { remember } from '../../../util/store/kept.ts';
import { bounds, checkBound, checkSeeds, checkTraining } from '../../bounds.ts';
import { Judge, objectiveOf, pathOf, tasksIdentity } from '../../judge/judge.ts';
import { PathScorer } from '../../judge/scorer.ts';
import { holdsModel, hybridOf } from '../../network/hybrid.ts';
import { Network } from '../../network/network.ts';
import { startOf } from '../../train/calibrate.ts';
import { scheduleOf, type TrainingSettings, tokensOf } from '../../train/settings.ts';
import type { Start } from '../../train/start.ts';
import { type PathSampling, trainSuperNetwork } from '../../train/super-network.ts';
import { beamSearch } from './beam.ts';
import { checkExhaustive, exhaustive } from './exhaustive.ts';
import { randomSearch } from './random.ts';
import type { PlacementResult, SearchRun } from './result.ts';
import { checkBudget, type Judged, placementKey, type Searcher } from './searcher.ts';
import { type SearchIdentity, searchIdentity, seedProgress, trainedBranches } from './trained-branches.ts';
import { uniform } from './uniform.ts';

export interface SearchSettings {
  /** Folder of the parent model. */
  model: string;
  /** Folder of the search: states to resume from, and the hybrid of each seed. */
  out: string;
  /** What takes the place of attention. */
  mixer: MixerSpec;
  /** What that starts from; from what the attention does, where it takes that, unless told. */
  start?: Start | undefined;
  /** Share of rows in which windows beside what is trained are left out, falling to 0 over each training; none unless told. */
  windowDropout?: number | undefined;
  /** Full-attention layers of the hybrid. */
  budget: number;
  seeds: readonly number[];
  tasks: readonly ObjectiveTask[];
  /** The same tasks with other examples: what is found is compared on these. Nothing is when not given. */
  unseenTasks?: readonly ObjectiveTask[];
  batches: TrainingData;
  align: TrainingSettings;
  supernet: TrainingSettings & { sampling: PathSampling };
  /** Training of the chosen architecture alone, after the search; 0 steps for none. */
  finish: TrainingSettings;
  beamWidth: number;
  /** Random placements to compare with; 0 for none. */
  randomSamples: number;
  /** Judge every placement of the budget too. */
  exhaustive: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
  threads?: number;
  /** Where it is computed; the CPU unless told. */
  device?: Device;
}

/**
 * Stage 1 of PostNAS: align, train the super network, search the placement, write the hybrid. Every stage resumes
 * where it was stopped; run again with the same settings, the result is the same.
 *
 * @throws InputError before any work for settings that cannot be met (a budget beyond the number of layers, rows
 *   beyond the context, ...), and for a folder that holds the states of a search with other settings
 */
export async function searchPlacement(settings: SearchSettings): Promise<PlacementResult> {
  const { mixer, budget, seeds, tasks, signal } = settings;
  checkSearch(settings, openCheckpoint(settings.model).config);
  const found: SeedFindings[] = [];
  for (const seed of seeds) {
    found.push(await searchSeed(settings, seed));
    signal?.throwIfAborted();
  }
  const runs = found.map(({ run }) => run);
  return {
    mixer,
    budget,
    objective: objectiveOf(tasks),
    base: found[0]!.parent,
    ...(found[0]!.unseenParent && {
      unseen: { objective: objectiveOf(settings.unseenTasks!), base: found[0]!.unseenParent },
    }),
    runs,
    ...sumOf(runs.flatMap(({ stages }) => stages)),
  };
}

/** @throws InputError for what could only fail later, after hours of training */
export function checkSearch(settings: SearchSettings, config: ModelConfig): void {
  const { budget, seeds, tasks, align: aligning, supernet, finish } = settings;
  const held = config.layers.length;
  checkBudget(budget, held);
  startOf(settings.mixer, settings.start);
  if (settings.exhaustive) checkExhaustive(budget, held);
  checkSeeds(seeds);
  checkBound('width of the beam', settings.beamWidth, bounds.beam);
  checkBound('random placements', settings.randomSamples, bounds.random);
  if (tasks.length === 0) throw new InputError('an objective needs at least one task');
  const names = tasks.map(({ plan }) => plan.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new InputError(`the objective has the task ${twice} twice`);
  checkTraining('alignment', aligning, config);
  checkTraining('the super network', supernet, config, { held });
  checkTraining('the finish', finish, config, { held, least: 0 });
  const { maxPositionEmbeddings } = config;
  for (const { plan } of [...tasks, ...(settings.unseenTasks ?? [])]) {
    if (plan.longest > maxPositionEmbeddings) {
      throw new InputError(
        `task ${plan.name} has rows of ${plan.longest} tokens, longer than the model's context of ` +
          `${maxPositionEmbeddings}`,
      );
    }
  }
}

/** Seconds and tokens of everything together, wherever and whenever it was done. */
function sumOf(stages: readonly { seconds: number; tokens: number }[]): { seconds: number; tokens: number } {
  const sum = (value: (stage: (typeof stages)[number]) => number) =>
    stages.reduce((total, stage) => total + value(stage), 0);
  return { seconds: sum(({ seconds }) => seconds), tokens: sum(({ tokens }) => tokens) };
}

interface SeedFindings {
  run: SearchRun;
  parent: Judged;
  /** On the unseen examples. */
  unseenParent?: Judged;
}

/**
 * The search with one seed, its hybrid included. Seeds do not depend on each other; what was found is kept in the
 * seed's folder, so that a search whose seeds were found elsewhere has only to put them together.
 */
export async function searchSeed(settings: SearchSettings, seed: number): Promise<SeedFindings> {
  const { config, weights, generation } = openCheckpoint(settings.model);
  const network = new Network(config, weights);
  const fingerprint = searchIdentity(settings, network);
  const identity = seedIdentity(settings, fingerprint, generation, seed);
  const folder = join(settings.out, `seed-${seed}`);
  refuseInputs(join(folder, 'hybrid'), [settings.model]);
  const found = join(folder, 'found.json');
  return remember(
    found,
    identity,
    () => searchOnce({ ...settings, generation, fingerprint }, network, seed),
    {
      onNotice: noticeBy(settings.onProgress, `seed ${seed}`),
      isWhole: () => holdsModel(join(folder, 'hybrid')),
    },
  );
}

/** All that the search of a seed depends on, its hybrid included: every setting that is not left out here. */
export function seedIdentity(
  settings: SearchSettings,
  fingerprint: SearchIdentity,
  generation: GenerationConfig,
  seed: number,
): Identity {
  const { tasks, unseenTasks } = settings;
  return {
    ...fingerprint,
    ...without(settings, 'model', 'batches', 'seeds', 'out', 'onProgress', 'signal', 'threads', 'device'),
    start: startOf(settings.mixer, settings.start),
    tasks: tasksIdentity(tasks),
    unseenTasks: unseenTasks && tasksIdentity(unseenTasks),
    generation,
    seed,
  };
}

async function searchOnce(
  settings: SearchSettings & { generation: GenerationConfig; fingerprint: SearchIdentity },
  network: Network,
  seed: number,
): Promise<SeedFindings> {
  const { out, budget, tasks, batches, onProgress, signal, threads, device } = settings;
  const layers = network.config.layers.length;
  const folder = join(out, `seed-${seed}`);
  const named = seedProgress(onProgress, seed);
  const shared = { batches, signal, threads, device };
  const { branches, aligned, supernet } = await trainedBranches(settings, network, seed, settings);
  const stages: SearchRun['stages'] = [
    { name: 'align', seconds: aligned.seconds, tokens: tokensOf(settings.align) },
    { name: 'super network', seconds: supernet.seconds, tokens: tokensOf(settings.supernet) },
  ];

  const scorer = new PathScorer(network, { threads, device });
  try {
    const judge = new Judge(scorer, layers, tasks, {
      onProgress: named('judge'),
      signal,
      keep: { path: join(folder, 'judged.json'), network: network.fingerprint() },
    });
    const everything = Array.from({ length: layers }, (_, i) => i);
    const mapping = performance.now();
    const [parent, ...heatMap] = await judge.judge([everything, ...everything.map((layer) => [layer])]);
    const mapped = (performance.now() - mapping) / 1000;
    stages.push({ name: 'heat map', seconds: mapped, tokens: judge.tokens });
    const list: Searcher[] = [
      beamSearch(settings.beamWidth),
      uniform,
      ...(settings.randomSamples > 0 ? [randomSearch(settings.randomSamples)] : []),
      ...(settings.exhaustive ? [exhaustive] : []),
    ];
    const searchers: SearchRun['searchers'] = [];
    for (const searcher of list) {
      const begun = performance.now();
      const before = judge.tokens;
      const random = new Random(seed);
      const { best, drawn } = await searcher.search({
        layers,
        budget,
        judge: judge.judge,
        random,
        onProgress: named(searcher.name),
        signal,
      });
      const seconds = (performance.now() - begun) / 1000;
      searchers.push({
        name: searcher.name,
        best,
        ...(drawn && { drawn }),
        seconds,
        tokens: judge.tokens - before,
      });
      stages.push({ name: searcher.name, seconds, tokens: judge.tokens - before });
    }
    const unseen =
      settings.unseenTasks &&
      (await judgeUnseen(scorer, network, settings, seed, searchers, settings.unseenTasks));
    if (unseen) stages.push(unseen.stage);
    const chosen = searchers[0]!.best.at(-1)!;
    const path = pathOf(chosen.placement, layers);

    if (settings.finish.steps > 0 && path.includes(1)) {
      const finished = await trainSuperNetwork({
        ...shared,
        branches,
        shape: settings.finish,
        windowDropout: settings.windowDropout,
        sampling: { rule: 'fixed', path },
        schedule: scheduleOf(settings.finish),
        seed: seed + 2000,
        stage: 'finish',
        fingerprint: {
          ...settings.fingerprint,
          align: settings.align,
          start: startOf(settings.mixer, settings.start),
          supernet: settings.supernet,
        },
        folder: join(folder, 'finish'),
        onProgress: named('finish'),
      });
      stages.push({ name: 'finish', seconds: finished.seconds, tokens: tokensOf(settings.finish) });
    }
    const hybrid = hybridOf(network, path);
    await saveCheckpoint(join(folder, 'hybrid'), hybrid.config, hybrid.weights, {
      dtype: 'F32',
      tokenizerFrom: settings.model,
      generation: settings.generation,
      signal,
    });
    return {
      parent: parent!,
      ...(unseen && { unseenParent: unseen.parent }),
      run: {
        seed,
        alignment: aligned.losses,
        supernetLoss: supernet.loss,
        heatMap,
        searchers,
        ...(unseen && { unseen: unseen.judged }),
        architecture: showArchitecture(hybrid.config.layers),
        placement: [...chosen.placement],
        stages,
      },
    };
  } finally {
    await scorer.dispose();
  }
}

/** What the searchers found, on examples that they did not see: who looks at more placements is luckier on those it saw. */
async function judgeUnseen(
  scorer: PathScorer,
  network: Network,
  { out, onProgress, signal }: SearchSettings,
  seed: number,
  searchers: SearchRun['searchers'],
  tasks: readonly ObjectiveTask[],
): Promise<{ parent: Judged; judged: Judged[]; stage: SearchRun['stages'][number] }> {
  const begun = performance.now();
  const layers = network.branches.map((_, layer) => layer);
  const judge = new Judge(scorer, layers.length, tasks, {
    onProgress: seedProgress(onProgress, seed)('judge on unseen examples'),
    signal,
    keep: { path: join(out, `seed-${seed}`, 'unseen.json'), network: network.fingerprint() },
  });
  const found = searchers.flatMap(({ best, drawn = [] }) => [best.at(-1)!, ...drawn]);
  const placements = new Map(
    [[], ...found.map(({ placement }) => placement)].map((each) => [placementKey(each), each]),
  );
  const [parent, ...judged] = await judge.judge([layers, ...placements.values()]);
  const seconds = (performance.now() - begun) / 1000;
  return { parent: parent!, judged, stage: { name: 'unseen examples', seconds, tokens: judge.tokens } };
}
