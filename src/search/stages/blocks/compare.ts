import { join } from 'node:path';
import type { Device } from '../../../graph/index.ts';
import { mixerOf } from '../../../mixers/registry.ts';
import { stateBytes, totalBytes } from '../../../mixers/state-bytes.ts';
import { openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import { refuseInputs } from '../../../model/output-place.ts';
import { countParameters } from '../../../model/parameters.ts';
import type { ObjectiveTask } from '../../../tasks/objective.ts';
import type { TrainingData } from '../../../train/batches.ts';
import { InputError } from '../../../util/errors.ts';
import type { OnProgress } from '../../../util/progress.ts';
import { hashOf } from '../../../util/store/identity.ts';
import { remember } from '../../../util/store/kept.ts';
import { bounds, checkBound, checkSeeds, checkTraining } from '../../bounds.ts';
import { objectiveOf, pathOf } from '../../judge/judge.ts';
import { measured } from '../../measured.ts';
import { hybridOf } from '../../network/hybrid.ts';
import type { BlockSpec } from '../../network/linear-mixer.ts';
import { Network } from '../../network/network.ts';
import { startOf } from '../../train/calibrate.ts';
import { type TrainingSettings, tokensOf } from '../../train/settings.ts';
import type { Start } from '../../train/start.ts';
import { asPlacement, checkBudget, checkLayers, type Judged } from '../placement/searcher.ts';
import type { ChoiceRule } from './choice.ts';
import { inTurns, longestPrompt, measureDecode } from './decode-speed.ts';
import { stateSize } from './dimensions.ts';
import type { BlockFindings, BlocksResult, BlocksStage } from './result.ts';
import { measureTraining } from './train-speed.ts';
import { judgeNetwork, runTrial, trainedNetwork } from './trial.ts';
import { untrainedHybrid } from './untrained.ts';

/**
 * Stages 2 to 4 of PostNAS are one comparison with different candidates: kinds of blocks, designs of the JetBlock,
 * dimensions. The placement of full attention is fixed; every candidate takes the place of all other layers, starts
 * from the same parent and is trained on the same batches (a seed's batches are the same for all), judged on the
 * same examples and timed on the same machine.
 */

export interface Candidate {
  /** Unique in the comparison; also the name of its folder. */
  name: string;
  spec: BlockSpec;
}

export interface CompareSettings {
  stage: BlocksStage;
  /** Folder of the parent model. */
  model: string;
  /** Folder of the comparison: states to resume from, and the hybrid of the chosen block. */
  out: string;
  /** The layers that keep full attention. */
  placement: readonly number[];
  candidates: readonly Candidate[];
  /** What they start from; from what the attention does, where they take that, unless told. */
  start?: Start | undefined;
  /** Share of rows in which windows beside what is trained are left out, falling to 0 over each training; none unless told. */
  windowDropout?: number | undefined;
  seeds: readonly number[];
  tasks: readonly ObjectiveTask[];
  batches: TrainingData;
  align: TrainingSettings;
  /** Feature distillation of the whole hybrid with all else frozen. */
  train: TrainingSettings;
  decode: { device?: Device; context: number; tokens: number; rounds: number };
  rule: ChoiceRule;
  threads?: number;
  /** Where it is trained and judged; the CPU unless told. */
  device?: Device;
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
  checkComparison(settings);
  const { model, out, candidates, seeds, tasks, decode } = settings;
  const { config, weights, generation } = openCheckpoint(model);
  const placement = asPlacement(settings.placement);
  refuseInputs(join(out, 'hybrid'), [model]);
  const fresh = () => new Network(config, weights);
  let spent = 0;
  const base = await judgeParent(settings, fresh());
  const findings: BlockFindings[] = candidates.map(({ name, spec }) => ({
    name,
    spec,
    parameters: countParameters(mixerOf(spec).parameters(spec, config)),
    stateBytes: totalBytes(stateBytes(spec, config, 0, 4)),
    stateSize: stateSize(spec),
    decode: [],
    train: [],
    runs: [],
  }));
  for (const { candidate, seed } of trialsOf(settings)) {
    const { run, seconds } = await runTrial(settings, candidate, seed);
    findings.find(({ name }) => name === candidate.name)!.runs.push(run);
    spent += seconds;
  }
  const { threads } = await timeCandidates(settings, fresh, findings, placement);
  const chosen = await choose(settings, findings);

  const best = await trainedNetwork(settings, candidates.find(({ name }) => name === chosen)!, seeds[0]!);
  const hybrid = hybridOf(best.network, pathOf(placement, config.layers.length));
  await saveCheckpoint(join(out, 'hybrid'), hybrid.config, hybrid.weights, {
    dtype: 'F32',
    tokenizerFrom: model,
    generation,
    signal: settings.signal,
  });
  return {
    placement,
    objective: objectiveOf(tasks),
    base,
    trainedTokens: tokensOf(settings.align) + tokensOf(settings.train),
    decode: { device: decode.device ?? 'cpu', threads, context: decode.context, tokens: decode.tokens },
    candidates: findings,
    choice: { name: chosen, rule: settings.rule.text },
    seconds: spent,
  };
}

/** What has to be trained, in order: trials do not depend on each other. */
export function trialsOf({ seeds, candidates }: Pick<CompareSettings, 'seeds' | 'candidates'>) {
  return seeds.flatMap((seed) => candidates.map((candidate) => ({ seed, candidate })));
}

/** @throws InputError for settings that cannot be met */
export function checkComparison(settings: CompareSettings): void {
  const { placement, candidates, seeds, tasks, decode, align, train } = settings;
  const { config } = openCheckpoint(settings.model);
  const layers = config.layers.length;
  checkBudget(placement.length, layers);
  checkLayers(placement, layers);
  for (const { spec } of candidates) startOf(spec, settings.start);
  const names = candidates.map(({ name }) => name);
  if (names.length === 0) throw new InputError('there is no block to compare');
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new InputError(`the block ${twice} is given twice`);
  checkSeeds(seeds);
  if (tasks.length === 0) throw new InputError('an objective needs at least one task');
  checkBound('decode context', decode.context, bounds.tokens);
  checkBound('timed tokens', decode.tokens, bounds.tokens);
  checkBound('rounds of timing', decode.rounds, bounds.rounds);
  const prompt = longestPrompt(config, decode.tokens);
  if (decode.context > prompt) {
    throw new InputError(
      `a decode context of ${decode.context} tokens, but with ${decode.tokens} timed tokens the model's context ` +
        `leaves room for ${prompt}`,
    );
  }
  checkTraining('alignment', align, config);
  checkTraining('training', train, config, { held: layers });
}

function judgeParent(settings: CompareSettings, network: Network): Promise<Judged> {
  const everything = network.branches.map((_, i) => i);
  return judgeNetwork(settings, network, everything, join(settings.out, 'parent.json'), 'parent');
}

/** The name of the choice, which is kept with what it rests on: a run that goes on cannot choose otherwise. */
function choose({ out, rule, seeds }: CompareSettings, findings: readonly BlockFindings[]): Promise<string> {
  const speeds = findings.map(({ name, decode }) => [name, hashOf(decode)]);
  const identity = { rule: rule.text, seeds, decode: Object.fromEntries(speeds) };
  return remember(join(out, 'choice.json'), identity, async () => rule.choose(findings).name);
}

/** Times decoding and training of all candidates in turns. @returns threads with which decoding was timed */
async function timeCandidates(
  { out, decode, train, batches, onProgress, signal, threads, candidates }: CompareSettings,
  fresh: () => Network,
  findings: BlockFindings[],
  placement: readonly number[],
): Promise<{ threads: number }> {
  const { config } = fresh();
  const timed = {
    config: hashOf(config),
    placement,
    candidates: Object.fromEntries(candidates.map(({ name, spec }) => [name, spec])),
  };
  const hybrids = candidates.map(({ spec }) => untrainedHybrid(fresh(), placement, spec));
  const rates = await measured(
    join(out, 'decode.json'),
    { ...timed, decode },
    () =>
      inTurns(
        decode.rounds,
        hybrids,
        (hybrid) => measureDecode(hybrid, { ...decode, threads, signal }),
        onProgress,
      ),
    { threads, onProgress },
  );
  for (const [i, rounds] of rates.values.entries()) findings[i]!.decode.push(...rounds);
  const trained = await measured(
    join(out, 'train.json'),
    { ...timed, train, rounds: decode.rounds },
    () =>
      inTurns(
        decode.rounds,
        candidates,
        ({ spec }) => measureTraining(fresh(), placement, spec, { batches, train, threads, signal }),
        onProgress,
        'time training',
      ),
    { threads, onProgress },
  );
  for (const [i, rounds] of trained.values.entries()) findings[i]!.train.push(...rounds);
  return rates;
}
