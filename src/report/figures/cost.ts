import * as Plot from '@observablehq/plot';
import { average } from '../../util/statistics.ts';
import { type Figure, panels } from '../figure.ts';
import type { Findings } from '../findings.ts';
import type { Html } from '../html.ts';
import { drawChart, textWidth } from '../svg.ts';
import { amount, counted, duration, percent } from '../text.ts';

/** What each stage cost, in seconds and in tokens taken through the model. */

interface Stage {
  name: string;
  /** Means over the seeds that have the stage. */
  seconds: number;
  tokens: number;
}

/** Undefined if no stage was recorded. */
export function costFigure(findings: Findings): Figure | undefined {
  const { result, seeds } = findings;
  const stages = stagesOf(findings);
  if (stages.length === 0) return undefined;
  const perSeed = seeds.length > 1 ? ', mean over seeds' : '';
  return {
    id: 'cost',
    title: titleOf(stages),
    reading: `Time and tokens of each stage, in the order in which they ran${perSeed}.`,
    graphic: panels([
      {
        title: 'Time',
        chart: chart('cost-seconds', 'Seconds per stage', stages, (stage) => stage.seconds, duration),
      },
      {
        title: 'Tokens',
        chart: chart('cost-tokens', 'Tokens per stage', stages, (stage) => stage.tokens, amount),
      },
    ]),
    caption:
      `Everything together took ${duration(result.seconds)} and ${amount(result.tokens)} tokens` +
      `${seeds.length > 1 ? ` for ${counted(seeds.length, 'seed')}` : ''}. ` +
      'A placement is judged once per seed: a later searcher gets what an earlier one has judged for nothing.',
    table: {
      caption: `Cost of each stage${perSeed}`,
      header: ['Stage', 'Seconds', 'Tokens', 'Tokens per second'],
      rows: stages.map(({ name, seconds, tokens }) => [
        name,
        { value: seconds, show: seconds.toFixed(1) },
        { value: tokens, show: amount(tokens) },
        seconds > 0 ? { value: tokens / seconds, show: amount(Math.round(tokens / seconds)) } : undefined,
      ]),
      footer: [
        [
          'everything, all seeds',
          { value: result.seconds, show: result.seconds.toFixed(1) },
          { value: result.tokens, show: amount(result.tokens) },
          result.seconds > 0
            ? {
                value: result.tokens / result.seconds,
                show: amount(Math.round(result.tokens / result.seconds)),
              }
            : undefined,
        ],
      ],
    },
  };
}

function stagesOf({ result }: Findings): Stage[] {
  const names = [...new Set(result.runs.flatMap(({ stages }) => stages.map(({ name }) => name)))];
  return names.map((name) => {
    const found = result.runs.flatMap(({ stages }) => stages.filter((stage) => stage.name === name));
    return {
      name,
      seconds: average(found.map(({ seconds }) => seconds)),
      tokens: average(found.map(({ tokens }) => tokens)),
    };
  });
}

function chart(
  id: string,
  label: string,
  stages: readonly Stage[],
  value: (stage: Stage) => number,
  show: (value: number) => string,
): Html {
  const left = 12 + Math.max(...stages.map(({ name }) => textWidth(name)));
  const rows = stages.map((stage) => ({ name: stage.name, value: value(stage), text: show(value(stage)) }));
  const right = 12 + Math.max(...rows.map(({ text }) => textWidth(text)));
  return drawChart({
    id,
    label,
    description: `${rows.map(({ name, text }) => `${name}: ${text}`).join(', ')}.`,
    plot: {
      width: 430,
      height: 12 + rows.length * 28,
      marginLeft: left,
      marginRight: right,
      marginTop: 6,
      marginBottom: 6,
      x: { domain: [0, Math.max(...rows.map((row) => row.value), 1e-9)], axis: null },
      y: { domain: rows.map(({ name }) => name), label: null, tickSize: 0, padding: 0.3 },
      marks: [
        Plot.barX(rows, {
          x: 'value',
          y: 'name',
          fill: 'var(--heat-5)',
          title: ({ name, text }) => `${name}: ${text}`,
        }),
        Plot.text(rows, { x: 'value', y: 'name', text: 'text', dx: 6, textAnchor: 'start' }),
        Plot.ruleX([0], { stroke: 'var(--ink)' }),
      ],
    },
  });
}

function titleOf(stages: readonly Stage[]): string {
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const longest = stages.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  if (total === 0) return 'The search took no time';
  const share = percent(longest.seconds / total);
  return stages.length === 1
    ? `All time went into ${longest.name}`
    : `Most time, ${share}, went into: ${longest.name}`;
}
