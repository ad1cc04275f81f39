import type { Result } from '../../search/result.ts';
import { type Comparison, spreadOfCandidate } from '../comparison.ts';
import { type Html, html } from '../html.ts';
import { amount, counted, duration, layersText, rate } from '../text.ts';
import { takenVerdict } from '../verdict.ts';

/** The answer of one comparison of blocks (stage 2, 3 or 4) by itself: what is taken, and by which rule. */
export function comparisonAnswer(comparison: Comparison, { model, created }: Result): Html {
  const { result, taken, overall, candidates, seeds } = comparison;
  const score = spreadOfCandidate(overall, taken);
  const base = overall.of(result.base);
  const verdict = takenVerdict(comparison);
  return html`<p class="eyebrow">Comparison of ${counted(candidates.length, 'candidate')} · ${model.path} · ${created.slice(0, 10)}</p>
<h1>${taken.label} is taken</h1>
<p class="lead">${verdict} Taken by the rule: ${result.choice.rule}. Full attention stays in ${layersText(result.placement)} of ${model.layers}.</p>
<div class="cards">${
    score &&
    html`<div class="card"><b>${overall.show(score.mean)}</b><span>${overall.phrase}${
      base !== undefined && `, base model ${overall.show(base)}`
    }${score.deviation !== undefined && `; ${overall.plusMinus(score.deviation).trim()} over ${counted(seeds.length, 'seed')}`}</span></div>`
  }<div class="card"><b>${rate(taken.decode)}</b><span>tokens per second when decoding</span></div>
<div class="card"><b>${duration(result.seconds)}</b><span>for the whole comparison, ${amount(result.trainedTokens)} tokens per candidate${seeds.length > 1 && ' and seed'}</span></div></div>`;
}
