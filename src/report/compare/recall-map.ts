import * as Plot from '@observablehq/plot';
import type { ComparedModel, CompareResult, RecallMap } from '../../search/compare/result.ts';
import { numberCell } from '../cells.ts';
import { type Figure, panels } from '../figure.ts';
import { rampLegend } from '../figures/ramp.ts';
import { type Html, html } from '../html.ts';
import { drawChart } from '../svg.ts';
import { counted, percent } from '../text.ts';
import { SCORE_STEPS } from '../theme.ts';
import { recallShare } from './models.ts';

/** What a text told is asked for at its end: a map by its length and by where it was told, for each model. */

const KINDS: Record<string, string> = { needle: 'one number', keys: 'one of five numbers' };

export function recallFigure({ models }: CompareResult): Figure {
  // The maps of a kind stand side by side.
  const maps = models[0]!.recall.flatMap((_, k) =>
    models.map((model, m) => ({ model, map: model.recall[k]!, id: `recall-${m}-${k}` })),
  );
  const shares = models.map((model) => `${model.name} ${percent(recallShare(model) ?? 0)}`);
  return {
    id: 'recall-maps',
    title: `Of all questions answered: ${shares.join(', ')}`,
    reading: html`A story tells a number by a name, and asks for it at its end. Across: how long the story is, in tokens. Down: where
      in it the number stood, from its beginning (0 %) to right before the question (100 %). A cell is the share of questions whose
      answer is right in every token.`,
    legend: rampLegend('score', 'none found', 'all found'),
    graphic: panels(
      maps.map(({ model, map, id }) => ({
        title: html`${model.name} <small>${KINDS[map.name] ?? map.name}</small>`,
        chart: mapChart(model, map, id),
      })),
    ),
    caption: `${models[0]!.recall.map(({ name, cells }) => `${KINDS[name] ?? name}: ${counted(cells[0]!.examples, 'question')} a cell`).join('; ')}.`,
    table: {
      caption: 'Questions answered rightly',
      header: ['Model', 'Told', 'Tokens', 'Depth', 'Right', 'Questions'],
      rows: maps.flatMap(({ model, map }) =>
        map.cells.map(({ length, depth, right, examples }) => [
          model.name,
          KINDS[map.name] ?? map.name,
          numberCell(length),
          numberCell(depth, (value) => percent(value)),
          numberCell(right),
          numberCell(examples),
        ]),
      ),
    },
  };
}

function stepOf(share: number): number {
  return Math.min(SCORE_STEPS - 1, Math.floor(share * SCORE_STEPS));
}

function mapChart(model: ComparedModel, { name, cells }: RecallMap, id: string): Html {
  const lengths = [...new Set(cells.map(({ length }) => length))].sort((a, b) => a - b);
  const depths = [...new Set(cells.map(({ depth }) => depth))].sort((a, b) => a - b);
  const drawn = cells.map(({ length, depth, right, examples }) => {
    const share = right / examples;
    return {
      ...{ length, depth, fill: `var(--score-${stepOf(share)})`, text: String(Math.round(100 * share)) },
      title: `${model.name}, ${length} tokens, at ${percent(depth)}: ${right} of ${examples}`,
    };
  });
  const place = { x: 'length', y: 'depth' } as const;
  return drawChart({
    id,
    label: `Recall of ${KINDS[name] ?? name} by ${model.name}`,
    description: `${drawn.map(({ title }) => title).join('. ')}.`,
    plot: {
      width: 320,
      height: 40 + depths.length * 34,
      marginLeft: 52,
      marginRight: 4,
      marginTop: 4,
      marginBottom: 36,
      padding: 0,
      x: {
        domain: lengths,
        tickFormat: (value: number) => (value % 1024 === 0 ? `${value / 1024}K` : String(value)),
        tickSize: 0,
        label: 'tokens of the text',
        labelAnchor: 'center',
        labelArrow: 'none',
      },
      y: { domain: depths, tickFormat: (value: number) => percent(value), tickSize: 0, label: null },
      marks: [
        Plot.cell(drawn, { ...place, fill: 'fill', inset: 0.75, rx: 3, title: 'title' }),
        Plot.text(drawn, { ...place, text: 'text', fill: 'var(--score-text)', pointerEvents: 'none' }),
      ],
      color: { type: 'identity' },
    },
  });
}
