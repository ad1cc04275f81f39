import { type Findings, samePlacement } from '../findings.ts';
import { type Content, type Html, html } from '../html.ts';
import { renderTable } from '../table.ts';
import { amount, counted, fixed } from '../text.ts';
import { mixerName } from './mixer-name.ts';

/** How the search was made. */
export function searchFacts({ result, model, overall, layers, tasks, guiding }: Findings): Html {
  const { kind: _, ...dimensions } = result.mixer;
  const facts: [string, Content][] = [
    ['Model', html`<code>${model.path}</code>`],
    ['Layers', layers],
    ['Parameters', amount(model.parameters)],
    ['Linear mixer', mixerName(result.mixer)],
    ...Object.entries(dimensions).map(([name, value]): [string, Content] => [
      `Mixer: ${name}`,
      String(value),
    ]),
    ['Budget', counted(result.budget, 'full-attention layer')],
  ];
  const some = guiding.length < tasks.length;
  return html`<dl class="facts">${facts.map(([term, fact]) => html`<div><dt>${term}</dt><dd>${fact}</dd></div>`)}</dl>
${renderTable({
  id: 'objective',
  caption: `What the search maximised: the mean over ${some ? 'the tasks that guide it' : 'these tasks'}`,
  header: ['Task', 'Metric', 'Examples', ...(some ? ['Guides the search'] : [])],
  rows: result.objective.map(({ task, examples }, i) => [
    task,
    tasks[i]!.kind === 'accuracy' ? 'accuracy' : 'minus gold loss per token',
    { value: examples, show: examples },
    ...(some ? [guiding.includes(tasks[i]!) ? 'yes' : 'no, reported only'] : []),
  ]),
})}
${renderTable({
  id: 'seeds',
  caption: 'Seeds',
  header: ['Seed', 'Architecture', 'Layers kept', 'Super network’s last loss', overall.axis],
  rows: result.runs.map((run) => {
    const judged = run.searchers
      .flatMap(({ best }) => best)
      .find(({ placement }) => samePlacement(placement, run.placement));
    const value = judged && overall.of(judged);
    return [
      { value: run.seed, show: run.seed },
      { value: run.architecture, show: html`<code>${run.architecture}</code>` },
      run.placement.join(' '),
      { value: run.supernetLoss, show: fixed(run.supernetLoss, 4) },
      value === undefined ? undefined : { value, show: overall.digits(value) },
    ];
  }),
})}`;
}
