import { showArchitecture } from '../mixers/registry.ts';
import { openCheckpoint } from '../model/checkpoint.ts';
import type { RunContext } from '../search/run/context.ts';
import { stagesOf } from '../search/run/stage.ts';
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

/** What a run is about to do, before anything is measured. */
export function shownPlan(context: RunContext): string {
  const { recipe, tasks, finalTasks } = context;
  const stages = stagesOf(recipe);
  const judging = stages.every((name) => name === 'final') ? finalTasks : tasks;
  const judged = judging.map(
    ({ plan, metric }) => `${plan.name} (${metric}, ${plan.examples.length} examples)`,
  );
  return [
    architectureText(context),
    ...(stages.length > 1 ? [`stages: ${stages.join(', ')}`] : []),
    `judged by ${judged.join(', ')}`,
  ].join('\n');
}

function architectureText({ recipe, config }: RunContext): string {
  const { model, placement, final } = recipe;
  if (!placement) {
    const { layers } = openCheckpoint(final!.hybrid!).config;
    return `${model} teaches ${final!.hybrid}, ${showArchitecture(layers)}`;
  }
  const layers = config.layers.length;
  const parent = `${model}: ${layers} layers, of which`;
  if ('layers' in placement) return `${parent} ${placement.layers.join(', ')} keep full attention`;
  const { budget, mixer } = placement;
  return `${parent} ${budget} keep full attention and ${layers - budget} get ${mixer}`;
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
