import { duration } from './progress.ts';
import { table } from './table.ts';

/** What training will take, for people. */
export interface EstimatedStage {
  name: string;
  /** Trainings, each of its own. */
  trials: number;
  tokens: number;
  seconds: number;
  low: number;
  high: number;
}

/** @param jobs trainings that are done at the same time */
export function shownEstimate(stages: readonly EstimatedStage[], jobs: number): string {
  const sum = (value: (stage: EstimatedStage) => number) =>
    stages.reduce((total, stage) => total + value(stage), 0);
  const all: EstimatedStage = {
    name: 'all',
    trials: sum(({ trials }) => trials),
    tokens: sum(({ tokens }) => tokens),
    seconds: sum(({ seconds }) => seconds),
    low: sum(({ low }) => low),
    high: sum(({ high }) => high),
  };
  const rows = [...stages, all].map(({ name, trials, tokens, seconds, low, high }) => [
    name,
    String(trials),
    tokens.toLocaleString('en'),
    duration(seconds),
    `${duration(low)} to ${duration(high)}`,
  ]);
  return [
    table(['stage', 'trainings', 'tokens', 'about', 'by the steps timed'], rows),
    `extended from a few steps on the first layers, ${jobs === 1 ? 'one training at a time' : `${jobs} trainings at a time`}; ` +
      'judging and timing are not counted',
  ].join('\n');
}
