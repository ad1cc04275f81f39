import type { CompareResult, SpeedFound } from '../../search/compare/result.ts';
import { numberCell } from '../cells.ts';
import { type Figure, panels } from '../figure.ts';
import { drawLines, lineStyle } from '../figures/line-chart.ts';
import { html } from '../html.ts';
import { bytes, fixed, rate } from '../text.ts';
import { modelsLegend } from './models.ts';

const PANELS: {
  id: string;
  title: string;
  unit: string;
  of: (row: SpeedFound) => number | null;
  show: (value: number) => string;
}[] = [
  {
    id: 'state',
    title: 'Memory of a sequence',
    unit: 'lower is better',
    of: (row) => row.stateBytes,
    show: bytes,
  },
  {
    id: 'decode',
    title: 'Writing',
    unit: 'tokens per second',
    of: (row) => row.decodeTokensPerSecond,
    show: rate,
  },
  {
    id: 'prefill',
    title: 'Reading',
    unit: 'tokens per second',
    of: (row) => row.prefillTokensPerSecond,
    show: rate,
  },
];

/** Memory and speed by the length of the text, as measured on this machine. */
export function costFigure({ models, machine, dtype }: CompareResult): Figure {
  const [parent, ...others] = models;
  const last = parent!.speed.at(-1)!;
  const against = others.map(({ name, speed }) => {
    const own = speed.at(-1)!;
    return `${name} takes ${bytes(own.stateBytes)} and writes ${fixed(own.decodeTokensPerSecond / last.decodeTokensPerSecond, 2)} times as fast`;
  });
  const shown = PANELS.filter(({ of }) => parent!.speed.some((row) => of(row) !== null));
  return {
    id: 'cost-curves',
    title: `After ${last.context.toLocaleString('en')} tokens, where the parent takes ${bytes(last.stateBytes)}: ${against.join('; ')}`,
    reading: html`Against the number of tokens that came before, both axes logarithmic. Memory is that of one sequence, as it lies
      here; places for tokens to come are counted. Beyond the context that a model was trained for, memory and speed hold, what it
      would write does not.`,
    legend: modelsLegend(models),
    graphic: panels(
      shown.map(({ id, title, unit, of, show }) => ({
        title: html`${title} <small>${unit}</small>`,
        chart: drawLines(
          models.map(({ name, speed }, i) => ({
            style: lineStyle(i),
            points: speed.flatMap((row) => {
              const y = of(row);
              return y === null
                ? []
                : [{ x: row.context, y, title: `${name}, ${row.context} tokens: ${show(y)}` }];
            }),
          })),
          { id: `cost-${id}`, label: `${title} by number of tokens`, x: 'tokens before', show },
        ),
      })),
    ),
    caption: `Measured on ${machine.processor}, weights ${dtype}. Rates move with what else the machine does meanwhile.`,
    table: {
      caption: 'Memory and speed by length',
      header: ['Model', 'Tokens before', 'Bytes measured', 'By formula', 'Written a second', 'Read a second'],
      rows: models.flatMap(({ name, speed }) =>
        speed.map((row) => [
          name,
          numberCell(row.context, (value) => value.toLocaleString('en')),
          numberCell(row.stateBytes, bytes),
          numberCell(row.formulaBytes, bytes),
          numberCell(row.decodeTokensPerSecond, rate),
          row.prefillTokensPerSecond === null ? undefined : numberCell(row.prefillTokensPerSecond, rate),
        ]),
      ),
    },
  };
}
