import { average } from '../../util/statistics.ts';
import type { Figure } from '../figure.ts';
import type { Findings } from '../findings.ts';
import { amount, counted, duration, percent } from '../text.ts';
import { type Cost, costBars } from './cost-bars.ts';

/** What each part of the search cost, means over the seeds that have it. */

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
    graphic: costBars('cost', stages),
    caption:
      `Everything together took ${duration(result.seconds)} and ${amount(result.tokens)} tokens` +
      `${seeds.length > 1 ? ` for ${counted(seeds.length, 'seed')}` : ''}. ` +
      'A placement is judged once per seed: what one searcher has judged costs the next one nothing.',
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

function stagesOf({ result }: Findings): Cost[] {
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

function titleOf(stages: readonly Cost[]): string {
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const longest = stages.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  if (total === 0) return 'The search took no time';
  const share = percent(longest.seconds / total);
  return stages.length === 1
    ? `All time went into ${longest.name}`
    : `Most time, ${share}, went into: ${longest.name}`;
}
