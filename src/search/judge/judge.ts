import type { TaskScore } from '../../tasks/harness.ts';
import type { ObjectiveTask } from '../../tasks/objective.ts';
import { InputError } from '../../util/errors.ts';
import { noticeBy, type OnProgress } from '../../util/progress.ts';
import { hashOf, type Identity } from '../../util/store/identity.ts';
import { keep, recall } from '../../util/store/kept.ts';
import type { PlacementResult } from '../stages/placement/result.ts';
import { asPlacement, type Judged, type Placement, placementKey } from '../stages/placement/searcher.ts';
import type { Path, PathScorer } from './scorer.ts';

/** An objective as results have it. */
export function objectiveOf(tasks: readonly ObjectiveTask[]): PlacementResult['objective'] {
  return tasks.map(({ plan, metric, guides }) => ({
    task: plan.name,
    metric,
    examples: plan.examples.length,
    ...(guides === false ? { guides } : {}),
  }));
}

/** What a list of tasks is: their names in order, and of each how it counts, with a hash of its examples. */
export function tasksIdentity(tasks: readonly ObjectiveTask[]): Identity {
  const each = tasks.map(({ plan, metric, guides }) => [
    plan.name,
    { metric, ...(guides === false && { guides }), number: plan.examples.length, examples: hashOf(plan) },
  ]);
  return { names: tasks.map(({ plan }) => plan.name), ...Object.fromEntries(each) };
}

/** The layers that lose their full attention. */
export function replacedLayers(placement: Placement, layers: number): number[] {
  return Array.from({ length: layers }, (_, layer) => layer).filter((layer) => !placement.includes(layer));
}

/** The path that keeps full attention (branch 0) in these layers and takes the linear branch in all others. */
export function pathOf(placement: Placement, layers: number): number[] {
  return Array.from({ length: layers }, (_, layer) => (placement.includes(layer) ? 0 : 1));
}

/** Mean over the tasks that guide: accuracy, plain or normalised, or minus the loss per token of the gold answer. */
function scoreOf(tasks: readonly ObjectiveTask[], results: readonly TaskScore[]): number {
  const each = results.flatMap(({ accuracy, accuracyNorm, goldLossPerToken }, i) => {
    const { metric, guides } = tasks[i]!;
    if (guides === false) return [];
    if (metric === 'accuracy_norm') return accuracyNorm!;
    return metric === 'accuracy' ? accuracy : -goldLossPerToken;
  });
  return each.reduce((a, b) => a + b, 0) / each.length;
}

export interface JudgeOptions {
  onProgress?: OnProgress;
  signal?: AbortSignal;
  /** The path that a placement stands for; `pathOf` when not given. */
  path?: (placement: Placement, layers: number) => Path;
  /**
   * Where judgements are kept, for a search that goes on after it was stopped, and what the network's weights are.
   */
  keep?: { path: string; network: string };
}

export class Judge {
  private readonly known = new Map<string, Judged>();
  /** What an earlier process judged. */
  private readonly kept: Map<string, Judged>;
  private readonly identity: Identity;
  /** Tokens taken through a whole network so far, padding left out; by earlier processes, too, when asked again. */
  tokens = 0;

  /** @throws OtherWorkError when the file keeps judgements of another network, or by other tasks */
  constructor(
    private readonly scorer: PathScorer,
    readonly layers: number,
    readonly tasks: readonly ObjectiveTask[],
    private readonly options: JudgeOptions = {},
  ) {
    if (!tasks.some(({ guides }) => guides !== false)) {
      throw new InputError('an objective needs at least one task');
    }
    this.identity = { network: options.keep?.network, layers, tasks: tasksIdentity(tasks) };
    const told = noticeBy(options.onProgress, 'judge');
    const kept = options.keep && recall<Judged[]>(options.keep.path, this.identity, told);
    this.kept = new Map(kept?.map((judged) => [placementKey(judged.placement), judged]));
  }

  /** Judges placements, each once; those asked for together share the layers on which they agree. */
  readonly judge = async (placements: readonly Placement[]): Promise<Judged[]> => {
    const fresh = new Map<string, Placement>();
    for (const placement of placements) {
      const key = placementKey(placement);
      if (this.known.has(key)) continue;
      const kept = this.kept.get(key);
      if (kept) {
        this.known.set(key, kept);
        this.tokens += this.tokensOfAll;
      } else fresh.set(key, asPlacement(placement));
    }
    if (fresh.size > 0) {
      const list = [...fresh.values()];
      const paths = list.map((placement) => (this.options.path ?? pathOf)(placement, this.layers));
      const perTask: TaskScore[][] = [];
      for (const { plan } of this.tasks) {
        perTask.push(await this.scorer.scoreTask(paths, plan, this.options));
      }
      this.tokens += list.length * this.tokensOfAll;
      for (const [p, placement] of list.entries()) {
        const results = perTask.map((scores) => scores[p]!);
        this.known.set(placementKey(placement), {
          placement,
          score: scoreOf(this.tasks, results),
          tasks: Object.fromEntries(results.map(({ name, examples: _, ...measured }) => [name, measured])),
        });
      }
      if (this.options.keep) {
        const judged = [...new Map([...this.kept, ...this.known]).values()];
        keep(this.options.keep.path, this.identity, judged);
      }
    }
    return placements.map((placement) => this.known.get(placementKey(placement))!);
  };

  /** Tokens of the rows of all tasks. */
  private get tokensOfAll(): number {
    const rows = this.tasks.flatMap(({ plan }) => plan.rows);
    return rows.reduce((sum, { ids }) => sum + ids.length, 0);
  }
}
