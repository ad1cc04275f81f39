import type { ConversionResult } from '../../search/conversion/result.ts';
import { writeFileAtomic } from '../../util/files.ts';
import { comparisonSections } from '../compare/report.ts';
import { settingsOf as comparisonSettings } from '../compare/settings.ts';
import { renderFigure } from '../figure.ts';
import { type Content, type Html, html } from '../html.ts';
import { renderPage } from '../page.ts';
import { downloadLink } from '../table.ts';
import { bytes, counted, duration, fixed, percent, signed } from '../text.ts';
import { curveFigure, meanRecall } from './curve.ts';
import { headsFigure } from './heads-map.ts';
import { trainingFigure } from './training.ts';

/** A conversion as a page: whether it is worth using and for what, which heads look far, what each number of them keeps. */
export function renderConversionReport(result: ConversionResult): string {
  const { reach, chosen, comparison, training } = result;
  const placed = reach.placements[chosen]!;
  return renderPage({
    title: `${result.name}: ${nameOf(reach.model.path)} converted`,
    header: answerOf(result),
    sections: [
      {
        id: 'heads',
        title: 'Which heads look far',
        body: renderFigure(headsFigure(reach, placed)),
      },
      {
        id: 'curve',
        title: 'What is kept for how many bytes',
        body: renderFigure(curveFigure(result)),
      },
      ...(training
        ? [{ id: 'training', title: 'Training', body: renderFigure(trainingFigure(training, result)) }]
        : []),
      ...(comparison ? comparisonSections(comparison) : []),
      { id: 'settings', title: 'Settings and data', body: settingsOf(result) },
    ],
    footer: html`<p>Made by postnas on ${result.created.slice(0, 10)}.</p>`,
  });
}

export function writeConversionReport(path: string, result: ConversionResult): void {
  writeFileAtomic(path, renderConversionReport(result));
}

function nameOf(path: string): string {
  return path.replace(/\/+$/, '').split('/').at(-1)!;
}

function answerOf({
  reach,
  kept,
  chosen,
  reason,
  comparison,
  machine,
  created,
  name,
  wanted,
  training,
}: ConversionResult): Html {
  const placed = reach.placements[chosen]!;
  const parent = reach.placements.find(({ how }) => how === 'full')!;
  const found = meanRecall(kept[chosen]!);
  const change = kept[chosen]!.text;
  const verdict = comparison?.verdicts[0];
  const headline =
    verdict?.headline ??
    `${counted(placed.heads, 'KV head')} of ${reach.model.layers * reach.model.kvHeads} see everything`;
  return html`<p class="eyebrow">Placement ${name} of ${nameOf(reach.model.path)} · ${wanted.context.toLocaleString('en')} tokens · ${machine.processor} · ${created.slice(0, 10)}</p>
<h1>${headline}</h1>
<p>${training ? html`As the placement alone no weight is changed; what was trained is in ${training.model}.` : 'No weight was changed.'} Of ${reach.model.layers * reach.model.kvHeads} KV heads ${placed.heads} still see the whole text; the others see the newest
tokens and the first ${reach.sinks}, so that nothing else of them is kept. It is ${reason}.</p>
<div class="cards">
<div class="card"><b>${bytes(placed.cost.bytes)}</b><span>keys and values of ${wanted.context.toLocaleString('en')} tokens, the parent ${bytes(parent.cost.bytes)}: ${fixed(parent.cost.bytes / placed.cost.bytes, 1)} times as many</span></div>
${found !== null && html`<div class="card"><b>${percent(found)}</b><span>of what the parent finds in a text, mean over distances</span></div>`}
${change !== null && html`<div class="card"><b>${signed(change, 3)}</b><span>nats a token of text against the parent’s ${fixed(parent.quality.text!.loss, 3)}</span></div>`}
</div>
${verdict && html`<ul class="points">${verdict.points.map(({ text }) => html`<li>${text}</li>`)}</ul>`}`;
}

/** What is found at each distance, the settings, the data. */
function settingsOf(result: ConversionResult): Html {
  const { reach, command, comparison, machine, seconds, kept, chosen } = result;
  const { recall } = kept[chosen]!;
  const facts: [string, Content][] = [
    ['Model', reach.model.path],
    ['Windows tried', reach.windows.join(', ')],
    ['Sinks', reach.sinks],
    [
      'Recall',
      reach.recall
        ? `searched by ${reach.recall.family}, ${counted(reach.recall.texts.length, 'text')}; reported by ${reach.recall.reported ?? 'other examples of it'}`
        : 'none',
    ],
    ['Text searched on', reach.text ? `${reach.text.name}, ${counted(reach.text.rows, 'row')}` : 'none'],
    [
      'Kept by distance',
      recall.map((share) => (share === null ? '–' : percent(share))).join(', ') || 'not asked',
    ],
    ['Processor', machine.processor],
    ['Cores', machine.cores],
    ['ONNX Runtime', machine.onnxruntime],
    ['Tokens read by the search', reach.tokens.toLocaleString('en')],
    ['Took', duration(seconds)],
  ];
  return html`${command !== undefined && html`<p>Repeat it with</p><pre tabindex="0"><code>${command}</code></pre>`}
<dl class="facts">${facts.map(([term, fact]) => html`<div><dt>${term}</dt><dd>${fact}</dd></div>`)}</dl>
<p>${downloadLink('result.json', 'application/json', `${JSON.stringify(result)}\n`, 'Download everything (JSON)')}</p>
${comparison !== null && html`<h3>How it was compared</h3>${comparisonSettings(comparison)}`}`;
}
