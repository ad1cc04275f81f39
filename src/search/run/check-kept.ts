import { join, relative } from 'node:path';
import { noticeBy } from '../../util/progress.ts';
import { misfit, recall } from '../../util/store/kept.ts';
import { OtherWorkError } from '../../util/store/other-work.ts';
import type { RunContext } from './context.ts';
import { stageIdentity } from './identity.ts';
import { type Findings, STAGES, type StageName, stageFolder, stagesOf, usedBy } from './stage.ts';

/** Where a stage says what it depends on, from the moment it begins, and what it found when it is done. */
export const stageFile = (context: Pick<RunContext, 'recipe' | 'out'>, name: StageName) =>
  join(stageFolder(context, name), 'stage.json');

/** A run's folder has stages of other settings. */
export class OtherStagesError extends OtherWorkError {
  /**
   * @param stages of other settings, without those that only use them
   * @param fitting what would be used
   */
  constructor(
    path: string,
    differences: readonly string[],
    readonly stages: readonly StageName[],
    readonly fitting: readonly StageName[],
  ) {
    super(path, differences);
  }
}

/**
 * Whether all that a run would go on from is of its settings, before any work: a stage of other settings, met after hours,
 * would be met too late.
 *
 * @param except stages that are not gone on from, with all that use them
 * @throws OtherStagesError naming the fields in which the first of them differ
 */
export function checkKept(context: RunContext, except: readonly StageName[] = []): void {
  const identityOf = stageIdentity(context);
  const stages = stagesOf(context.recipe);
  const findings: Findings = {};
  const wrong = new Map<StageName, string[]>();
  const fitting: StageName[] = [];
  for (const name of stages) {
    if (except.includes(name)) continue;
    const used = usedBy(name);
    // It is of other settings, too, if it is there at all.
    if (used.some((each) => wrong.has(each))) continue;
    const path = stageFile(context, name);
    const identity = identityOf(name, findings);
    const known = used.every((each) => findings[each] !== undefined || !stages.includes(each));
    const lines = misfit(path, identity, known ? [] : ['found']);
    if (lines === undefined) continue;
    if (lines.length > 0) {
      wrong.set(name, lines);
      continue;
    }
    fitting.push(name);
    if (known)
      Object.assign(findings, { [name]: recall(path, identity, noticeBy(context.onProgress, name)) });
  }
  if (wrong.size === 0) return;
  const first = STAGES.filter((name) => wrong.has(name));
  throw new OtherStagesError(
    context.out,
    first.flatMap((name) => {
      const file = relative(context.out, stageFile(context, name));
      return wrong.get(name)!.map((line) => `${file}: ${line}`);
    }),
    first,
    fitting,
  );
}
