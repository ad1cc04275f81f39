import { average, decidedSign, margin95, type Spread, spreadOf } from '../../src/util/statistics.ts';
import type { Cell, Reference } from './cells.ts';
import type { Quality } from './space.ts';

/** What cells say together: a row for each searcher of a budget, over the seeds that it has. */

export interface SettingResult {
  /** A name without spaces, which files are called after. */
  name: string;
  title: string;
  cells: readonly Cell[];
  references: readonly Reference[];
}

export interface Row {
  searcher: string;
  seeds: number[];
  /** Shares of right answers; after the equal training, where there is one. */
  right: Spread;
  /** Before it. */
  untrained?: Spread;
  kl: Spread;
  /** To the best placement of all, in shares of right answers; undefined where it is not known. */
  regret?: number;
  /** The same of what the search itself looked at. */
  searchedRegret?: number;
  tokens: number;
  trainedTokens: number;
  seconds: number;
  /** Of right answers, to the best row, seed by seed: the mean difference and its 95 % interval. */
  behind: { mean: number; margin: number | undefined };
  /** equal: with every seed just as good. */
  verdict: 'best' | 'equal' | 'undecided' | 'behind';
}

const reportedOf = ({ quality, trained }: { quality: Quality; trained?: Quality }) => trained ?? quality;

/** Highest share of right answers first, of equal ones the cheapest. */
export function rowsOf({ cells, references }: SettingResult, budget: number): Row[] {
  const own = cells.filter((cell) => cell.budget === budget);
  const names = [...new Set(own.map(({ searcher }) => searcher))];
  const rows = names.map((searcher) => {
    const found = own.filter((cell) => cell.searcher === searcher);
    const spread = (of: (cell: Cell) => number) => spreadOf(found.map(of))!;
    const best = (cell: Cell) => {
      const reference = references.find(({ seed }) => seed === cell.seed);
      const optimum = reference?.best.find((each) => each.budget === budget);
      return optimum && cell.quality.right - optimum.quality.right;
    };
    const regrets = found.flatMap((cell) => best(cell) ?? []);
    const searched = found.flatMap(({ searchedRegret }) => searchedRegret ?? []);
    return {
      searcher,
      found,
      row: {
        searcher,
        seeds: found.map(({ seed }) => seed),
        right: spread((cell) => reportedOf(cell).right),
        ...(found.every(({ trained }) => trained) && { untrained: spread(({ quality }) => quality.right) }),
        kl: spread((cell) => reportedOf(cell).kl),
        ...(regrets.length > 0 && { regret: -average(regrets) }),
        ...(searched.length > 0 && { searchedRegret: average(searched) }),
        tokens: average(found.map(({ spent }) => spent.tokens)),
        trainedTokens: average(found.map(({ spent }) => spent.trainedTokens)),
        seconds: average(found.map(({ spent }) => spent.seconds)),
      },
    };
  });
  // Sums of the same numbers in another order differ by rounding.
  const rank = ({ row }: (typeof rows)[number]) => -Math.round(row.right.mean * 1e9);
  rows.sort((a, b) => rank(a) - rank(b) || a.row.seconds - b.row.seconds);
  const first = rows[0]!;
  return rows.map(({ found, row }) => {
    const differences = found.flatMap((cell) => {
      const other = first.found.find(({ seed }) => seed === cell.seed);
      return other ? [reportedOf(cell).right - reportedOf(other).right] : [];
    });
    const behind = { mean: -average(differences), margin: margin95(differences) };
    return { ...row, behind, verdict: verdictOf(row === first.row, differences) };
  });
}

function verdictOf(isFirst: boolean, differences: readonly number[]): Row['verdict'] {
  if (isFirst) return 'best';
  if (differences.every((difference) => Math.abs(difference) < 1e-9)) return 'equal';
  return decidedSign(differences) < 0 ? 'behind' : 'undecided';
}

/** Budgets, ascending. */
export const budgetsOf = ({ cells }: SettingResult): number[] =>
  [...new Set(cells.map(({ budget }) => budget))].sort((a, b) => a - b);
