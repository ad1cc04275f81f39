import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { ENGINE_VERSION } from '../../graph/index.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { InputError } from '../../util/errors.ts';
import { writeFileAtomic } from '../../util/files.ts';
import { identityOf, recall, remember } from '../../util/remember.ts';
import { Network } from '../network.ts';
import { dataHash } from '../settings.ts';
import { blocksStage, designStage, dimensionsStage } from './block-stages.ts';
import type { RunContext } from './context.ts';
import { finalStage } from './final-stage.ts';
import { mlpsStage } from './mlps-stage.ts';
import { AGREEMENT, agreedPlacement, placementStage } from './placement-stage.ts';
import type { Recipe } from './recipe.ts';
import type { RunResult } from './result.ts';
import type { Findings, MakeStage, Stage, StageName, Unit } from './stage.ts';
import { throughputStage } from './throughput-stage.ts';
import { windowsStage } from './windows-stage.ts';

/**
 * A run of a recipe: its stages in order, each made of units that can be done anywhere. Everything that was done is
 * kept under the run's folder, so that a run that was stopped goes on and ends with the same result.
 */

/** In order; a stage may use what those before it found. */
const STAGES: { [N in StageName]: MakeStage<N> } = {
  placement: placementStage,
  blocks: blocksStage,
  design: designStage,
  dimensions: dimensionsStage,
  throughput: throughputStage,
  windows: windowsStage,
  final: finalStage,
  // No stage waits for it: it says whether the first one may be trusted.
  mlps: mlpsStage,
};

/** The stages that a recipe has, in order. */
export function stagesOf({ dimensions, ...recipe }: Recipe): StageName[] {
  const has = { ...recipe, dimensions, throughput: dimensions?.throughput || undefined };
  return (Object.keys(STAGES) as StageName[]).filter((name) => has[name] !== undefined);
}

/** Does units, in any order and any process. */
export type Perform = (units: readonly Unit[]) => Promise<void>;

/** Is told how a run goes. */
export interface RunObserver {
  /** A stage begins; those of its units that were done before are done again in no time. */
  begin?(stage: StageName, units: readonly Unit[]): void;
  /** A stage was done before. */
  skip?(stage: StageName, units: readonly Unit[]): void;
  /** A stage is done: the result as it would be if the run ended with it. */
  found?(result: RunResult): void;
}

/**
 * @param perform does the units of a stage; when it returns, all of them are done
 * @throws InputError for a recipe that the model does not allow, and for a folder with states of another run
 */
export async function runRecipe(
  context: RunContext,
  perform: Perform,
  observer: RunObserver = {},
): Promise<RunResult> {
  const identity = runIdentity(context);
  const findings: Findings = {};
  for (const name of Object.keys(STAGES) as StageName[]) {
    const stage = makeStage(name, context, findings);
    if (!stage) continue;
    let fresh = false;
    const found = await remember(stageFile(context, name), identity(name), async () => {
      fresh = true;
      observer.begin?.(name, stage.units);
      await perform(stage.units);
      return stage.finish(controlOf(context));
    });
    if (!fresh) observer.skip?.(name, stage.units);
    Object.assign(findings, { [name]: found });
    observer.found?.(resultOf(context, findings));
  }
  const result = resultOf(context, findings);
  writeFileAtomic(join(context.out, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** The placement, which comes first, must be there. */
function resultOf(context: RunContext, findings: Findings): RunResult {
  return {
    format: 'postnas-run-1',
    recipe: context.recipe,
    command: context.command,
    created: new Date().toISOString(),
    machine: machine(),
    ...findings,
    placement: findings.placement!,
    chosen: { placement: agreedPlacement(findings.placement!), rule: AGREEMENT },
    ...costOf(findings),
  };
}

/**
 * Does one unit of a run whose earlier stages are done.
 *
 * @throws InputError for a unit that the run does not have, or whose stage needs what is not there yet
 */
export async function runUnit(context: RunContext, id: string): Promise<void> {
  const identity = runIdentity(context);
  const findings: Findings = {};
  for (const name of Object.keys(STAGES) as StageName[]) {
    const stage = makeStage(name, context, findings);
    const unit = stage?.units.find((each) => each.id === id);
    if (unit) {
      await unit.run(controlOf(context));
      return;
    }
    const found = stage && recall(stageFile(context, name), identity(name));
    if (stage && found === undefined && stage.units.length > 0) {
      throw new InputError(`the unit ${id}: the stage ${name} before it is not done, or has no such unit`);
    }
    Object.assign(findings, { [name]: found });
  }
  throw new InputError(`the run has no unit ${id}`);
}

/** A stage with what is known; a mapped type loses which result belongs to which name. */
function makeStage(name: StageName, context: RunContext, findings: Findings): Stage | undefined {
  return STAGES[name](context, findings);
}

function controlOf({ onProgress, signal, threads, device }: RunContext) {
  return { onProgress, signal, threads, device };
}

const stageFile = ({ out }: RunContext, name: StageName) => join(out, name, 'stage.json');

/** For each stage a hash of all that it depends on: the model, the data, the recipe up to the stage. */
function runIdentity({ recipe, model, batches, tasks, freshTasks }: RunContext): (name: StageName) => string {
  const { config, weights } = openCheckpoint(model);
  const parent = new Network(config, weights).fingerprint();
  const names = Object.keys(STAGES) as StageName[];
  const parts = recipe as Record<string, unknown>;
  // Where files lie makes no difference: what is in them counts. Nor does the device: states resume on any.
  const { model: _, data: __, heldOut: ___, device: ____, ...own } = recipe;
  const common = Object.entries(own).filter(([key]) => !names.includes(key as StageName));
  const data = dataHash(batches, recipe.length);
  return (name) => {
    const upTo = names.slice(0, names.indexOf(name) + 1).map((each) => parts[each]);
    return identityOf(parent, data, common, upTo, tasks, freshTasks);
  };
}

/** Seconds of work and tokens of everything, wherever it was done. */
function costOf({ placement, mlps, blocks, design, dimensions, windows, final }: Findings) {
  const trials = [blocks, design, dimensions].flatMap((found) =>
    found
      ? [
          {
            seconds: found.seconds,
            tokens: found.trainedTokens * found.candidates.flatMap(({ runs }) => runs).length,
          },
        ]
      : [],
  );
  const parts = [
    ...[placement, mlps, windows].flatMap((found) => found ?? []),
    ...trials,
    ...(final?.runs.flatMap(({ stages }) => stages) ?? []),
  ];
  return {
    seconds: parts.reduce((sum, { seconds }) => sum + seconds, 0),
    tokens: parts.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

function machine(): RunResult['machine'] {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.version,
    onnxruntime: ENGINE_VERSION,
  };
}
