import type { Spread } from '../../util/statistics.ts';
import { type CandidateFindings, spreadOfCandidate } from '../comparison.ts';
import { type Content, type Html, html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { evidenceOf } from '../paired.ts';
import { counted } from '../text.ts';

/** What the paper says, and what came out here. */
export interface Claim {
  says: string;
  /** With numbers, seeds and spread; undefined where it was not measured. */
  found: Content;
  verdict: Verdict;
}

/** Undecided: the 95 % interval of the paired differences holds 0. */
type Verdict = 'holds' | 'does not hold' | 'undecided' | 'not measured';

export function notMeasured(says: string): Claim {
  return { says, found: undefined, verdict: 'not measured' };
}

/** Of a claim that something is better. */
export function verdictOf(measure: Measure, change: Spread): Verdict {
  return ({ better: 'holds', worse: 'does not hold', undecided: 'undecided' } as const)[
    evidenceOf(measure, change)
  ];
}

/** '+1.8 ± 0.2 points over 3 seeds' */
export function changeText(measure: Measure, change: Spread): string {
  const unit = measure.changeUnit && ` ${measure.changeUnit}`;
  return `${measure.changeDigitsOf(change)}${unit} ${overSeeds(change)}`;
}

/** 'decided', or 'undecided' */
export function decidedText(measure: Measure, change: Spread): string {
  return evidenceOf(measure, change) === 'undecided' ? 'undecided' : 'decided';
}

/** 'JetBlock 88.0 ± 0.4 %, Gated DeltaNet 86.2 ± 0.5 %' */
export function against(measure: Measure, ...candidates: readonly CandidateFindings[]): string {
  return candidates
    .map((candidate) => {
      const spread = spreadOfCandidate(measure, candidate);
      return spread ? `${candidate.label} ${measure.showSpread(spread)}` : candidate.label;
    })
    .join(', ');
}

/** 'over 3 seeds' */
export function overSeeds({ values }: Spread): string {
  return values.length > 1 ? `over ${counted(values.length, 'seed')}` : 'with one seed';
}

/** Claims beside the figures that answer them. */
export function claimNotes(claims: readonly Claim[]): Html {
  return html`<dl class="claims">${claims.map(
    ({ says, found, verdict }) => html`<div><dt>${says}</dt>
<dd>${verdictMark(verdict)} ${found}</dd></div>`,
  )}</dl>`;
}

const MARKS: Record<Verdict, string> = {
  holds: 'yes',
  'does not hold': 'no',
  undecided: 'open',
  'not measured': 'open',
};

export function verdictMark(verdict: Verdict): Html {
  return html`<span class="verdict ${MARKS[verdict]}">${verdict}</span>`;
}
