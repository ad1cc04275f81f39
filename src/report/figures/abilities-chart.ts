import * as Plot from '@observablehq/plot';
import type { LegendEntry } from '../figure.ts';
import type { Html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { drawChart, drawIcon, GRID, NARROW, textWidth, WIDE } from '../svg.ts';
import { type Ability, keptText } from './abilities.ts';

/** The drawing of the abilities: a line per task, with numbers beside it or, on phones, above it. */

interface Row {
  name: string;
  ability: Ability;
}

const UNIFORM = { symbol: 'square', fill: 'var(--uniform)', stroke: 'var(--paper)', r: 5.5 } as const;
const SEARCHED = { fill: 'var(--full)', stroke: 'var(--paper)', strokeWidth: 1.5, r: 7 } as const;
const LINEAR = { fill: 'var(--paper)', stroke: 'var(--muted)', strokeWidth: 2, r: 5 } as const;

export function abilityIcons(abilities: readonly Ability[]): LegendEntry[] {
  const middle = [[0.5, 0.5] as [number, number]];
  return [
    ...(abilities.some(({ allLinear }) => allLinear)
      ? [{ icon: drawIcon([Plot.dot(middle, LINEAR)]), label: 'all linear' }]
      : []),
    ...(abilities.some(({ uniform }) => uniform)
      ? [{ icon: drawIcon([Plot.dot(middle, UNIFORM)]), label: 'uniform placement' }]
      : []),
    { icon: drawIcon([Plot.dot(middle, { ...SEARCHED, r: 6 })]), label: 'searched placement' },
    { icon: drawIcon([Plot.ruleX([0.5], { stroke: 'var(--ink)', strokeWidth: 3 })]), label: 'base model' },
  ];
}

/** All accuracies on one axis; every loss on its own. */
export function abilityCharts(abilities: readonly Ability[], form: 'wide' | 'narrow'): Html[] {
  const isAccuracy = ({ measure }: Ability) => measure.kind === 'accuracy';
  const accuracies = abilities.filter(isAccuracy);
  const losses = abilities.filter((ability) => !isAccuracy(ability)).map((loss) => [loss]);
  const longest = Math.max(...abilities.map(({ measure }) => textWidth(measure.name)));
  return [...(accuracies.length > 0 ? [accuracies] : []), ...losses].map((group, i) =>
    chart(group, `abilities-${form}-${i}`, form === 'wide' ? longest : undefined),
  );
}

/** @param labelWidth room for the names on the left; without it names and numbers stand above their lines */
function chart(group: readonly Ability[], id: string, labelWidth: number | undefined): Html {
  const wide = labelWidth !== undefined;
  const { measure } = group[0]!;
  const rows = group.map((ability): Row => ({ name: ability.measure.name, ability }));
  const seeds = rows.flatMap(({ name, ability }) =>
    ability.searched.values.length > 1
      ? ability.searched.values.map((value) => ({ name, value: plotted(value) }))
      : [],
  );
  const y = { y: 'name', dy: wide ? 0 : 9 };
  const ticks = wide ? 8 : 4;
  const marginTop = wide ? 26 : 4;
  const marginBottom = 42;
  const domain = domainOf(group);
  return drawChart({
    id,
    label: `Abilities kept: ${measure.axis}`,
    description: group
      .map(
        ({ measure: m, searched, base }) =>
          `${m.name}: searched ${m.showSpread(searched)}, base ${m.show(base)}.`,
      )
      .join(' '),
    plot: {
      width: wide ? WIDE : NARROW,
      height: marginTop + group.length * (wide ? 34 : 46) + marginBottom,
      marginLeft: wide ? 24 + labelWidth : 12,
      marginRight: wide ? 196 : 12,
      marginTop,
      marginBottom,
      x: {
        domain: measure.higherIsBetter ? domain : [...domain].reverse(),
        label: measure.higherIsBetter ? measure.axis : `${measure.axis}, lower is better`,
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks,
        tickSize: 0,
      },
      y: { domain: rows.map(({ name }) => name), axis: null, padding: 0 },
      marks: [
        Plot.gridX({ ...GRID, ticks }),
        Plot.link(rows, {
          x1: ({ ability }: Row) => plotted((ability.allLinear ?? ability.searched).mean),
          x2: ({ ability }: Row) => plotted(ability.base),
          ...y,
          stroke: 'var(--linear)',
          strokeWidth: 8,
          strokeLinecap: 'round',
        }),
        Plot.tickX(rows, {
          x: value('base'),
          ...y,
          inset: wide ? 7 : 13,
          stroke: 'var(--ink)',
          strokeWidth: 3,
          title: title('base', 'base model'),
        }),
        Plot.dot(rows, { x: value('allLinear'), ...y, ...LINEAR, title: title('allLinear', 'all linear') }),
        Plot.dot(rows, {
          x: value('uniform'),
          ...y,
          ...UNIFORM,
          title: title('uniform', 'uniform placement'),
        }),
        Plot.dot(seeds, {
          x: 'value',
          ...y,
          r: 2,
          fill: 'var(--paper)',
          stroke: 'var(--full)',
          strokeWidth: 1.2,
        }),
        Plot.dot(rows, {
          x: value('searched'),
          ...y,
          ...SEARCHED,
          title: title('searched', 'searched placement'),
        }),
        ...(wide ? besideLines(rows) : aboveLines(rows)),
      ],
    },
  });

  function plotted(value: number): number {
    return measure.plotted(value);
  }
}

type Key = 'base' | 'searched' | 'uniform' | 'allLinear';

function value(key: Key) {
  return ({ ability }: Row) => {
    const found = ability[key];
    return found === undefined
      ? Number.NaN
      : ability.measure.plotted(typeof found === 'number' ? found : found.mean);
  };
}

function title(key: Key, what: string) {
  return ({ name, ability }: Row) => {
    const found = ability[key];
    const { measure } = ability;
    if (found === undefined) return undefined;
    return `${name}, ${what}: ${typeof found === 'number' ? measure.show(found) : measure.showSpread(found)}`;
  };
}

/** Names on the left, three columns of numbers on the right. */
function besideLines(rows: readonly Row[]): Plot.Markish[] {
  const columns: [string, (ability: Ability) => string][] = [
    ['searched', ({ measure, searched }) => measure.digits(searched.mean)],
    ['base', ({ measure, base }) => measure.digits(base)],
    [rows.every(({ ability }) => ability.measure.kind === 'accuracy') ? 'kept' : 'change', keptText],
  ];
  return [
    Plot.text(rows, {
      text: 'name',
      y: 'name',
      frameAnchor: 'left',
      dx: -12,
      textAnchor: 'end',
      fontWeight: 600,
    }),
    ...columns.flatMap(([name, show], i) => {
      const place = { dx: [64, 118, 194][i]!, textAnchor: 'end' } as const;
      const first = i === 0 ? { fill: 'var(--full)', fontWeight: 700 } : {};
      return [
        Plot.text([name], {
          text: [name],
          frameAnchor: 'top-right',
          dy: -18,
          fill: 'var(--muted)',
          ...place,
        }),
        Plot.text(rows, {
          text: ({ ability }: Row) => show(ability),
          y: 'name',
          frameAnchor: 'right',
          ...place,
          ...first,
        }),
      ];
    }),
  ];
}

function aboveLines(rows: readonly Row[]): Plot.Markish[] {
  const numbers = ({ ability: { measure, searched, base } }: Row) =>
    `${measure.digits(searched.mean)} of ${measure.digits(base)}`;
  const against = ({ ability: { measure, searched, base } }: Row) =>
    `${measure.digits(searched.mean)}, base ${measure.digits(base)}`;
  const text = (row: Row) => (row.ability.measure.kind === 'accuracy' ? numbers(row) : against(row));
  return [
    Plot.text(rows, {
      text: 'name',
      y: 'name',
      frameAnchor: 'left',
      dy: -9,
      textAnchor: 'start',
      fontWeight: 600,
    }),
    Plot.text(rows, { text, y: 'name', frameAnchor: 'right', dy: -9, textAnchor: 'end' }),
  ];
}

/** 0 to 100 for accuracies, around the values for losses. */
function domainOf(group: readonly Ability[]): [number, number] {
  const { measure }: { measure: Measure } = group[0]!;
  if (measure.kind === 'accuracy') return [0, 100];
  const values = group.flatMap(({ base, searched, uniform, allLinear }) => [
    base,
    ...searched.values,
    ...(uniform?.values ?? []),
    ...(allLinear?.values ?? []),
  ]);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}
