import { sizedPart } from '../../mixers/sized-part.ts';
import { changeCell, numberCell, spreadCell } from '../cells.ts';
import { type CandidateFindings, type Comparison, changeOver, spreadOfCandidate } from '../comparison.ts';
import { type Figure, legendOf, renderFigure } from '../figure.ts';
import { comparisonTable } from '../figures/comparison-table.ts';
import { type DotRow, dotIcons, dotRows } from '../figures/dot-rows.ts';
import { type Html, html } from '../html.ts';
import { traitsOf } from '../mixers.ts';
import { evidenceOf } from '../paired.ts';
import { listed } from '../text.ts';
import { against, type Claim, changeText, claimNotes, notMeasured, verdictOf } from './claim.ts';

/** Stage 2: which block takes the place of attention, as in the paper's Table 1. */

export function blocksSection(comparison: Comparison): Html {
  const yesNo =
    (trait: 'gate' | 'delta') =>
    ({ found }: CandidateFindings) => {
      const traits = traitsOf(sizedPart(found.spec).kind);
      return traits && (traits[trait] ? 'yes' : 'no');
    };
  return html`${renderFigure(scoresFigure(comparison))}
${claimNotes(orderClaims(comparison))}
<p class="note">${NORMS}</p>
${comparisonTable(comparison, {
  id: 'blocks-table',
  caption: 'Blocks in place of attention',
  first: 'Block',
  columns: [
    { header: 'Data-dependent gate', cell: yesNo('gate') },
    { header: 'Delta rule', cell: yesNo('delta') },
  ],
})}`;
}

/** What the comparison holds against some of them. */
const NORMS =
  'Blocks start from the parent’s projections of queries, keys, values and outputs. If the parent normalises queries and keys ' +
  'by head (Qwen3 does, and models/base), those norms are dropped, unless a block is named with +qk_norm (QK norm). Blocks by the delta ' +
  'rule (DeltaNet, Gated DeltaNet, KDA, JetBlock, and RWKV7 where it corrects) normalise keys by themselves; RetNet, GLA and ' +
  'Mamba2 do not, which counts against them here.';

function scoresFigure(comparison: Comparison): Figure {
  const { overall, ranked, seeds, result, taken } = comparison;
  const base = overall.of(result.base);
  const rows = ranked.flatMap((candidate): DotRow[] => {
    const spread = spreadOfCandidate(overall, candidate);
    if (!spread) return [];
    return [
      {
        name: candidate.label,
        value: overall.plotted(spread.mean),
        text: overall.digitsOf(spread),
        seeds: spread.values.map((value) => overall.plotted(value)),
        marked: candidate.taken,
        title: `${candidate.label}: ${overall.showSpread(spread)}`,
      },
    ];
  });
  return {
    id: 'blocks',
    title: titleOf(comparison),
    reading: html`The ${overall.phrase} of the hybrid with each block, sorted; right is better.${
      seeds.length > 1 && ` Large dots are means over ${seeds.length} seeds, small ones the seeds.`
    }${base !== undefined && ` The dotted line is the base model, ${overall.show(base)}.`}`,
    legend: legendOf(dotIcons('taken', 'other blocks')),
    graphic: dotRows(rows, {
      id: 'blocks',
      label: `Blocks by ${overall.phrase}`,
      axis: overall.axis,
      lowerIsBetter: !overall.higherIsBetter,
      reference:
        base === undefined
          ? undefined
          : { value: overall.plotted(base), title: `base model: ${overall.show(base)}` },
    }),
    caption: captionOf(comparison),
    table: {
      caption: `Blocks by ${overall.phrase}`,
      header: [
        'Block',
        `${overall.axis}, mean`,
        `Against ${taken.label}`,
        ...seeds.map((seed) => `Seed ${seed}`),
      ],
      rows: ranked.map((candidate) => [
        candidate.label,
        spreadCell(overall, spreadOfCandidate(overall, candidate)),
        candidate === taken ? undefined : changeCell(overall, changeOver(overall, candidate, taken)),
        ...candidate.found.runs.map(({ judged }) => {
          const value = overall.of(judged);
          return value === undefined ? undefined : numberCell(value, (each) => overall.digits(each));
        }),
      ]),
    },
  };
}

function titleOf({ ranked, overall }: Comparison): string {
  const [first, second] = ranked;
  const change = second && changeOver(overall, first!, second);
  if (!change) return `${first!.label} was looked at alone`;
  return evidenceOf(overall, change) === 'better'
    ? `${first!.label} keeps most, ${overall.showSize(change.mean)} better than ${second.label}, the next`
    : `${first!.label} and ${second.label} keep most; the seeds cannot tell which is better`;
}

function captionOf({ ranked, overall, taken }: Comparison): string {
  const best = ranked[0]!;
  const worst = ranked.at(-1)!;
  if (best === worst) return `Only ${best.label} was trained.`;
  const range = changeOver(overall, best, worst);
  const fastest = ranked.reduce((a, b) => (b.decode > a.decode ? b : a));
  const between = range
    ? ` ${overall.showSize(range.mean)} lie between the first and the last, ${worst.label}.`
    : '';
  const speed =
    fastest === taken
      ? `it also decodes fastest`
      : `${fastest.label} decodes fastest, ${Math.round(100 * (fastest.decode / taken.decode - 1))}\u00a0% faster than it`;
  return `Taken is ${taken.label}; ${speed}.${between}`;
}

/** Those that the paper compares. */
const SIX = ['rwkv7', 'retnet', 'mamba2', 'gla', 'deltanet', 'gated_deltanet'];

const SAYS = {
  best: 'Gated DeltaNet is the best of the six blocks from the literature',
  above: 'JetBlock is better than Gated DeltaNet',
};

/** Whether the paper's order holds: from the differences of seeds, not from the means alone. */
export function orderClaims(comparison: Comparison | undefined): Claim[] {
  // By name: what is made of a block beside its authors' definition has another.
  const of = (kind: string) => comparison?.ranked.find(({ found }) => found.name === kind);
  const gated = of('gated_deltanet');
  if (!comparison || !gated) return [notMeasured(SAYS.best), notMeasured(SAYS.above)];
  const others = comparison.ranked.filter(
    (candidate) => candidate !== gated && SIX.includes(candidate.found.name),
  );
  return [bestOfSix(comparison, gated, others), aboveGated(comparison, gated, of('jet_block'))];
}

function bestOfSix(
  { overall }: Comparison,
  gated: CandidateFindings,
  others: readonly CandidateFindings[],
): Claim {
  const [rival] = others;
  const change = rival && changeOver(overall, gated, rival);
  if (!change) return notMeasured(SAYS.best);
  const rest =
    others.length < SIX.length - 1
      ? ` Compared were ${listed([gated, ...others].map(({ label }) => label))}.`
      : '';
  return {
    says: SAYS.best,
    found: `${against(overall, gated, rival)}, the best of the others: ${changeText(overall, change)}.${rest}`,
    verdict: verdictOf(overall, change),
  };
}

function aboveGated(
  { overall }: Comparison,
  gated: CandidateFindings,
  jet: CandidateFindings | undefined,
): Claim {
  const change = jet && changeOver(overall, jet, gated);
  if (!change) return notMeasured(SAYS.above);
  return {
    says: SAYS.above,
    found: `${against(overall, jet, gated)}: ${changeText(overall, change)}.`,
    verdict: verdictOf(overall, change),
  };
}
