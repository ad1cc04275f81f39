import type { RunResult } from '../../search/run/result.ts';
import { spreadOf } from '../../util/statistics.ts';
import type { Comparison } from '../comparison.ts';
import { type Findings, fullSpread, pairedChanges } from '../findings.ts';
import { type Html, html } from '../html.ts';
import { renderTable } from '../table.ts';
import { counted } from '../text.ts';
import { orderClaims } from './blocks.ts';
import { type Claim, changeText, notMeasured, verdictMark, verdictOf } from './claim.ts';
import { designClaims } from './design.ts';
import { dimensionClaims } from './dimensions.ts';
import { finalClaim } from './final.ts';
import type { FinalFindings } from './final-findings.ts';
import { mlpsClaim } from './mlps.ts';
import { throughputClaim } from './throughput.ts';

export interface Stages {
  result: RunResult;
  search: Findings;
  blocks: Comparison | undefined;
  design: Comparison | undefined;
  dimensions: Comparison | undefined;
  final: FinalFindings | undefined;
}

/** What the paper claims, answered by this run. */
export function claimsTable(stages: Stages): Html {
  const rows = claimsOf(stages);
  return html`${renderTable({
    id: 'claims-table',
    caption: 'Claims of the paper, and what came out here',
    header: ['The paper says', 'Here', 'Verdict'],
    stacked: true,
    rows: rows.map(({ says, found, verdict }) => [
      says,
      found === undefined ? undefined : { value: String(found), show: found },
      { value: verdict, show: verdictMark(verdict) },
    ]),
  })}
<p class="note">Differences are taken seed by seed; ± is the standard deviation over seeds. Undecided is a difference no larger
  than its standard error. One model on one machine: what holds here may not elsewhere, and the other way round.</p>`;
}

function claimsOf({ result, search, blocks, design, dimensions, final }: Stages): Claim[] {
  return [
    placementClaim(search),
    mlpsClaim(result.mlps),
    ...orderClaims(blocks),
    ...designClaims(design),
    ...dimensionClaims(dimensions, result.recipe.dimensions?.slack),
    throughputClaim(result.throughput),
    finalClaim(final),
  ];
}

const SAYS = 'Searched placement of full attention beats uniform placement';

function placementClaim({ overall, searched, uniform, budget }: Findings): Claim {
  const change =
    searched && uniform && spreadOf(pairedChanges(overall, searched, uniform).map((each) => each.change));
  const [value, other] = [fullSpread(overall, searched), fullSpread(overall, uniform)];
  if (!change || !value || !other) return notMeasured(SAYS);
  return {
    says: SAYS,
    found:
      `With ${counted(budget, 'full layer')} ${overall.phrase} ${overall.showSpread(value)}, uniform ${overall.showSpread(other)}: ` +
      `${changeText(overall, change)}.`,
    verdict: verdictOf(overall, change),
  };
}
