import { sizedPart } from '../../mixers/sized-part.ts';
import { numberCell } from '../cells.ts';
import { type CandidateFindings, type Comparison, changeOver } from '../comparison.ts';
import { renderFigure } from '../figure.ts';
import { comparisonTable } from '../figures/comparison-table.ts';
import { type Html, html } from '../html.ts';
import { evidenceOf } from '../paired.ts';
import { percent } from '../text.ts';
import { against, type Claim, changeText, claimNotes, notMeasured } from './claim.ts';
import { paretoFigure } from './pareto.ts';

/** Stage 4: heads and widths at a fixed size of the state, as in the paper's Table 2. */

/** @param slack how much slower still counts as as fast: the recipe's */
export function dimensionsSection(comparison: Comparison, slack?: number): Html {
  const size =
    (field: 'heads' | 'keyDim' | 'valueDim') =>
    ({ found }: CandidateFindings) =>
      numberCell(sizedPart(found.spec)[field]);
  return html`${renderFigure(paretoFigure(comparison))}
${claimNotes(dimensionClaims(comparison, slack))}
${comparisonTable(comparison, {
  id: 'dimensions-table',
  caption: 'Heads and widths at one size of the state',
  first: 'Dimensions',
  columns: [
    { header: 'Heads', cell: size('heads') },
    { header: 'Key width', cell: size('keyDim') },
    { header: 'Value width', cell: size('valueDim') },
  ],
})}`;
}

const SAYS = {
  speed: 'At the same size of the state, all dimensions decode equally fast',
  quality: 'At the same size of the state, quality depends on the dimensions',
};

export function dimensionClaims(comparison: Comparison | undefined, slack = 0.03): Claim[] {
  if (!comparison || comparison.candidates.length < 2) return Object.values(SAYS).map(notMeasured);
  const { candidates, ranked, overall } = comparison;
  const speed = range(candidates.map(({ decode }) => decode));
  const parameters = range(candidates.map(({ found }) => found.parameters));
  const rounds = Math.max(...candidates.map(({ found }) => range(found.decode)));
  const [best, worst] = [ranked[0]!, ranked.at(-1)!];
  const change = changeOver(overall, best, worst);
  return [
    {
      says: SAYS.speed,
      found:
        `Decode speed differs by ${percent(speed, 1)} from the slowest to the fastest, parameters of a block by ` +
        `${percent(parameters)}; rounds of one candidate differ by up to ${percent(rounds, 1)}. Within ` +
        `${percent(slack)} counts as equal.`,
      verdict: speed <= slack ? 'holds' : 'does not hold',
    },
    change
      ? {
          says: SAYS.quality,
          found: `Best against worst, ${against(overall, best, worst)}: ${changeText(overall, change)}.`,
          verdict: evidenceOf(overall, change) === 'better' ? 'holds' : 'undecided',
        }
      : notMeasured(SAYS.quality),
  ];
}

/** By how much the highest exceeds the lowest. */
function range(values: readonly number[]): number {
  return Math.max(...values) / Math.min(...values) - 1;
}
