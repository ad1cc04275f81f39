import { join } from 'node:path';
import { InputError } from '../util/errors.ts';
import { removeLeftoversBelow, writeFileAtomic } from '../util/files.ts';
import { withFolder } from '../util/folder-lock.ts';
import { noticeBy } from '../util/progress.ts';
import { begin, keep, recall } from '../util/store/kept.ts';
import type { Result } from './result.ts';
import { checkRun } from './run/check.ts';
import { checkKept, stageFile } from './run/check-kept.ts';
import type { RunContext } from './run/context.ts';
import { stageIdentity } from './run/identity.ts';
import {
  checkLayout,
  type Findings,
  type MakeStage,
  STAGES,
  type Stage,
  type StageName,
  stageFolder,
  type Unit,
} from './run/stage.ts';
import { blocksStage, designStage, dimensionsStage } from './stages/blocks/stages.ts';
import { finalStage } from './stages/final/stage.ts';
import { mlpsStage } from './stages/frozen-mlps.ts';
import { AGREEMENT, keptLayers } from './stages/placement/agreed.ts';
import { placementStage } from './stages/placement/stage.ts';
import { throughputStage } from './stages/throughput.ts';
import { windowsStage } from './stages/windows.ts';
import { wholeResult } from './whole-result.ts';

/**
 * A run of a recipe: its stages in order, each made of units that can be done anywhere. Everything that was done is
 * kept under the run's folder, so that a run that was stopped goes on and ends with the same result.
 */

const MAKE: { [N in StageName]: MakeStage<N> } = {
  placement: placementStage,
  blocks: blocksStage,
  design: designStage,
  dimensions: dimensionsStage,
  throughput: throughputStage,
  windows: windowsStage,
  final: finalStage,
  mlps: mlpsStage,
};

/** Does units, in any order and any process. */
export type Perform = (units: readonly Unit[]) => Promise<void>;

/** Is told how a run goes. */
export interface RunObserver {
  /** The folder is this run's alone, and what is there is of its settings: from here on its own files may be written. */
  taken?(): void;
  /** A stage begins; those of its units that were done before are done again in no time. */
  begin?(stage: StageName, units: readonly Unit[]): void;
  /** A stage was done before. */
  skip?(stage: StageName, units: readonly Unit[]): void;
  /** A stage is done: the result as it would be if the run ended with it. */
  found?(result: Result): void;
}

/**
 * @param perform does the units of a stage; when it returns, all of them are done
 * @throws InputError before any work for a recipe that the model does not allow, for a folder in which another process is
 *   at work, and, as OtherStagesError, for one with work of other settings
 */
export async function runRecipe(
  context: RunContext,
  perform: Perform,
  observer: RunObserver = {},
): Promise<Result> {
  checkRun(context);
  checkLayout(context);
  return withFolder(context.out, 'a run of a recipe', () => {
    checkKept(context);
    removeLeftoversBelow(context.out);
    observer.taken?.();
    return runStages(context, perform, observer);
  });
}

async function runStages(context: RunContext, perform: Perform, observer: RunObserver): Promise<Result> {
  const identityOf = stageIdentity(context);
  const findings: Findings = {};
  for (const name of STAGES) {
    const stage = makeStage(name, context, findings);
    if (!stage) continue;
    const [path, identity] = [stageFile(context, name), identityOf(name, findings)];
    let found = recall(path, identity, noticeBy(context.onProgress, name));
    if (found !== undefined) observer.skip?.(name, stage.units);
    else {
      begin(path, identity);
      observer.begin?.(name, stage.units);
      await perform(stage.units);
      found = await stage.finish(controlOf(context));
      keep(path, identity, found);
    }
    Object.assign(findings, { [name]: found });
    observer.found?.(resultOf(context, findings));
  }
  const result = resultOf(context, findings);
  writeFileAtomic(join(context.out, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

function resultOf(context: RunContext, findings: Findings): Result {
  const { placement } = context.recipe;
  const rule = placement && ('layers' in placement ? 'as the recipe gives it' : AGREEMENT);
  return wholeResult(findings, {
    ...context,
    ...(rule && { chosen: { placement: keptLayers(context, findings), rule } }),
    hybrid: hybridOf(context, findings),
  });
}

/**
 * Does one unit of a run whose earlier stages are done.
 *
 * @throws InputError for a unit that the run does not have, or whose stage needs what is not there yet
 */
export async function runUnit(context: RunContext, id: string): Promise<void> {
  const identityOf = stageIdentity(context);
  const findings: Findings = {};
  for (const name of STAGES) {
    const stage = makeStage(name, context, findings);
    const [path, identity] = [stageFile(context, name), identityOf(name, findings)];
    const unit = stage?.units.find((each) => each.id === id);
    if (unit) {
      begin(path, identity);
      await unit.run(controlOf(context));
      return;
    }
    const found = stage && recall(path, identity);
    if (stage && found === undefined && stage.units.length > 0) {
      throw new InputError(`the unit ${id}: the stage ${name} before it is not done, or has no such unit`);
    }
    Object.assign(findings, { [name]: found });
  }
  throw new InputError(`the run has no unit ${id}`);
}

/** A stage with what is known; a mapped type loses which result belongs to which name. */
function makeStage(name: StageName, context: RunContext, findings: Findings): Stage | undefined {
  return MAKE[name](context, findings);
}

function controlOf({ onProgress, signal, threads, device }: RunContext) {
  return { onProgress, signal, threads, device };
}

/** The model that the last stage that writes one has left, by the first seed. */
function hybridOf(context: RunContext, findings: Findings): string | undefined {
  const { placement, final } = findings;
  if (final) return final.runs[0]!.hybrid;
  const compared = (['dimensions', 'design', 'blocks'] as const).find((stage) => findings[stage]);
  if (compared) return join(stageFolder(context, compared), 'hybrid');
  const seed = placement?.runs[0]?.seed;
  return seed === undefined ? undefined : join(stageFolder(context, 'placement'), `seed-${seed}`, 'hybrid');
}
