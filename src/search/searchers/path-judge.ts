import type { ObjectiveTask } from '../../tasks/objective.ts';
import type { OnProgress } from '../../util/progress.ts';
import { hashOf } from '../../util/store/identity.ts';
import { keep, recall } from '../../util/store/kept.ts';
import { Judge } from '../judge/judge.ts';
import { type Path, PathScorer } from '../judge/scorer.ts';
import type { Network } from '../network/network.ts';
import { asPlacement, type Judged, type Placement, placementKey } from '../stages/placement/searcher.ts';
import type { Judgement } from './searcher.ts';

/** Judges placements by whole passes over tasks and a text; what they say of single tasks, too. */

export interface PathJudgeOptions {
  pathOf: (placement: Placement) => Path;
  /** The numbers of all places: the parent. */
  all: Placement;
  tasks: readonly ObjectiveTask[];
  /** Rows for the divergence from the parent, of which every so many-th token is asked about [rows * length]. */
  text: { ids: Int32Array; length: number; every: number };
  /** A file name to which `-tasks.json` and so on are put, where judgements are kept. */
  keep?: string;
  /** Of the network, for who has one: it stays theirs. */
  scorer?: PathScorer;
  threads?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

interface Kept {
  divergences: [string, number][];
  /** What all judging took, by earlier processes too. */
  tokens: number;
  seconds: number;
}

export class PathJudge {
  readonly exact = true;
  private readonly scorer: PathScorer;
  private readonly tasks: Judge;
  private readonly divergences: Map<string, number>;
  /** What was computed, by earlier processes too, and the processor time of it. */
  readonly spent: { tokens: number; seconds: number };
  private readonly identity: { network: string; text: string };

  constructor(
    private readonly network: Network,
    private readonly options: PathJudgeOptions,
  ) {
    const { threads, tasks, pathOf, text, signal, onProgress, keep: path } = options;
    this.scorer = options.scorer ?? new PathScorer(network, { threads });
    const fingerprint = network.fingerprint();
    this.tasks = new Judge(this.scorer, network.branches.length, tasks, {
      path: pathOf,
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
      ...(path && { keep: { path: `${path}-tasks.json`, network: fingerprint } }),
    });
    this.identity = { network: fingerprint, text: hashOf({ ...text, ids: [...text.ids] }) };
    const kept = path ? recall<Kept>(`${path}-text.json`, this.identity) : undefined;
    this.divergences = new Map(kept?.divergences);
    this.spent = { tokens: kept?.tokens ?? 0, seconds: kept?.seconds ?? 0 };
  }

  /** Tokens through the network for placements that are judged together, which share the first layers on which they agree. */
  tokensOf(placements: readonly Placement[]): number {
    const { pathOf, tasks, text } = this.options;
    const beginnings = new Set<string>();
    for (const placement of placements) {
      const path = pathOf(placement);
      for (let layer = 1; layer <= path.length; layer++) beginnings.add(path.slice(0, layer).join());
    }
    const rows = tasks.flatMap(({ plan }) => plan.rows);
    const tokens = rows.reduce((sum, { ids }) => sum + ids.length, text.ids.length);
    return Math.round((beginnings.size / this.network.branches.length) * tokens);
  }

  async judge(placements: readonly Placement[]): Promise<(Judgement & Pick<Judged, 'tasks'>)[]> {
    const fresh = new Map(
      placements
        .filter((placement) => !this.divergences.has(placementKey(placement)))
        .map((placement) => [placementKey(placement), asPlacement(placement)]),
    );
    const { cpuUsage } = process;
    const begun = cpuUsage();
    const judged = await this.tasks.judge(placements);
    if (fresh.size > 0) {
      const list = [...fresh.values()];
      const { text, pathOf, all, signal, keep: path } = this.options;
      const found = await this.scorer.divergences(list.map(pathOf), pathOf(all), text.ids, {
        ...{ length: text.length, every: text.every, signal },
      });
      for (const [i, placement] of list.entries()) this.divergences.set(placementKey(placement), found[i]!);
      const { user, system } = cpuUsage(begun);
      this.spent.tokens += this.tokensOf(list);
      this.spent.seconds += (user + system) / 1e6;
      if (path) {
        const value: Kept = { divergences: [...this.divergences], ...this.spent };
        keep(`${path}-text.json`, this.identity, value);
      }
    }
    return judged.map(({ score, tasks }, i) => ({
      objective: -score,
      kl: this.divergences.get(placementKey(placements[i]!))!,
      tasks,
    }));
  }

  async dispose(): Promise<void> {
    if (!this.options.scorer) await this.scorer.dispose();
  }
}
