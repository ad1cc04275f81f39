import { changeCell, numberCell, spreadCell } from '../cells.ts';
import { type CandidateFindings, type Comparison, changeOver, spreadOfCandidate } from '../comparison.ts';
import { type Figure, legendOf, renderFigure } from '../figure.ts';
import { comparisonTable } from '../figures/comparison-table.ts';
import { type DotRow, dotIcons, dotRows } from '../figures/dot-rows.ts';
import { type Html, html } from '../html.ts';
import { evidenceOf, pairedBySeed } from '../paired.ts';
import { listed } from '../text.ts';
import { type Claim, changeText, claimNotes, notMeasured, verdictOf } from './claim.ts';

/** Stage 3: how a JetBlock is built, every design against the released one. */

const RELEASED = 'released';

export function designSection(comparison: Comparison): Html {
  const reference = comparison.candidates.find(({ found }) => found.name === RELEASED);
  return html`${reference && comparison.candidates.length > 1 && renderFigure(changesFigure(comparison, reference))}
${claimNotes(convolutionClaims(comparison))}
${comparisonTable(comparison, {
  id: 'design-table',
  caption: 'Designs of the JetBlock',
  first: 'Design',
  columns: [
    {
      header: `Against released${comparison.overall.changeUnit && ` (${comparison.overall.changeUnit})`}`,
      cell: (candidate) =>
        reference && candidate !== reference
          ? changeCell(comparison.overall, changeOver(comparison.overall, candidate, reference))
          : undefined,
    },
  ],
})}`;
}

function changesFigure(comparison: Comparison, reference: CandidateFindings): Figure {
  const { overall, ranked, seeds } = comparison;
  const others = ranked.filter((candidate) => candidate !== reference);
  const unit = overall.changeUnit && ` (${overall.changeUnit})`;
  const rows = others.flatMap((candidate): DotRow[] => {
    const change = changeOver(overall, candidate, reference);
    if (!change) return [];
    return [
      {
        name: candidate.label,
        value: overall.plotted(change.mean),
        text: overall.changeDigitsOf(change),
        seeds: change.values.map((value) => overall.plotted(value)),
        marked: candidate.taken,
        title: `${candidate.label}: ${changeText(overall, change)}`,
      },
    ];
  });
  return {
    id: 'design',
    title: titleOf(comparison, others, reference),
    reading: html`Difference in ${overall.phrase} between each design and the released JetBlock (dotted line), taken seed by
      seed; right is better.${seeds.length > 1 && ` Large dots are means over ${seeds.length} seeds, small ones the seeds.`}`,
    legend: legendOf(dotIcons('taken', 'other designs')),
    graphic: dotRows(rows, {
      id: 'design',
      label: `Designs against the released one by ${overall.phrase}`,
      axis: `${overall.quantity} against the released design${unit}`,
      lowerIsBetter: !overall.higherIsBetter,
      reference: { value: 0, title: 'released' },
    }),
    caption: captionOf(comparison, others, reference),
    table: {
      caption: 'Designs against the released one',
      header: [
        'Design',
        overall.axis,
        `Difference${unit}`,
        ...seeds.map((seed) => `Difference, seed ${seed}`),
      ],
      rows: ranked.map((candidate) => [
        candidate.label,
        spreadCell(overall, spreadOfCandidate(overall, candidate)),
        ...(candidate === reference
          ? [undefined, ...seeds.map(() => undefined)]
          : [
              changeCell(overall, changeOver(overall, candidate, reference)),
              ...pairedBySeed(overall, candidate.found.runs, reference.found.runs).map(({ change }) =>
                numberCell(change, (value) => overall.changeDigits(value)),
              ),
            ]),
      ]),
    },
  };
}

function sorted(comparison: Comparison, others: readonly CandidateFindings[], reference: CandidateFindings) {
  const { overall } = comparison;
  const by = (wanted: ReturnType<typeof evidenceOf>) =>
    others.filter((candidate) => {
      const change = changeOver(overall, candidate, reference);
      return change && evidenceOf(overall, change) === wanted;
    });
  return { better: by('better'), worse: by('worse'), undecided: by('undecided') };
}

function titleOf(
  comparison: Comparison,
  others: readonly CandidateFindings[],
  reference: CandidateFindings,
): string {
  const { better, worse } = sorted(comparison, others, reference);
  if (better.length === 0) {
    return worse.length === others.length
      ? `No other design is as good as the released one`
      : `No design is better than the released one`;
  }
  const best = better[0]!;
  const change = changeOver(comparison.overall, best, reference)!;
  return `${best.label} is ${comparison.overall.showSize(change.mean)} better than the released design`;
}

function captionOf(
  comparison: Comparison,
  others: readonly CandidateFindings[],
  reference: CandidateFindings,
): string {
  const { better, worse, undecided } = sorted(comparison, others, reference);
  const part = (list: readonly CandidateFindings[], what: string) =>
    list.length > 0 ? [`${what}: ${listed(list.map(({ label }) => label))}.`] : [];
  return [
    ...part(better, 'Better than the released design'),
    ...part(undecided, 'Not distinguishable from it'),
    ...part(worse, 'Worse'),
  ].join(' ');
}

const SAYS = {
  superfluous: 'A dynamic convolution on v makes static ones on q and k superfluous',
  better: 'A dynamic convolution on v is better than static ones on q, k and v',
};

/** What the paper says about convolutions, from the designs that answer it. */
export function designClaims(comparison: Comparison | undefined): Claim[] {
  const of = (name: string) => comparison?.candidates.find(({ found }) => found.name === name);
  const released = of(RELEASED);
  if (!comparison || !released) return Object.values(SAYS).map(notMeasured);
  const { overall } = comparison;
  const both = of('qConv-kConv-static');
  const added = both && changeOver(overall, both, released);
  return [
    added
      ? {
          says: SAYS.superfluous,
          found: `Static convolutions on q and k beside it: ${changeText(overall, added)}.`,
          // That nothing is added is not shown by a difference that seeds leave undecided.
          verdict: ({ better: 'does not hold', worse: 'holds', undecided: 'undecided' } as const)[
            evidenceOf(overall, added)
          ],
        }
      : notMeasured(SAYS.superfluous),
    releasedAgainst(SAYS.better, comparison, 'all-static', 'static ones everywhere, as in Gated DeltaNet'),
  ];
}

/** The paper's claims, and what it takes for granted. */
function convolutionClaims(comparison: Comparison): Claim[] {
  return [
    ...designClaims(comparison),
    releasedAgainst(
      'Not in the paper: a convolution is better than none',
      comparison,
      'vConv-none',
      'no convolution',
    ),
  ];
}

function releasedAgainst(
  says: string,
  { candidates, overall }: Comparison,
  name: string,
  what: string,
): Claim {
  const of = (wanted: string) => candidates.find(({ found }) => found.name === wanted);
  const [released, other] = [of(RELEASED), of(name)];
  const change = released && other && changeOver(overall, released, other);
  if (!change) return notMeasured(says);
  return {
    says,
    found: `Released against ${what}: ${changeText(overall, change)}.`,
    verdict: verdictOf(overall, change),
  };
}
