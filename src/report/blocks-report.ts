import type { BlocksResult } from '../search/stages/blocks/result.ts';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { type Comparison, comparisonOf, spreadOfCandidate } from './comparison.ts';
import { type Html, html } from './html.ts';
import { type Page, renderPage } from './page.ts';
import { blocksSection } from './run/blocks.ts';
import { designSection } from './run/design.ts';
import { dimensionsSection } from './run/dimensions.ts';
import { runTerms } from './sections/terms.ts';
import { downloadLink } from './table.ts';
import { amount, counted, duration, layersText, rate } from './text.ts';
import { takenVerdict } from './verdict.ts';

const STAGES: Record<BlocksResult['stage'], { title: string; section(comparison: Comparison): Html }> = {
  blocks: { title: 'Which block', section: blocksSection },
  design: { title: 'How it is built', section: designSection },
  dimensions: { title: 'Heads and widths', section: (comparison) => dimensionsSection(comparison) },
};

/**
 * The report of one comparison of blocks (stage 2, 3 or 4) by itself.
 *
 * @throws InputError if the result holds no candidate or no task
 */
export function renderBlocksReport(result: BlocksResult): string {
  return renderPage(blocksPage(result));
}

export function blocksPage(result: BlocksResult): Page {
  if (result.candidates.length === 0) throw new InputError('blocks result: expected at least one candidate');
  if (result.objective.length === 0) throw new InputError('blocks result: expected at least one task');
  const comparison = comparisonOf(result);
  const { title, section } = STAGES[result.stage];
  return {
    title: `${result.model.path}: ${comparison.taken.label}`,
    header: answer(comparison),
    sections: [
      { id: result.stage === 'blocks' ? 'block' : `${result.stage}-stage`, title, body: section(comparison) },
      { id: 'reproduce', title: 'Settings and data', body: settings(result) },
      { id: 'terms', title: 'Terms', body: runTerms() },
    ],
    footer: html`<p>Made by postnas from a comparison of ${result.created.slice(0, 10)}. After Jet-Nemotron and PostNAS,
      <cite>Gu et al. 2025, arXiv:2508.15884</cite>.</p>`,
  };
}

export function writeBlocksReport(path: string, result: BlocksResult): void {
  writeFileAtomic(path, renderBlocksReport(result));
}

function answer(comparison: Comparison): Html {
  const { result, taken, overall, candidates, seeds } = comparison;
  const score = spreadOfCandidate(overall, taken);
  const base = overall.of(result.base);
  const verdict = takenVerdict(comparison);
  return html`<p class="eyebrow">Comparison of ${counted(candidates.length, 'candidate')} · ${result.model.path} · ${result.created.slice(0, 10)}</p>
<h1>${taken.label} is taken</h1>
<p class="lead">${verdict} Taken by the rule: ${result.choice.rule}. Full attention stays in ${layersText(result.placement)} of ${result.model.layers}.</p>
<div class="cards">${
    score &&
    html`<div class="card"><b>${overall.show(score.mean)}</b><span>${overall.phrase}${
      base !== undefined && `, base model ${overall.show(base)}`
    }${score.deviation !== undefined && `; ${overall.plusMinus(score.deviation).trim()} over ${counted(seeds.length, 'seed')}`}</span></div>`
  }<div class="card"><b>${rate(taken.decode)}</b><span>tokens per second when decoding</span></div>
<div class="card"><b>${duration(result.seconds)}</b><span>for the whole comparison, ${amount(result.trainedTokens)} tokens per candidate${seeds.length > 1 && ' and seed'}</span></div></div>`;
}

function settings(result: BlocksResult): Html {
  const file = `${JSON.stringify(result, null, 2)}\n`;
  return html`${result.command !== undefined && html`<p>Repeat it with</p><pre tabindex="0"><code>${result.command}</code></pre>`}
<p>${downloadLink('blocks-result.json', 'application/json', file, 'Download the result (JSON)')}</p>`;
}
