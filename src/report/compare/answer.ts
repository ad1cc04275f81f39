import type { CompareResult, Verdict } from '../../search/compare/result.ts';
import { architectureBlocks, architectureKey } from '../architecture.ts';
import { type Html, html } from '../html.ts';
import { letterName } from '../mixers.ts';
import { bytes, fixed, percent, signed } from '../text.ts';
import { recallShare } from './models.ts';

/** The verdict on every hybrid, before all figures. */
export function answerOf(result: CompareResult): Html {
  const { models, verdicts, context, machine, created } = result;
  const [first, ...others] = verdicts;
  return html`<p class="eyebrow">Comparison with ${models[0]!.name} · ${context.toLocaleString('en')} tokens · ${machine.processor} · ${created.slice(0, 10)}</p>
<h1>${first?.headline ?? models[0]!.name}</h1>
${first && verdictBody(result, first)}
${others.map(
  (verdict) => html`<h3>${verdict.headline}</h3>
${verdictBody(result, verdict)}`,
)}`;
}

/** Costs and advice speak for themselves. */
const MARKS: Partial<Record<Verdict['points'][number]['kind'], { mark: string; word: string }>> = {
  kept: { mark: 'yes', word: 'kept' },
  lost: { mark: 'no', word: 'lost' },
  open: { mark: 'open', word: 'open' },
};

function verdictBody({ models, context }: CompareResult, { model: at, points }: Verdict): Html {
  const [parent, hybrid] = [models[0]!, models[at]!];
  const found = recallShare(hybrid);
  const theirs = recallShare(parent);
  return html`<p class="eyebrow">${hybrid.name}</p>
${architectureBlocks(hybrid.architecture, { large: true })}
<p class="key">${architectureKey(hybrid.architecture, letterName)}</p>
<div class="cards">
<div class="card"><b>${signed(hybrid.text.change, 3)}</b><span>nats per token of text against the parent’s ${fixed(parent.text.loss, 3)}</span></div>
${
  found !== undefined &&
  theirs !== undefined &&
  html`<div class="card"><b>${percent(found)}</b><span>of what texts told is found, by the parent ${percent(theirs)}</span></div>`
}
<div class="card"><b>${bytes(hybrid.stateBytes)}</b><span>for a sequence of ${context.toLocaleString('en')} tokens, the parent ${bytes(parent.stateBytes)}</span></div>
</div>
<ul class="points">${points.map(({ kind, text }) => {
    const mark = MARKS[kind];
    return html`<li>${mark && html`<span class="verdict ${mark.mark}">${mark.word}</span> `}${text}</li>`;
  })}</ul>`;
}
