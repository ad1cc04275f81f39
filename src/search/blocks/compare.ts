import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '../../graph/index.ts';
import { mixerOf } from '../../mixers/registry.ts';
import { stateBytes, totalBytes } from '../../mixers/state-bytes.ts';
import { openCheckpoint, saveCheckpoint } from '../../model/checkpoint.ts';
import { countParameters } from '../../model/parameters.ts';
import type { TokenBatches } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import { writeFileAtomic } from '../../util/files.ts';
import type { OnProgress, ProgressEvent } from '../../util/progress.ts';
import { align, BranchWeights } from '../align.ts';
import { hybridOf } from '../hybrid.ts';
import { Judge, type ObjectiveTask, pathOf } from '../judge.ts';
import type { SizedSpec } from '../linear-mixer.ts';
import { Network } from '../network.ts';
import { asPlacement, checkBudget, type Judged } from '../placement/searcher.ts';
import { PathScorer } from '../scorer.ts';
import { dataHash, scheduleOf, type TrainingSettings, tokensOf } from '../settings.ts';
import { trainSupernet } from '../supernet.ts';
import type { ChoiceRule } from './choice.ts';
import { longestPrompt, measureDecode } from './decode-speed.ts';
import { stateSize } from './dimensions.ts';
import type { BlockFindings, BlocksResult } from './result.ts';

/**
 * Stages 2 to 4 of PostNAS are one comparison with different candidates: kinds of blocks, designs of the JetBlock,
 * dimensions. The placement of full attention is fixed; every candidate takes the place of all other layers, starts
 * from the same parent and is trained on the same batches (a seed's batches are the same for all), judged on the
 * same examples and timed on the same machine.
 */

export interface Candidate {
  /** Unique in the comparison; also the name of its folder. */
  name: string;
  spec: SizedSpec;
}

export interface CompareSettings {
  stage: BlocksResult['stage'];
  /** Folder of the parent model. */
  model: string;
  /** Folder of the run: states to resume from, result.json, the hybrid of the chosen block. */
  out: string;
  /** The layers that keep full attention. */
  placement: readonly number[];
  candidates: readonly Candidate[];
  seeds: readonly number[];
  tasks: readonly ObjectiveTask[];
  batches: TokenBatches;
  align: TrainingSettings;
  /** Feature distillation of the whole hybrid with all else frozen. */
  train: TrainingSettings;
  decode: { device?: Device; context: number; tokens: number; rounds: number };
  rule: ChoiceRule;
  /** What repeats the comparison, to be kept with its result. */
  command?: string;
  threads?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * Trains, judges and times every candidate with every seed, and chooses. Resumes where it was stopped.
 *
 * @throws InputError before any work for settings that cannot be met, and for a folder that holds the states of a
 *   comparison with other settings
 */
export async function compareBlocks(settings: CompareSettings): Promise<BlocksResult> {
  const { model, out, candidates, seeds, tasks, decode, threads = 0 } = settings;
  const { config, weights, generation } = openCheckpoint(model);
  const placement = asPlacement(settings.placement);
  check(settings, config.layers.length, longestPrompt(config, decode.tokens));
  mkdirSync(out, { recursive: true });
  const started = performance.now();
  const fresh = () => new Network(config, weights);
  const identity = { parent: fresh().fingerprint(), data: dataHash(settings.batches, settings.align.length) };
  const prepare = (candidate: Candidate, seed: number, onProgress?: OnProgress) =>
    trained({ ...settings, placement, onProgress }, fresh(), candidate, seed, identity);

  const base = await judgeParent(settings, fresh());
  const findings: BlockFindings[] = candidates.map(({ name, spec }) => ({
    name,
    spec,
    parameters: countParameters(mixerOf(spec).parameters(spec, config)),
    stateBytes: totalBytes(stateBytes(spec, config, 0, 4)),
    stateSize: stateSize(spec),
    decode: [],
    runs: [],
  }));
  const jobs = seeds.flatMap((seed) => candidates.map((candidate, i) => ({ seed, candidate, i })));
  for (const [done, { seed, candidate, i }] of jobs.entries()) {
    const label = `${candidate.name}, seed ${seed} (${done + 1} of ${jobs.length})`;
    const { network, alignment, loss, tokensPerSecond, folder } = await prepare(
      candidate,
      seed,
      named(settings.onProgress, label),
    );
    const judged = await judgeOne(settings, network, placement, join(folder, 'judged.json'), label);
    findings[i]!.runs.push({ seed, alignment, loss, judged, trainTokensPerSecond: tokensPerSecond });
  }
  await timeDecoding(settings, fresh, findings, placement);
  const chosen = settings.rule.choose(findings);

  const best = await prepare(candidates.find(({ name }) => name === chosen.name)!, seeds[0]!);
  const hybrid = hybridOf(best.network, pathOf(placement, config.layers.length));
  await saveCheckpoint(join(out, 'hybrid'), hybrid.config, hybrid.weights, {
    dtype: 'F32',
    tokenizerFrom: model,
    generation,
    signal: settings.signal,
  });
  const result: BlocksResult = {
    format: 'postnas-blocks-1',
    stage: settings.stage,
    command: settings.command,
    created: new Date().toISOString(),
    model: {
      path: model,
      layers: config.layers.length,
      parameters: countParameters(weights.names().map((name) => weights.info(name))),
    },
    placement,
    objective: tasks.map(({ plan, metric }) => ({ task: plan.name, metric, examples: plan.examples.length })),
    base,
    trainedTokens: tokensOf(settings.align) + tokensOf(settings.train),
    decode: { device: decode.device ?? 'cpu', threads, context: decode.context, tokens: decode.tokens },
    candidates: findings,
    choice: { name: chosen.name, rule: settings.rule.text },
    seconds: (performance.now() - started) / 1000,
  };
  writeFileAtomic(join(out, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

function check(
  { placement, candidates, seeds, tasks, decode, align, train }: CompareSettings,
  layers: number,
  prompt: number,
): void {
  checkBudget(placement.length, layers);
  const wrong = placement.find((layer) => !Number.isInteger(layer) || layer < 0 || layer >= layers);
  if (wrong !== undefined) {
    throw new InputError(`placement ${placement.join(', ')}: no layer ${wrong}, expected 0 to ${layers - 1}`);
  }
  if (asPlacement(placement).length === layers) {
    throw new InputError(`placement ${placement.join(', ')}: no layer is left for a block`);
  }
  const names = candidates.map(({ name }) => name);
  if (names.length === 0) throw new InputError('there is no block to compare');
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new InputError(`the block ${twice} is given twice`);
  if (seeds.length === 0 || new Set(seeds).size < seeds.length) {
    throw new InputError(`seeds [${seeds}]: expected at least one, and different ones`);
  }
  if (tasks.length === 0) throw new InputError('an objective needs at least one task');
  if (decode.context > prompt) {
    throw new InputError(
      `a decode context of ${decode.context} tokens, but with ${decode.tokens} timed tokens the model's context ` +
        `leaves room for ${prompt}`,
    );
  }
  for (const { steps } of [align, train]) {
    if (!Number.isInteger(steps) || steps < 1) throw new InputError(`${steps} steps, expected 1 or more`);
  }
}

const named =
  (onProgress: OnProgress | undefined, label: string): OnProgress | undefined =>
  (event: ProgressEvent) =>
    onProgress?.({ ...event, stage: `${label}: ${event.stage}` });

/** A network whose replaced layers have a trained candidate beside their attention. */
async function trained(
  settings: CompareSettings,
  network: Network,
  { name, spec }: Candidate,
  seed: number,
  identity: Record<string, string>,
) {
  const { batches, placement, onProgress, signal, threads } = settings;
  const layers = network.branches.map((_, i) => i).filter((layer) => !placement.includes(layer));
  const folder = join(settings.out, `seed-${seed}`, name);
  const shared = { batches, onProgress, signal, threads };
  const branches = new BranchWeights(network, layers, spec);
  branches.initialise(seed);
  const { losses } = await align({
    ...shared,
    branches,
    shape: settings.align,
    schedule: scheduleOf(settings.align),
    seed,
    fingerprint: identity,
    folder: join(folder, 'align'),
  });
  branches.attach();
  const { loss, seconds } = await trainSupernet({
    ...shared,
    branches,
    shape: settings.train,
    sampling: { rule: 'fixed', path: pathOf(placement, network.branches.length) },
    schedule: scheduleOf(settings.train),
    seed: seed + 1000,
    stage: 'train',
    fingerprint: { ...identity, align: settings.align },
    folder: join(folder, 'train'),
  });
  return { network, folder, alignment: losses, loss, tokensPerSecond: tokensOf(settings.train) / seconds };
}

async function judgeOne(
  { tasks, threads, signal, onProgress }: CompareSettings,
  network: Network,
  placement: readonly number[],
  keep: string,
  label: string,
): Promise<Judged> {
  const scorer = new PathScorer(network, { threads });
  try {
    const judge = new Judge(scorer, network.branches.length, tasks, {
      signal,
      onProgress: named(onProgress, label),
      keep: { path: keep, network: createHash('sha256').update(network.fingerprint()).digest('hex') },
    });
    return (await judge.judge([placement]))[0]!;
  } finally {
    await scorer.dispose();
  }
}

function judgeParent(settings: CompareSettings, network: Network): Promise<Judged> {
  const everything = network.branches.map((_, i) => i);
  return judgeOne(settings, network, everything, join(settings.out, 'parent.json'), 'parent');
}

/** Times all candidates in turns, so that a machine that slows down slows all of them. */
async function timeDecoding(
  { decode, onProgress, signal, threads, candidates }: CompareSettings,
  fresh: () => Network,
  findings: BlockFindings[],
  placement: readonly number[],
): Promise<void> {
  const hybrids = candidates.map(({ spec }) => {
    const network = fresh();
    const layers = network.branches.map((_, i) => i).filter((layer) => !placement.includes(layer));
    const branches = new BranchWeights(network, layers, spec);
    branches.initialise(1);
    branches.attach();
    return hybridOf(network, pathOf(placement, network.branches.length));
  });
  const total = decode.rounds * candidates.length;
  for (let round = 0; round < decode.rounds; round++) {
    for (const [i, hybrid] of hybrids.entries()) {
      findings[i]!.decode.push(await measureDecode(hybrid, { ...decode, threads, signal }));
      const done = round * candidates.length + i + 1;
      onProgress?.({ stage: 'time decoding', done, total, unit: 'runs' });
    }
  }
}
