import * as Plot from '@observablehq/plot';
import { spreadOf } from '../../util/statistics.ts';
import { changeCell, numberCell, spreadCell } from '../cells.ts';
import { type Figure, legendOf, panelColumns, panels, renderFigure } from '../figure.ts';
import { spreadOver } from '../findings.ts';
import { type Html, html } from '../html.ts';
import type { Measure } from '../measure.ts';
import { REFERENCE, ruleIcon } from '../series.ts';
import { drawChart, drawIcon, GRID } from '../svg.ts';
import { renderTable } from '../table.ts';
import { capitalised, counted, listed, percent } from '../text.ts';
import { type Claim, changeText, claimNotes, notMeasured } from './claim.ts';
import {
  changeToBase,
  type FinalFindings,
  isKept,
  KEPT_POINTS,
  keptEvidence,
  stageName,
  valuesAfter,
} from './final-findings.ts';

/** The final model: its abilities after each stage of distillation, against the base. */

export function finalSection(final: FinalFindings): Html {
  return html`${renderFigure(stagesFigure(final))}
${claimNotes([finalClaim(final)])}
${changesTable(final)}`;
}

function stagesFigure(final: FinalFindings): Figure {
  const { measures, stages, seeds, result } = final;
  const shared = accuracyDomain(final);
  const wide = panelColumns(measures.length) === 2;
  return {
    id: 'final',
    title: titleOf(final),
    reading: html`Each ability right after the search and after each stage of distillation: learning the base model’s hidden
      states, then its predictions, then both predictions and text with all weights. The dotted line is the base model.${
        seeds.length > 1 && ` Large dots are means over ${seeds.length} seeds, small ones the seeds.`
      } ${setText(final)}`,
    legend: legendOf([
      { icon: drawIcon([Plot.dot([[0.5, 0.5]], { r: 5, fill: 'var(--full)' })]), label: 'hybrid' },
      { icon: ruleIcon(), label: 'base model' },
    ]),
    graphic: panels(
      measures.map((measure, i) => ({
        title: html`${measure.name} <small>${measure.higherIsBetter ? measure.axis : `${measure.unit}, lower is better`}</small>`,
        chart: chart(final, measure, {
          id: `final-${i}`,
          width: wide ? 430 : 320,
          domain: measure.kind === 'accuracy' ? shared : domainOf(final, [measure]),
        }),
      })),
    ),
    caption: captionOf(final),
    table: {
      caption: `Abilities after each stage${seeds.length > 1 ? `, mean ± standard deviation over ${seeds.length} seeds` : ''}`,
      header: ['Stage', 'Steps', 'Tokens', 'Loss', ...measures.map(({ heading }) => heading)],
      rows: stages.map((name) => {
        const found = result.runs.flatMap((run) => run.stages.filter((stage) => stage.name === name));
        const loss = spreadOf(found.map(({ loss }) => loss))!;
        return [
          stageName(name),
          numberCell(found[0]!.steps),
          numberCell(found[0]!.tokens),
          numberCell(loss.mean, (value) => value.toFixed(4)),
          ...measures.map((measure) =>
            spreadCell(measure, spreadOf(valuesAfter(result, measure, name).map(({ value }) => value))),
          ),
        ];
      }),
      footer: [
        [
          'base model',
          undefined,
          undefined,
          undefined,
          ...measures.map((measure) => spreadCell(measure, spreadOver(measure, [result.base]))),
        ],
      ],
    },
  };
}

/** Results from before sets were drawn apart may share some examples with the search. */
function setText({ apart, result }: FinalFindings): string {
  return apart
    ? `None of the ${result.examples} examples per task is among those that the search chose on.`
    : `The ${result.examples} examples per task were drawn with another seed than those that the search chose on, without ` +
        'keeping the two apart: a few may be in both.';
}

function changesTable(final: FinalFindings): Html {
  const { tasks, stages, seeds, result } = final;
  const measures = final.measures.flatMap((measure) => measure.columns);
  return renderTable({
    id: 'final-table',
    caption: `The final model against the base${seeds.length > 1 ? `, mean ± standard deviation over ${seeds.length} seeds` : ''}`,
    header: [
      'Ability',
      'Base',
      'Before distillation',
      'Final model',
      'Difference',
      capitalised(within(tasks)),
    ],
    rows: measures.map((measure) => {
      const base = measure.of(result.base);
      const change = changeToBase(final, measure, stages.at(-1)!);
      const after = (stage: string) =>
        spreadCell(measure, spreadOf(valuesAfter(result, measure, stage).map(({ value }) => value)));
      return [
        measure.heading,
        base === undefined ? undefined : numberCell(base, (value) => measure.digits(value)),
        after(stages[0]!),
        after(stages.at(-1)!),
        changeCell(measure, change),
        change && base !== undefined && measure.kind !== 'perplexity'
          ? KEPT[keptEvidence(measure, change, base)]
          : undefined,
      ];
    }),
  });
}

const KEPT = { better: 'yes', worse: 'no', undecided: 'undecided' };

/** For losses points mean nothing: their share of the base's is taken. */
function within(tasks: readonly Measure[]): string {
  const losses = tasks.some(({ kind }) => kind !== 'accuracy');
  return `within ${KEPT_POINTS} points${losses ? ` (losses: ${KEPT_POINTS}\u00a0%)` : ''}`;
}

function standings(final: FinalFindings) {
  const { tasks, stages, result } = final;
  return tasks.flatMap((measure) => {
    const base = measure.of(result.base);
    const change = changeToBase(final, measure, stages.at(-1)!);
    return change && base !== undefined
      ? {
          measure,
          change,
          kept: isKept(measure, change, base),
          evidence: keptEvidence(measure, change, base),
        }
      : [];
  });
}

function titleOf(final: FinalFindings): string {
  const all = standings(final);
  const kept = all.filter((each) => each.kept).length;
  if (kept === all.length) return `The final model keeps every ability ${within(final.tasks)} of the base`;
  return `The final model keeps ${kept} of ${all.length} abilities ${within(final.tasks)} of the base`;
}

function captionOf(final: FinalFindings): string {
  const { measures, stages, seeds } = final;
  const first = measures[0]!;
  const start = changeToBase(final, first, stages[0]!);
  const end = changeToBase(final, first, stages.at(-1)!);
  if (!start || !end || stages.length < 2) return `Values of ${counted(seeds.length, 'seed')}.`;
  const steps = stages.slice(1).flatMap((stage, i) => {
    const [before, after] = [changeToBase(final, first, stages[i]!), changeToBase(final, first, stage)];
    return before && after ? [`${stageName(stage)} ${first.changeDigits(after.mean - before.mean)}`] : [];
  });
  const unit = first.changeUnit && ` ${first.changeUnit}`;
  return (
    `Against the base the ${first.phrase} goes from ${first.changeDigitsOf(start)} to ${first.changeDigitsOf(end)}${unit}; ` +
    `what each stage adds: ${listed(steps)}.`
  );
}

const SAYS = 'The final hybrid keeps the abilities of the base model';

export function finalClaim(final: FinalFindings | undefined): Claim {
  if (!final) return notMeasured(SAYS);
  const { measures, stages, kept } = final;
  const overall = measures[0]!;
  const all = standings(final);
  const lost = all.filter((each) => !each.kept);
  const change = changeToBase(final, overall, stages.at(-1)!);
  if (!change || all.length === 0) return notMeasured(SAYS);
  const name = (list: typeof all) =>
    listed(list.map((each) => `${each.measure.name} (${each.measure.changeDigits(each.change.mean)})`));
  const share = kept ? `${percent(kept.mean, 1)} of the accuracy is kept; ` : '';
  return {
    says: SAYS,
    found:
      `${share}${overall.phrase} ${changeText(overall, change)}. ` +
      (lost.length === 0
        ? `Every ability is ${within(final.tasks)}.`
        : `Not ${within(final.tasks)}: ${name(lost)}.`),
    verdict: all.some(({ evidence }) => evidence === 'worse')
      ? 'does not hold'
      : all.every(({ evidence }) => evidence === 'better')
        ? 'holds'
        : 'undecided',
  };
}

function accuracyDomain(final: FinalFindings): [number, number] {
  return domainOf(
    final,
    final.measures.filter(({ kind }) => kind === 'accuracy'),
  );
}

function domainOf({ result, stages }: FinalFindings, measures: readonly Measure[]): [number, number] {
  const values = measures.flatMap((measure) =>
    [
      ...stages.flatMap((stage) => valuesAfter(result, measure, stage).map(({ value }) => value)),
      measure.of(result.base),
    ].flatMap((value) => (value === undefined ? [] : measure.plotted(value))),
  );
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.07;
  const bounded = measures.every(({ kind }) => kind === 'accuracy');
  return bounded ? [Math.max(0, low - room), Math.min(101, high + room)] : [low - room, high + room];
}

function chart(
  { result, stages, seeds }: FinalFindings,
  measure: Measure,
  { id, width, domain }: { id: string; width: number; domain: [number, number] },
): Html {
  const base = measure.of(result.base);
  const means = stages.flatMap((stage) => {
    const spread = spreadOf(valuesAfter(result, measure, stage).map(({ value }) => value));
    if (!spread) return [];
    const title = `${measure.name}, ${stageName(stage)}: ${measure.showSpread(spread)}`;
    return { stage, value: measure.plotted(spread.mean), text: measure.digits(spread.mean), title };
  });
  const dots = stages.flatMap((stage) =>
    valuesAfter(result, measure, stage).map(({ seed, value }) => ({
      stage,
      value: measure.plotted(value),
      title: `${measure.name}, ${stageName(stage)}, seed ${seed}: ${measure.show(value)}`,
    })),
  );
  const ticks = 4;
  return drawChart({
    id,
    label: `${measure.name} after each stage of distillation`,
    description: `${means.map(({ title }) => title).join('. ')}.`,
    plot: {
      width,
      height: 220,
      marginLeft: 44,
      marginTop: 14,
      marginBottom: 44,
      x: { type: 'point', domain: stages, label: null, padding: 0.45, axis: null },
      y: { domain, label: null, tickSize: 0, ticks },
      marks: [
        Plot.gridY({ ...GRID, ticks }),
        Plot.axisX({ tickSize: 0, lineWidth: 5.5, label: null, tickFormat: stageName }),
        ...(base === undefined
          ? []
          : [
              Plot.ruleY([measure.plotted(base)], {
                stroke: REFERENCE.colour,
                strokeWidth: 1.5,
                strokeDasharray: REFERENCE.dash,
                title: [`base model: ${measure.show(base)}`],
              }),
            ]),
        Plot.lineY(means, { x: 'stage', y: 'value', stroke: 'var(--full)', strokeWidth: 2 }),
        Plot.dot(means, {
          x: 'stage',
          y: 'value',
          r: 5,
          fill: 'var(--full)',
          stroke: 'var(--paper)',
          title: 'title',
        }),
        ...(seeds.length > 1
          ? [
              Plot.dot(dots, {
                x: 'stage',
                y: 'value',
                r: 2,
                fill: 'var(--paper)',
                stroke: 'var(--full)',
                strokeWidth: 1.2,
                title: 'title',
              }),
            ]
          : []),
      ],
    },
  });
}
