import type { Result } from '../../search/result.ts';
import type { BlocksResult } from '../../search/stages/blocks/result.ts';
import { numberCell } from '../cells.ts';
import type { Figure } from '../figure.ts';
import { type Cost, costBars } from '../figures/cost-bars.ts';
import type { Stages } from '../stages.ts';
import { amount, counted, duration, percent } from '../text.ts';

/** What every stage of a run cost, all seeds together. */
export function runCostFigure({ result, seeds: { length: seeds } }: Stages): Figure {
  const costs = costsOf(result);
  const longest = costs.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  const row = ({ name, seconds, tokens }: Cost) => [
    name,
    numberCell(seconds, (value) => value.toFixed(1)),
    numberCell(tokens, amount),
  ];
  return {
    id: 'run-cost',
    title:
      costs.length === 1
        ? `The run is its ${longest.name}`
        : `Most time, ${percent(longest.seconds / costs.reduce((sum, { seconds }) => sum + seconds, 0))}, went into: ${longest.name}`,
    reading: `Time and tokens of each stage${seeds > 1 ? `, ${counted(seeds, 'seed')} together` : ''}. Of stages 2 to 4 only tokens that candidates were trained on count.`,
    graphic: costBars('run-cost', costs),
    caption: `Everything together took ${duration(result.seconds)} and ${amount(result.tokens)} tokens.`,
    table: {
      caption: 'Cost of each stage',
      header: ['Stage', 'Seconds', 'Tokens'],
      rows: costs.map(row),
      footer: [row({ name: 'everything', seconds: result.seconds, tokens: result.tokens })],
    },
  };
}

function costsOf(result: Result): Cost[] {
  const { placement, mlps, blocks, design, dimensions, windows, final } = result;
  const plain = (name: string, cost: { seconds: number; tokens: number } | undefined): Cost[] =>
    cost ? [{ name, seconds: cost.seconds, tokens: cost.tokens }] : [];
  const compared = (name: string, found: BlocksResult | undefined): Cost[] =>
    found ? [{ name, seconds: found.seconds, tokens: tokensOf(found) }] : [];
  const stages = final?.runs.flatMap((run) => run.stages) ?? [];
  const sum = (value: (stage: (typeof stages)[number]) => number) =>
    stages.reduce((total, stage) => total + value(stage), 0);
  return [
    ...plain('placement', placement),
    ...plain('MLPs', mlps),
    ...compared('blocks', blocks),
    ...compared('design', design),
    ...compared('dimensions', dimensions),
    ...plain('windows', windows),
    ...(final
      ? [{ name: 'final model', seconds: sum(({ seconds }) => seconds), tokens: sum(({ tokens }) => tokens) }]
      : []),
  ];
}

function tokensOf({ trainedTokens, candidates }: BlocksResult): number {
  return trainedTokens * candidates.reduce((runs, candidate) => runs + candidate.runs.length, 0);
}
