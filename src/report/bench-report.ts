import type { BenchResult } from '../runtime/bench/result.ts';
import { InputError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/files.ts';
import { architectureBlocks, architectureKey } from './architecture.ts';
import { renderFigure } from './figure.ts';
import { benchFigure, labelsOf, longestOf, tokens } from './figures/bench-curves.ts';
import { type Html, html } from './html.ts';
import { letterName } from './mixers.ts';
import { renderPage } from './page.ts';
import { downloadLink, renderTable } from './table.ts';
import { amount, bytes, duration, fixed, rate } from './text.ts';

/**
 * What `postnas bench` measured, as a page: of one model, or of several beside each other.
 *
 * @throws InputError for no result
 */
export function renderBenchReport(results: readonly BenchResult[]): string {
  const [first] = results;
  if (!first) throw new InputError('bench report: expected at least one result');
  return renderPage({
    title: `${results.map(({ model }) => model).join(', ')}: speed and memory`,
    header: answer(results),
    sections: [
      { id: 'speed', title: 'Speed and memory by length', body: renderFigure(benchFigure(results)) },
      ...(results.some(({ throughput }) => throughput)
        ? [{ id: 'throughput', title: 'Throughput in a given memory', body: throughputTable(results) }]
        : []),
      { id: 'reproduce', title: 'Settings and data', body: settings(results) },
    ],
    footer: html`<p>Made by postnas from measurements of ${first.created.slice(0, 10)}.</p>`,
  });
}

export function writeBenchReport(path: string, results: readonly BenchResult[]): void {
  writeFileAtomic(path, renderBenchReport(results));
}

function answer(results: readonly BenchResult[]): Html {
  const labels = labelsOf(results);
  return html`<p class="eyebrow">Benchmark · ${results[0]!.processor} · ${results[0]!.created.slice(0, 10)}</p>
<h1>${headline(results, labels)}</h1>
${results.map(
  ({ architecture }, i) =>
    html`<p class="eyebrow">${labels[i]}</p>${architectureBlocks(architecture, { large: true })}`,
)}
<p class="key">${architectureKey(results.map(({ architecture }) => architecture).join(''), letterName)}</p>
<div class="cards">${results.map((result, i) => {
    const row = longestOf(result);
    return html`<div class="card"><b>${rate(row.decodeTokensPerSecond)}</b><span>tokens per second decoded by ${labels[i]} after
      ${tokens(row.context)}${row.batch > 1 && `, ${row.batch} sequences together`}</span></div>
<div class="card"><b>${bytes(row.stateBytes)}</b><span>of state for a sequence of that length${
      row.firstTokenSeconds !== null && `; the first token comes after ${duration(row.firstTokenSeconds)}`
    }</span></div>`;
  })}</div>`;
}

/** Of one model what it does; of several the first against the second, at the longest length that both have. */
function headline(results: readonly BenchResult[], labels: readonly string[]): string {
  const [first, second] = results;
  const row = longestOf(first!);
  const other = second?.rows.find(({ context, batch }) => context === row.context && batch === row.batch);
  if (!other)
    return `${labels[0]} decodes ${rate(row.decodeTokensPerSecond)} tokens per second after ${tokens(row.context)}`;
  const times = row.decodeTokensPerSecond / other.decodeTokensPerSecond;
  return `After ${tokens(row.context)} ${labels[0]} decodes ${fixed(times, 2)}\u00a0times as fast as ${labels[1]}`;
}

function throughputTable(results: readonly BenchResult[]): Html {
  const labels = labelsOf(results);
  const value = (number: number | null, show: (number: number) => string) =>
    number === null ? undefined : { value: number, show: show(number) };
  return html`${renderTable({
    id: 'throughput-table',
    caption: 'The largest batch that the memory holds, and how fast it is',
    header: [
      'Model',
      'Memory',
      'Context',
      'Weights',
      'State of a sequence',
      'Sequences',
      'Prefill tok/s',
      'Decode tok/s',
    ],
    rows: results.flatMap(({ throughput }, i) =>
      throughput
        ? [
            [
              labels[i]!,
              value(throughput.memory, bytes),
              value(throughput.context, amount),
              value(throughput.weightBytes, bytes),
              value(throughput.stateBytes, bytes),
              value(throughput.batch, String),
              throughput.measured
                ? value(throughput.measured.prefillTokensPerSecond, rate)
                : (throughput.refused ?? undefined),
              throughput.measured ? value(throughput.measured.decodeTokensPerSecond, rate) : undefined,
            ],
          ]
        : [],
    ),
  })}
<p class="note">By Jet-Nemotron’s protocol: prompts of drawn tokens, or states that are drawn, then greedy steps; the mean of the iterations after the first ones.
  Rates are those of all sequences together.</p>`;
}

function settings(results: readonly BenchResult[]): Html {
  const labels = labelsOf(results);
  return html`${renderTable({
    id: 'settings-table',
    caption: 'How it was measured',
    header: ['Model', 'Weights', 'Threads', 'Tokens of a round', 'Rounds', 'State', 'Beyond its context'],
    rows: results.map(({ dtype, threads, tokens, rounds, fill, leftOut }, i) => [
      labels[i]!,
      dtype,
      threads === null ? 'all cores' : String(threads),
      { value: tokens, show: tokens },
      { value: rounds, show: rounds },
      fill ? 'drawn' : 'prompts that were read',
      leftOut.length > 0 ? leftOut.map((length) => length.toLocaleString('en')).join(', ') : undefined,
    ]),
  })}
<p>${results.map(
    (result, i) =>
      html`${downloadLink(`bench-${i + 1}.json`, 'application/json', `${JSON.stringify(result, null, 2)}\n`, `Download the result of ${labels[i]} (JSON)`)} `,
  )}</p>`;
}
