import type { Result } from '../search/result.ts';
import type { MlpsResult } from '../search/stages/mlps-result.ts';
import type { PlacementResult, SearchRun } from '../search/stages/placement/result.ts';
import type { Judged } from '../search/stages/placement/searcher.ts';
import { countCombinations } from '../util/combinations.ts';
import { InputError } from '../util/errors.ts';
import { type Spread, spreadOf } from '../util/statistics.ts';
import { guides, type Measure, overallMeasure, taskMeasures } from './measure.ts';
import { pairedBySeed } from './paired.ts';

/** A search result turned towards its reader: seeds brought together, searchers told apart, references found. */
export interface Findings {
  result: PlacementResult;
  model: Result['model'];
  layers: number;
  budget: number;
  seeds: readonly number[];
  /** One per task of the objective. */
  tasks: readonly Measure[];
  /** Those of them that led the search. */
  guiding: readonly Measure[];
  /** What the search maximised. */
  overall: Measure;
  /** On the examples that the searchers look at, as curves and the map of layers are. */
  base: Judged;
  /** The path without any full attention, for the seeds in which a searcher looked at it. */
  allLinear: readonly Judged[];
  /** What the placements that were found are compared on, `full` of every outcome: unseen examples where there are any. */
  compared: Compared;
  searchers: readonly SearcherFindings[];
  /** The searcher whose placement was taken; undefined if no searcher's best is the run's placement. */
  searched: SearcherFindings | undefined;
  uniform: SearcherFindings | undefined;
  exhaustive: SearcherFindings | undefined;
  /** Every placement of the budget, where a run judged them all on the same examples, to compare MLPs. */
  everyPlacement: readonly { seed: number; judged: readonly Judged[] }[] | undefined;
  /** The run whose placement has the highest score: the answer. */
  headline: { run: SearchRun; judged: Judged | undefined };
}

interface Compared {
  unseen: boolean;
  /** Per task of the objective. */
  examples: readonly number[];
  base: Judged;
  allLinear: readonly Judged[];
}

export interface SearcherFindings {
  name: string;
  /** In words: 'beam search (width 4)'. */
  label: string;
  /** What it is for: the search itself, or a comparison. */
  role: 'searched' | 'uniform' | 'random' | 'exhaustive' | 'other';
  outcomes: readonly SeedOutcome[];
}

/** What one searcher found with one seed. */
interface SeedOutcome {
  seed: number;
  /** Fewest full layers first. */
  best: readonly Judged[];
  /** With the most full layers, on what is compared. */
  full: Judged;
  /** All of them, where placements were drawn by chance. */
  drawn: readonly Judged[];
  seconds: number;
  tokens: number;
}

/**
 * @param mlps of the same run, which may have judged every placement
 * @throws InputError if the result holds no run or no task
 */
export function findingsOf(result: PlacementResult, model: Result['model'], mlps?: MlpsResult): Findings {
  if (result.runs.length === 0) throw new InputError('search result: expected at least one run');
  if (result.objective.length === 0) throw new InputError('search result: expected at least one task');
  if (!result.objective.some(guides)) throw new InputError('search result: expected a task that guides');
  const tasks = taskMeasures(result);
  const searchers = searchersOf(result);
  const judgedOf = (run: SearchRun) =>
    candidates(run).find(({ placement }) => samePlacement(placement, run.placement));
  const runs = result.runs.map((run) => ({ run, judged: judgedOf(run) }));
  const score = ({ judged }: (typeof runs)[number]) => judged?.score ?? Number.NEGATIVE_INFINITY;
  return {
    result,
    model,
    layers: model.layers,
    budget: result.budget,
    seeds: result.runs.map(({ seed }) => seed),
    tasks,
    guiding: tasks.filter((_, i) => guides(result.objective[i]!)),
    overall: overallMeasure(result),
    base: result.base,
    allLinear: withoutAny(result.runs.map(candidates)),
    compared: comparedOf(result),
    searchers,
    searched: searchers.find(({ role }) => role === 'searched'),
    uniform: searchers.find(({ role }) => role === 'uniform'),
    exhaustive: searchers.find(({ role }) => role === 'exhaustive'),
    everyPlacement: everyPlacementOf(result, model.layers, mlps),
    headline: runs.reduce((best, run) => (score(run) > score(best) ? run : best)),
  };
}

/** The value of each judged placement, where there is one, over seeds. */
export function spreadOver(measure: Measure, judged: readonly Judged[]): Spread | undefined {
  return spreadOf(judged.map(measure.of).filter((value) => value !== undefined));
}

/** A searcher's values at its largest number of full layers. */
export function fullSpread(measure: Measure, searcher: SearcherFindings | undefined): Spread | undefined {
  return (
    searcher &&
    spreadOver(
      measure,
      searcher.outcomes.map(({ full }) => full),
    )
  );
}

/** value(searcher) - value(reference), seed by seed: each seed has a super network of its own. */
export function pairedChanges(
  measure: Measure,
  searcher: SearcherFindings,
  reference: SearcherFindings,
): { seed: number; change: number }[] {
  const judged = ({ outcomes }: SearcherFindings) =>
    outcomes.map(({ seed, full }) => ({ seed, judged: full }));
  return pairedBySeed(measure, judged(searcher), judged(reference));
}

/** Over seeds, the placements with only this layer at full attention. */
export function onlyLayer({ result }: Findings, layer: number): Judged[] {
  return result.runs.flatMap(
    ({ heatMap }) => heatMap.find(({ placement }) => placement.length === 1 && placement[0] === layer) ?? [],
  );
}

/** How many seeds kept full attention in each layer. */
export function timesKept({ result, layers }: Findings): number[] {
  return Array.from(
    { length: layers },
    (_, layer) => result.runs.filter(({ placement }) => placement.includes(layer)).length,
  );
}

export function samePlacement(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((layer) => b.includes(layer));
}

function withoutAny(runs: readonly (readonly Judged[])[]): Judged[] {
  return runs.flatMap((judged) => judged.find(({ placement }) => placement.length === 0) ?? []);
}

function everyPlacementOf(
  { unseen, budget }: PlacementResult,
  layers: number,
  mlps: MlpsResult | undefined,
): Findings['everyPlacement'] {
  // What is compared on other examples has no place beside them.
  if (unseen || !mlps) return undefined;
  const all = mlps.placements.flatMap(({ length }, i) => (length === budget ? i : []));
  if (all.length < countCombinations(layers, budget)) return undefined;
  return mlps.runs.map(({ seed, frozen }) => ({ seed, judged: all.map((i) => frozen[i]!) }));
}

function comparedOf({ unseen, base, objective, runs }: PlacementResult): Compared {
  return {
    unseen: unseen !== undefined,
    examples: (unseen?.objective ?? objective).map(({ examples }) => examples),
    base: unseen?.base ?? base,
    allLinear: withoutAny(unseen ? runs.map((run) => run.unseen ?? []) : runs.map(candidates)),
  };
}

function candidates(run: SearchRun): Judged[] {
  return [...run.searchers.flatMap(({ best }) => best), ...run.heatMap];
}

function searchersOf({ runs }: PlacementResult): SearcherFindings[] {
  const names = [...new Set(runs.flatMap(({ searchers }) => searchers.map(({ name }) => name)))];
  const chose = (name: string) =>
    runs.every(({ placement, searchers }) => {
      const last = searchers.find((searcher) => searcher.name === name)?.best.at(-1);
      return last !== undefined && samePlacement(last.placement, placement);
    });
  const chosen = names.find((name) => baselineRole(name) === undefined && chose(name)) ?? names.find(chose);
  return names.map((name) => ({
    name,
    label: searcherLabel(name),
    role: name === chosen ? 'searched' : (baselineRole(name) ?? 'other'),
    outcomes: runs.flatMap(({ seed, searchers, unseen }): SeedOutcome[] => {
      const found = searchers.find((searcher) => searcher.name === name);
      const best = [...(found?.best ?? [])].sort((a, b) => a.placement.length - b.placement.length);
      const full = best.at(-1);
      if (!found || !full) return [];
      const compared = (judged: Judged) =>
        unseen?.find(({ placement }) => samePlacement(placement, judged.placement)) ?? judged;
      const { seconds, tokens, drawn = [] } = found;
      return [{ seed, best, full: compared(full), drawn: drawn.map(compared), seconds, tokens }];
    }),
  }));
}

function baselineRole(name: string): 'uniform' | 'random' | 'exhaustive' | undefined {
  if (name === 'uniform' || name === 'exhaustive') return name;
  return name.startsWith('random') ? 'random' : undefined;
}

export function searcherLabel(name: string): string {
  const [, method, number] = /^(beam|random)-(\d+)$/.exec(name) ?? [];
  if (method === 'beam') return `beam search (width ${number})`;
  if (method === 'random') return `best of ${number} random`;
  return name;
}
