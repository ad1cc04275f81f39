import { spreadOf } from '../../util/statistics.ts';
import { standingsOf, UNIFORM } from '../baselines.ts';
import { type Findings, fullSpread, pairedChanges } from '../findings.ts';
import { type Html, html } from '../html.ts';
import type { Stages } from '../stages.ts';
import { renderTable } from '../table.ts';
import { counted } from '../text.ts';
import { orderClaims } from './blocks.ts';
import { type Claim, changeText, notMeasured, verdictMark, verdictOf } from './claim.ts';
import { designClaims } from './design.ts';
import { dimensionClaims } from './dimensions.ts';
import { finalClaim } from './final.ts';
import { mlpsClaim } from './mlps.ts';
import { throughputClaim } from './throughput.ts';

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
<p class="note">Differences are taken seed by seed; ± is the standard deviation over seeds. A difference is decided where the
  95 % interval of the paired differences (Student’s t) leaves out 0; with one seed nothing is. One model on one machine:
  what holds here may not hold elsewhere.</p>`;
}

function claimsOf({ result, search, blocks, design, dimensions, final }: Stages): Claim[] {
  return [
    placementClaim(search),
    mlpsClaim(result.mlps),
    ...orderClaims(blocks),
    ...designClaims(design),
    ...dimensionClaims(dimensions, result.recipe?.dimensions?.slack),
    throughputClaim(result.throughput),
    finalClaim(final),
  ];
}

/** What the paper does not compare with, but any search has to beat. */
function againstChance(findings: Findings): string {
  const { overall } = findings;
  const others = standingsOf(findings, overall).filter(({ baseline }) => baseline.name !== UNIFORM);
  return others
    .map(({ baseline, change, evidence }) => {
      const decided = evidence === 'undecided' ? 'undecided' : `decidedly ${evidence}`;
      return ` Against ${baseline.name} ${changeText(overall, change)}: ${decided}.`;
    })
    .join('');
}

const SAYS = 'Searched placement of full attention beats uniform placement';

function placementClaim(findings: Findings | undefined): Claim {
  if (!findings) return notMeasured(SAYS);
  const { overall, searched, uniform, budget } = findings;
  const change =
    searched && uniform && spreadOf(pairedChanges(overall, searched, uniform).map((each) => each.change));
  const [value, other] = [fullSpread(overall, searched), fullSpread(overall, uniform)];
  if (!change || !value || !other) return notMeasured(SAYS);
  return {
    says: SAYS,
    found:
      `With ${counted(budget, 'full layer')} ${overall.phrase} ${overall.showSpread(value)}, uniform ${overall.showSpread(other)}: ` +
      `${changeText(overall, change)}.${againstChance(findings)}`,
    verdict: verdictOf(overall, change),
  };
}
