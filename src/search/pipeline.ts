import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '../graph/index.ts';
import { showArchitecture } from '../mixers/registry.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { hasWeights, openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import type { ModelConfig } from '../model/config.ts';
import type { GenerationConfig } from '../model/hf-config.ts';
import type { TokenBatches } from '../train/batches.ts';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import type { OnProgress } from '../util/progress.ts';
import { Random } from '../util/random.ts';
import { identityOf, remember } from '../util/remember.ts';
import { hybridOf } from './hybrid.ts';
import { Judge, type ObjectiveTask, objectiveOf, pathOf } from './judge.ts';
import { Network } from './network.ts';
import { beamSearch } from './placement/beam.ts';
import { checkExhaustive, exhaustive } from './placement/exhaustive.ts';
import { randomSearch } from './placement/random.ts';
import { checkBudget, type Judged, type Searcher } from './placement/searcher.ts';
import { uniform } from './placement/uniform.ts';
import type { SearchResult, SearchRun } from './result.ts';
import { PathScorer } from './scorer.ts';
import { scheduleOf, type TrainingSettings, tokensOf } from './settings.ts';
import { type SearchIdentity, searchIdentity, seedProgress, superNetwork } from './super-network.ts';
import { type PathSampling, trainSupernet } from './supernet.ts';

export interface SearchSettings {
  /** Folder of the parent model. */
  model: string;
  /** Folder of the run: states to resume from, result.json, the hybrid. */
  out: string;
  /** What takes the place of attention. */
  mixer: MixerSpec;
  /** Full-attention layers of the hybrid. */
  budget: number;
  seeds: readonly number[];
  tasks: readonly ObjectiveTask[];
  batches: TokenBatches;
  align: TrainingSettings;
  supernet: TrainingSettings & { sampling: PathSampling };
  /** Training of the chosen architecture alone, after the search; 0 steps for none. */
  finish: TrainingSettings;
  beamWidth: number;
  /** Random placements to compare with; 0 for none. */
  randomSamples: number;
  /** Judge every placement of the budget too. */
  exhaustive: boolean;
  /** What repeats the search, to be kept with its result. */
  command?: string;
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
export async function searchPlacement(settings: SearchSettings): Promise<SearchResult> {
  const { out, mixer, budget, seeds, tasks, signal } = settings;
  const { config, weights } = openCheckpoint(settings.model);
  const layers = config.layers.length;
  checkSearch(settings, config);
  mkdirSync(out, { recursive: true });
  const found: SeedFindings[] = [];
  for (const seed of seeds) {
    found.push(await searchSeed(settings, seed));
    signal?.throwIfAborted();
  }
  const runs = found.map(({ run }) => run);
  const result: SearchResult = {
    format: 'postnas-search-1',
    command: settings.command,
    created: new Date().toISOString(),
    model: {
      path: settings.model,
      layers,
      parameters: weights
        .names()
        .reduce((n, name) => n + weights.info(name).shape.reduce((a, b) => a * b, 1), 0),
    },
    mixer,
    budget,
    objective: objectiveOf(tasks),
    base: found[0]!.parent,
    runs,
    ...sumOf(runs.flatMap(({ stages }) => stages)),
  };
  writeFileAtomic(join(out, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** @throws InputError for what could only fail later, after hours of training */
export function checkSearch(settings: SearchSettings, config: ModelConfig): void {
  const { budget, seeds, tasks, align: aligning, supernet, finish } = settings;
  const layers = config.layers.length;
  checkBudget(budget, layers);
  if (settings.exhaustive) checkExhaustive(budget, layers);
  if (seeds.length === 0 || new Set(seeds).size < seeds.length) {
    throw new InputError(`seeds [${seeds}]: expected at least one, and different ones`);
  }
  if (tasks.length === 0) throw new InputError('an objective needs at least one task');
  const names = tasks.map(({ plan }) => plan.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new InputError(`the objective has the task ${twice} twice`);
  const { maxPositionEmbeddings } = config;
  for (const [what, length] of [
    ['alignment', aligning.length],
    ['the super network', supernet.length],
    ['the finish', finish.length],
    ...tasks.map(({ plan }) => [`task ${plan.name}`, plan.longest] as const),
  ] as const) {
    if (length > maxPositionEmbeddings) {
      throw new InputError(
        `${what} has rows of ${length} tokens, longer than the model's context of ${maxPositionEmbeddings}`,
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
}

/**
 * The search with one seed, its hybrid included. Seeds do not depend on each other; what was found is kept in the
 * seed's folder, so that a search whose seeds were found elsewhere has only to put them together.
 */
export async function searchSeed(settings: SearchSettings, seed: number): Promise<SeedFindings> {
  const { config, weights, generation } = openCheckpoint(settings.model);
  const network = new Network(config, weights);
  const fingerprint = searchIdentity(settings, network);
  const { mixer, budget, tasks, align, supernet, finish, beamWidth, randomSamples, exhaustive } = settings;
  const identity = identityOf(
    { mixer, budget, tasks, align, supernet, finish, beamWidth, randomSamples, exhaustive, seed },
    fingerprint,
  );
  const folder = join(settings.out, `seed-${seed}`);
  const found = join(folder, 'found.json');
  if (!hasWeights(join(folder, 'hybrid'))) rmSync(found, { force: true });
  return remember(found, identity, () => searchOnce({ ...settings, generation, fingerprint }, network, seed));
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
  const { branches, aligned, supernet } = await superNetwork(settings, network, seed, settings);
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
      const { best } = await searcher.search({
        layers,
        budget,
        judge: judge.judge,
        random,
        onProgress: named(searcher.name),
        signal,
      });
      const seconds = (performance.now() - begun) / 1000;
      searchers.push({ name: searcher.name, best, seconds, tokens: judge.tokens - before });
      stages.push({ name: searcher.name, seconds, tokens: judge.tokens - before });
    }
    const chosen = searchers[0]!.best.at(-1)!;
    const path = pathOf(chosen.placement, layers);

    if (settings.finish.steps > 0 && path.includes(1)) {
      const finished = await trainSupernet({
        ...shared,
        branches,
        shape: settings.finish,
        sampling: { rule: 'fixed', path },
        schedule: scheduleOf(settings.finish),
        seed: seed + 2000,
        stage: 'finish',
        fingerprint: {
          ...settings.fingerprint,
          align: settings.align,
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
      run: {
        seed,
        alignment: aligned.losses,
        supernetLoss: supernet.loss,
        heatMap,
        searchers,
        architecture: showArchitecture(hybrid.config.layers),
        placement: [...chosen.placement],
        stages,
      },
    };
  } finally {
    await scorer.dispose();
  }
}
