import * as Plot from '@observablehq/plot';
import type { SearcherFindings } from './findings.ts';
import type { Html } from './html.ts';
import { drawIcon } from './svg.ts';

/** How the curve of a searcher is drawn, alike in every figure: colour, symbol and dashes each tell it apart. */
export interface SeriesStyle {
  colour: string;
  symbol: 'circle' | 'square' | 'triangle' | 'diamond' | 'star' | 'wye';
  dash?: string;
}

const ROLES: Record<Exclude<SearcherFindings['role'], 'other'>, SeriesStyle> = {
  searched: { colour: 'var(--full)', symbol: 'circle' },
  uniform: { colour: 'var(--uniform)', symbol: 'square', dash: '6 4' },
  random: { colour: 'var(--random)', symbol: 'triangle', dash: '2 3' },
  exhaustive: { colour: 'var(--exhaustive)', symbol: 'diamond', dash: '8 3 2 3' },
};

/** For further searchers, in their order. */
const OTHERS: readonly SeriesStyle[] = [
  { colour: 'var(--second)', symbol: 'star', dash: '10 3' },
  { colour: 'var(--third)', symbol: 'wye', dash: '4 2' },
];

/** Styles by the names of searchers. */
export function seriesStyles(searchers: readonly SearcherFindings[]): Map<string, SeriesStyle> {
  let others = 0;
  return new Map(
    searchers.map(({ name, role }) => [
      name,
      role === 'other' ? OTHERS[others++ % OTHERS.length]! : ROLES[role],
    ]),
  );
}

/** A piece of the curve for the legend. */
export function seriesIcon(style: SeriesStyle): Html {
  const middle = [[0.5, 0.5] as [number, number]];
  const { colour: fill, symbol } = style;
  return drawIcon([lineOf(style), Plot.dot(middle, { symbol, fill, r: 4 })]);
}

/** A dotted line across, for references. */
export function ruleIcon(): Html {
  return drawIcon([lineOf(REFERENCE)]);
}

/** How a reference line is drawn. */
export const REFERENCE = { colour: 'var(--ink)', dash: '1 3' };

function lineOf({ colour, dash }: Pick<SeriesStyle, 'colour' | 'dash'>): Plot.RuleY {
  return Plot.ruleY([0.5], { stroke: colour, strokeWidth: 2, ...(dash && { strokeDasharray: dash }) });
}
