import type { CompareResult } from '../../search/compare/result.ts';
import { type Content, type Html, html } from '../html.ts';
import { downloadLink, renderTable } from '../table.ts';
import { bytes, duration } from '../text.ts';

const MEANINGS: Record<string, string> = {
  same: 'text is as good as the parent’s up to so many nats a token more',
  near: 'near it up to',
  worse: 'noticeably worse up to; much worse beyond',
  kept: 'recall and tasks count as kept from this share of the parent’s on',
  partly: 'as kept in part from this share on',
  betterLoss: 'better or worse than windows of equal bytes by at least so many nats a token',
  betterRecall: 'or by at least this share of all questions',
};

/** How it was measured, and what the models are. */
export function settingsOf(result: CompareResult): Html {
  const { models, command, machine, dtype, threads, data, context, created, seconds, notes, thresholds } =
    result;
  const facts: [string, Content][] = [
    ['Text', `${data.name}, ${data.rows} rows of up to ${context.toLocaleString('en')} tokens`],
    ['Weights', dtype],
    ['Threads', threads === null ? 'all cores' : threads],
    ['Processor', machine.processor],
    ['Cores', machine.cores],
    ['Node.js', machine.node],
    ['ONNX Runtime', machine.onnxruntime],
    ['Took', duration(seconds)],
    ['Made', html`<time datetime="${created}">${created.replace('T', ' ').slice(0, 19)}</time>`],
  ];
  return html`${command !== undefined && html`<p>Repeat it with</p><pre tabindex="0"><code>${command}</code></pre>`}
${renderTable({
  id: 'models-table',
  caption: 'The models',
  header: ['Model', 'What it is', 'Layers', `Bytes at ${context.toLocaleString('en')} tokens`],
  rows: models.map(({ name, role, of, mixers, stateBytes }) => [
    name,
    role === 'baseline'
      ? `the parent without any training, cut to the bytes of ${models[of!]!.name} or the nearest below`
      : role,
    mixers.join('; '),
    { value: stateBytes, show: bytes(stateBytes) },
  ]),
})}
<p class="note">Bytes of a sequence by formula, keys and values and states in float32, as the engine keeps them.</p>
${notes.map((note) => html`<p class="note">${note}.</p>`)}
<dl class="facts">${facts.map(([term, fact]) => html`<div><dt>${term}</dt><dd>${fact}</dd></div>`)}</dl>
${renderTable({
  id: 'thresholds-table',
  caption: 'Thresholds of the verdicts',
  header: ['What', 'At'],
  rows: Object.entries(thresholds).map(([name, value]) => [MEANINGS[name] ?? name, { value, show: value }]),
})}
<p>${downloadLink('result.json', 'application/json', `${JSON.stringify(result)}\n`, 'Download the result (JSON)')}</p>`;
}
