import type { Spread } from '../../util/statistics.ts';
import { type Figure, legendOf, responsive } from '../figure.ts';
import { type Findings, fullSpread, spreadOver } from '../findings.ts';
import { html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { counted, listed, percent } from '../text.ts';
import { abilityCharts, abilityIcons } from './abilities-chart.ts';

/** How much of each ability is left: the hybrid between the all-linear path and the base model, task by task. */

export interface Ability {
  measure: Measure;
  base: number;
  searched: Spread;
  uniform: Spread | undefined;
  allLinear: Spread | undefined;
}

/** Undefined if no task has both a base value and one of the searched placement. */
export function abilitiesFigure(findings: Findings): Figure | undefined {
  const abilities = abilitiesOf(findings);
  if (abilities.length === 0) return undefined;
  const { seeds } = findings;
  const mean = seeds.length > 1 ? ', mean over seeds' : '';
  const cell = (measure: Measure, spread: Spread | undefined) =>
    spread && { value: spread.mean, show: measure.showSpread(spread) };
  return {
    id: 'abilities',
    title: titleOf(abilities, findings.budget),
    reading: html`Each line runs from the model without any full attention (hollow) to the base model (bar): the closer
      the searched hybrid lies to the bar, the more of the ability is kept. Right is better${
        abilities.some(({ measure }) => !measure.higherIsBetter) && ', for losses too: their axes fall'
      }.${seeds.length > 1 && ` Large dots are means over ${seeds.length} seeds, small ones the seeds.`}`,
    legend: legendOf(abilityIcons(abilities)),
    graphic: responsive(
      html`${abilityCharts(abilities, 'wide')}`,
      html`${abilityCharts(abilities, 'narrow')}`,
    ),
    caption: captionOf(abilities),
    table: {
      caption: `Abilities of the base model and of hybrids${mean}`,
      header: ['Ability', 'Measure', 'Base', 'Searched', 'Uniform', 'All linear', 'Kept'],
      rows: abilities.map((ability) => {
        const { measure, base, searched, uniform, allLinear } = ability;
        return [
          measure.name,
          measure.axis,
          { value: base, show: measure.show(base) },
          cell(measure, searched),
          cell(measure, uniform),
          cell(measure, allLinear),
          { value: keptOf(ability), show: keptText(ability) },
        ];
      }),
    },
  };
}

function abilitiesOf({ tasks, compared, searched, uniform }: Findings): Ability[] {
  const { base, allLinear } = compared;
  return tasks.flatMap((measure) => {
    const found = fullSpread(measure, searched);
    const whole = measure.of(base);
    if (!found || whole === undefined) return [];
    return {
      measure,
      base: whole,
      searched: found,
      uniform: fullSpread(measure, uniform),
      allLinear: spreadOver(measure, allLinear),
    };
  });
}

/** For accuracies the share of the base's, for losses what is added to it. */
function keptOf({ measure, base, searched }: Ability): number {
  return measure.kind === 'accuracy' ? searched.mean / base : searched.mean - base;
}

export function keptText(ability: Ability): string {
  const kept = keptOf(ability);
  if (ability.measure.kind !== 'accuracy') return ability.measure.changeDigits(kept);
  return Number.isFinite(kept) ? percent(kept, 1) : '–';
}

/** Where the hybrid stands: 0 all linear, 1 base; where that says nothing, how far it falls short of the base. */
function standing({ measure, base, searched, allLinear }: Ability): number {
  const closed = allLinear && measure.closed(searched.mean, allLinear.mean, base);
  return closed ?? 1 + measure.gain(searched.mean, base) / Math.max(Math.abs(base), 1e-9);
}

/** Closer to the base than this counts as kept. */
const NEARLY_WHOLE = 0.95;

function titleOf(abilities: readonly Ability[], budget: number): string {
  const layers = counted(budget, 'full-attention layer');
  const kept = abilities.filter((ability) => standing(ability) >= NEARLY_WHOLE);
  const names = listed(kept.map(({ measure }) => measure.name));
  if (kept.length === abilities.length) return `With ${layers}, ${names} stay close to the base model`;
  if (kept.length > 0)
    return `With ${layers}, ${names} ${kept.length > 1 ? 'stay' : 'stays'} close to the base model`;
  const best = abilities.reduce((a, b) => (standing(b) > standing(a) ? b : a));
  return abilities.length === 1
    ? `With ${layers}, ${names || best.measure.name} falls short of the base model`
    : `With ${layers}, ${best.measure.name} comes closest to the base model`;
}

function captionOf(abilities: readonly Ability[]): string {
  const value = ({ measure, searched, base }: Ability) =>
    `${measure.quantity} ${measure.brief(searched.mean)}, base ${measure.brief(base)}`;
  const order = [...abilities].sort((a, b) => standing(b) - standing(a));
  const best = order[0]!;
  const worst = order.at(-1)!;
  if (best === worst) return `Of ${best.measure.name}: ${value(best)}.`;
  return `Kept best is ${best.measure.name} (${value(best)}), least ${worst.measure.name} (${value(worst)}).`;
}
