import type { Judged } from '../../search/stages/placement/searcher.ts';
import { descending, type Spread } from '../../util/statistics.ts';
import { type Figure, responsive } from '../figure.ts';
import { type Findings, onlyLayer, spreadOver } from '../findings.ts';
import { type Content, html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { evidenceOf, pairedSpread } from '../paired.ts';
import type { Cell } from '../table.ts';
import { capitalised, layersText, listed, percent } from '../text.ts';
import { narrowMap, scaleOf, wideMap } from './heat-map-chart.ts';
import { rampLegend } from './ramp.ts';

/** Which layer matters for what: each cell is the model with only that layer at full attention (the paper's Figure 5a). */

/** A task. */
export interface Row {
  measure: Measure;
  base: number | undefined;
  allLinear: number | undefined;
  /** Over seeds, per layer; undefined where it was not measured. */
  layers: (Spread | undefined)[];
  /** Per layer, how much of the gap between all linear and base it closes alone; undefined without a gap. */
  closed: (number | undefined)[];
  /** The layers that were measured, the best first. */
  order: number[];
  /** Whether seeds decide that the best layer is better than the next. */
  leads: boolean;
}

/** Undefined if no layer was measured alone. */
export function heatMapFigure(findings: Findings): Figure | undefined {
  const rows = rowsOf(findings);
  if (rows.every(({ order }) => order.length === 0)) return undefined;
  const { seeds, layers } = findings;
  const mean = seeds.length > 1 ? ', mean over seeds' : '';
  return {
    id: 'heat-map',
    title: titleOf(rows),
    reading: html`Each cell is the model with <em>only that layer</em> at full attention and all others linear${mean}.
      Numbers are ${unitsOf(rows)}. Colours say how much of the gap between the all-linear model and the base model the
      layer closes by itself, so that rows can be compared. Dots mark the layers that the search kept${
        seeds.length > 1 && ', the larger the more seeds did'
      }.`,
    legend: rampLegend('heat', `${percent(0)}, as all linear`, `${percent(scaleOf(rows))} of the gap closed`),
    graphic: responsive(wideMap(rows, findings), narrowMap(rows, findings)),
    caption: captionOf(rows, findings),
    table: {
      caption: `Full attention in one layer only${mean}`,
      header: ['Layer', ...rows.map(({ measure }) => `${measure.name}, ${measure.axis}`)],
      rows: Array.from({ length: layers }, (_, layer) => [
        `${layer}`,
        ...rows.map((row) => cell(row.measure, row.layers[layer]?.mean)),
      ]),
      footer: [
        ['all linear', ...rows.map(({ measure, allLinear }) => cell(measure, allLinear))],
        ['base model', ...rows.map(({ measure, base }) => cell(measure, base))],
      ],
    },
  };
}

function cell(measure: Measure, value: number | undefined): Cell {
  return value === undefined ? undefined : { value, show: measure.digits(value) };
}

function rowsOf(findings: Findings): Row[] {
  const { tasks, base, allLinear } = findings;
  return tasks.map((measure) => {
    const layers = Array.from({ length: findings.layers }, (_, layer) =>
      spreadOver(measure, onlyLayer(findings, layer)),
    );
    const gains = layers.map((spread) => (spread ? measure.gain(spread.mean, 0) : Number.NEGATIVE_INFINITY));
    const order = descending(gains).filter((layer) => layers[layer] !== undefined);
    const low = spreadOver(measure, allLinear)?.mean;
    const high = measure.of(base);
    // Where no searcher looked at the all-linear path, the worst layer takes its place.
    const from = low ?? layers[order.at(-1) ?? 0]?.mean;
    return {
      measure,
      base: high,
      allLinear: low,
      layers,
      closed: layers.map((spread) =>
        spread && from !== undefined && high !== undefined
          ? measure.closed(spread.mean, from, high)
          : undefined,
      ),
      order,
      leads: leads(measure, order, findings),
    };
  });
}

function leads(measure: Measure, [best, second]: readonly number[], findings: Findings): boolean {
  if (best === undefined || second === undefined) return true;
  const runs = findings.result.runs.map(({ seed, heatMap }) => ({ seed, heatMap }));
  const alone = (layer: number) =>
    runs.flatMap(({ seed, heatMap }) => {
      const judged = heatMap.find(({ placement }) => placement.length === 1 && placement[0] === layer);
      return judged ? [{ seed, judged }] : [];
    });
  const change = pairedSpread(measure, alone(best), alone(second));
  return change !== undefined && evidenceOf(measure, change) === 'better';
}

function unitsOf(rows: readonly Row[]): string {
  const units = {
    accuracy: 'accuracy in\u00a0%, higher is better',
    loss: 'loss of the right answer in nats per token, lower is better',
    text: 'loss in nats per token, lower is better',
    perplexity: 'perplexity, lower is better',
    score: 'scores, higher is better',
  };
  return [...new Set(rows.map(({ measure }) => units[measure.kind]))].join(', or ');
}

/** A layer that closes less than this share of the gap does not matter by itself. */
const MATTERS = 0.1;

/** Layers named in the title. */
const MOST_NAMED = 3;

function titleOf(rows: readonly Row[]): string {
  const led = new Map<number, string[]>();
  for (const { measure, order, closed } of rows) {
    const best = order[0];
    if (best === undefined || (closed[best] ?? 0) < MATTERS) continue;
    led.set(best, [...(led.get(best) ?? []), measure.name]);
  }
  if (led.size === 0) return 'No layer brings much back by itself';
  const parts = [...led].slice(0, MOST_NAMED).map(([layer, names], i) => {
    const verb = i === 0 ? ' matters most' : '';
    return `layer ${layer}${verb} for ${listed(names)}`;
  });
  const named = new Set([...led.values()].slice(0, MOST_NAMED).flat());
  const undecided = rows.filter(({ measure, leads }) => named.has(measure.name) && !leads);
  const names = listed(undecided.map(({ measure }) => measure.name));
  const rest =
    undecided.length > 0 ? `: undecided${undecided.length === named.size ? '' : ` for ${names}`}` : '';
  return capitalised(parts.join(', ')) + rest;
}

function captionOf(rows: readonly Row[], findings: Findings): Content {
  return html`What one layer does alone:<ul>${rows.map((row) => {
    const sentence = sentenceOf(row, findings);
    return sentence && html`<li><b>${row.measure.name}</b>: ${sentence}</li>`;
  })}</ul>${togetherOf(findings)}`;
}

function sentenceOf(
  { measure, layers, closed, order, allLinear, base }: Row,
  findings: Findings,
): string | undefined {
  const [best, second] = order;
  if (best === undefined) return undefined;
  const value = measure.show(layers[best]!.mean);
  const share = closed[best];
  if (allLinear === undefined || base === undefined) return `layer ${best} is best with ${value}.`;
  if (share === undefined)
    return 'all linear is as good as the base model, so there is nothing to bring back.';
  if (share < MATTERS) return `no layer closes more than ${percent(Math.max(0, share))} of the gap.`;
  const next =
    second === undefined ? '' : `; next is layer ${second} with ${measure.show(layers[second]!.mean)}`;
  return (
    `layer ${best} takes it from ${measure.show(allLinear)} to ${value}, ${percent(share)} of the way to the ` +
    `base model${votesFor(measure, best, findings)}${next}.`
  );
}

/** In how many seeds a layer leads. */
function votesFor(measure: Measure, layer: number, { result, seeds }: Findings): string {
  if (seeds.length === 1) return '';
  const leads = result.runs.filter(({ heatMap }) => leader(measure, heatMap) === layer).length;
  return ` (it leads in ${leads} of ${seeds.length} seeds)`;
}

function leader(measure: Measure, heatMap: readonly Judged[]): number | undefined {
  const known = heatMap.filter((judged) => measure.of(judged) !== undefined);
  const [first] = descending(known.map((judged) => measure.gain(measure.of(judged)!, 0)));
  return first === undefined ? undefined : known[first]!.placement[0];
}

/** Whether the search kept the layers that are best alone. */
function togetherOf(findings: Findings): string | undefined {
  const { overall, layers, budget, headline } = findings;
  if (budget < 2) return undefined;
  const alone = Array.from({ length: layers }, (_, layer) => spreadOver(overall, onlyLayer(findings, layer)));
  if (alone.some((spread) => spread === undefined)) return undefined;
  const order = descending(alone.map((spread) => overall.gain(spread!.mean, 0)));
  const singles = order.slice(0, budget).sort((a, b) => a - b);
  const { placement } = headline.run;
  const shared = singles.filter((layer) => placement.includes(layer)).length;
  if (shared === budget) return `The search kept exactly the ${budget} layers that are best alone.`;
  return (
    `Best alone for ${overall.name.startsWith('mean') ? `the ${overall.name}` : overall.name} are ${layersText(singles)}; the search kept ${layersText(placement)}, ` +
    `${shared === 0 ? 'none' : shared} of them: what layers do together is not the sum of what they do alone.`
  );
}
