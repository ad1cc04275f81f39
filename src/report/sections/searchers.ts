import { average, type Spread, spreadOf } from '../../util/statistics.ts';
import { architectureBlocks, lettersOf } from '../architecture.ts';
import { type Findings, fullSpread, pairedChanges, type SearcherFindings, spreadOver } from '../findings.ts';
import { type Content, type Html, html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { type Cell, renderTable, type Table } from '../table.ts';
import { amount, layersText } from '../text.ts';
import { scoreText } from '../verdict.ts';

/** The searchers at the full budget, side by side, then seed by seed. */
export function searchersTable(findings: Findings): Html {
  const { seeds } = findings;
  return html`${renderTable(summary(findings))}
<p class="note">${unitsOf(findings)} Values are measured on paths through the super network, ${
    findings.compared.unseen
      ? 'on examples that the searchers did not see; the figures by number of full layers and by layer show the examples that they chose on'
      : 'on the very examples that the searchers choose on: whoever looks at more placements has more chances to be lucky, so exhaustive search is an upper limit here'
  }. Differences are taken seed by seed${seeds.length > 1 && '; ± is the standard deviation over seeds'}.
  Seconds and tokens of a searcher leave out placements that were judged before it.</p>
${seeds.length > 1 && html`<details class="data"><summary>Every seed</summary>${renderTable(everySeed(findings))}</details>`}`;
}

function unitsOf({ tasks, overall }: Findings): string {
  const kinds = new Set(tasks.map(({ kind }) => kind));
  const units = [
    kinds.has('accuracy') && '% is accuracy, higher is better.',
    kinds.has('loss') && 'Nats are the loss of the right answer per token, lower is better.',
    kinds.has('text') &&
      'Nats are the loss per token of held-out text, perplexity is its exponential: lower is better.',
    overall.kind === 'score' && `Score is ${scoreText(overall)}`,
  ];
  return units.filter((unit) => unit !== false).join(' ');
}

function summary(findings: Findings): Table {
  const { overall, searchers, uniform, compared, layers, seeds } = findings;
  const { base, allLinear } = compared;
  const measures = measuresOf(findings);
  const spreadCells = (spread: (measure: Measure) => Spread | undefined): Cell[] =>
    measures.map((measure) => {
      const found = spread(measure);
      return found && { value: found.mean, show: measure.digitsOf(found) };
    });
  const reference = (name: string, spread: (measure: Measure) => Spread | undefined): Cell[] => [
    name,
    undefined,
    ...spreadCells(spread),
    ...(uniform ? [undefined] : []),
    undefined,
    undefined,
  ];
  return {
    id: 'searchers',
    caption: `Best placement of each searcher at the full budget${seeds.length > 1 ? `, mean ± standard deviation over ${seeds.length} seeds` : ''}`,
    header: [
      'Searcher',
      'Layers kept',
      ...measures.map(({ heading }) => heading),
      ...(uniform ? [`Against uniform${overall.changeUnit && ` (${overall.changeUnit})`}`] : []),
      'Seconds',
      'Tokens',
    ],
    rows: ordered(searchers).map((searcher) => {
      const changes =
        uniform && spreadOf(pairedChanges(overall, searcher, uniform).map(({ change }) => change));
      const seconds = average(searcher.outcomes.map((outcome) => outcome.seconds));
      const tokens = average(searcher.outcomes.map((outcome) => outcome.tokens));
      return [
        {
          value: searcher.name,
          show: html`${searcher.label}${searcher.role === 'searched' && html` <span class="mark">taken</span>`}`,
        },
        { value: placementsValue(searcher), show: placements(searcher, findings) },
        ...spreadCells((measure) => fullSpread(measure, searcher)),
        ...(uniform
          ? [
              searcher === uniform
                ? undefined
                : changes && { value: changes.mean, show: overall.changeDigitsOf(changes) },
            ]
          : []),
        { value: seconds, show: seconds.toFixed(1) },
        { value: tokens, show: amount(Math.round(tokens)) },
      ];
    }),
    footer: [
      ...(allLinear.length > 0 ? [reference('all linear', (measure) => spreadOver(measure, allLinear))] : []),
      reference(`base model, ${layers} of ${layers} full`, (measure) => spreadOver(measure, [base])),
    ],
  };
}

function everySeed(findings: Findings): Table {
  const measures = measuresOf(findings);
  return {
    id: 'searchers-by-seed',
    caption: 'Best placement of each searcher, seed by seed',
    header: [
      'Searcher',
      'Seed',
      'Layers kept',
      ...measures.map(({ heading }) => heading),
      'Seconds',
      'Tokens',
    ],
    rows: ordered(findings.searchers).flatMap(({ label, outcomes }) =>
      outcomes.map(({ seed, full, seconds, tokens }): Cell[] => [
        label,
        { value: seed, show: seed },
        full.placement.join(' '),
        ...measures.map((measure): Cell => {
          const value = measure.of(full);
          return value === undefined ? undefined : { value, show: measure.digits(value) };
        }),
        { value: seconds, show: seconds.toFixed(1) },
        { value: tokens, show: amount(tokens) },
      ]),
    ),
  };
}

/** The mean, unless it is that of a single task, and every task. */
function measuresOf({ overall, tasks, guiding }: Findings): Measure[] {
  const columns = tasks.flatMap((task) => task.columns);
  return guiding.length > 1 ? [overall, ...columns] : columns;
}

/** What was taken first, then what it is compared with. */
function ordered(searchers: readonly SearcherFindings[]): SearcherFindings[] {
  const roles = ['searched', 'other', 'exhaustive', 'random', 'uniform'];
  return [...searchers].sort((a, b) => roles.indexOf(a.role) - roles.indexOf(b.role));
}

function grouped({ outcomes }: SearcherFindings): { placement: readonly number[]; times: number }[] {
  const groups = new Map<string, { placement: readonly number[]; times: number }>();
  for (const { full } of outcomes) {
    const key = full.placement.join(',');
    const group = groups.get(key);
    if (group) group.times++;
    else groups.set(key, { placement: full.placement, times: 1 });
  }
  return [...groups.values()].sort((a, b) => b.times - a.times);
}

function placementsValue(searcher: SearcherFindings): string {
  return grouped(searcher)
    .map(({ placement }) => placement.join(' '))
    .join('; ');
}

/** Different placements of one searcher that are drawn. */
const MOST_SHOWN = 4;

function placements(searcher: SearcherFindings, { layers, headline }: Findings): Content {
  const groups = grouped(searcher);
  const differ = groups.length > 1 && groups[0]!.times > 1;
  const more = groups.length - MOST_SHOWN;
  const shown = groups.slice(0, MOST_SHOWN).map(
    ({
      placement,
      times,
    }) => html`<span class="placement">${architectureBlocks(lettersOf(placement, layers, headline.run.architecture))}
      <small>${layersText(placement)}${differ && ` (${times}×)`}</small></span>`,
  );
  return more > 0 ? [...shown, html`<small>and ${more} more</small>`] : shown;
}
