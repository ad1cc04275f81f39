import type { ModelConfig } from '../../model/config.ts';
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { range } from '../../util/range.ts';
import { layerCosts, placementCost } from '../reach/costs.ts';
import type { ReachBudget } from '../reach/result.ts';
import type { Wanted } from './budgets.ts';
import type { TrainingPlan } from './train.ts';

export interface Plan {
  model: string;
  config: ModelConfig;
  wanted: Wanted;
  budgets: readonly ReachBudget[];
  windows: readonly number[];
  sinks: number;
  /** Of heads that see everything. */
  cache: KvDtype;
  out: string;
}

/** A training and what it will take. */
interface TrainedPlan extends TrainingPlan {
  hours: number;
  controls: boolean;
}

/** The parent, uniform layers, random heads, windows alone. */
const CONTROLS = 4;

/** What a conversion is going to do, in sentences. */
export function planLines(
  { model, config, wanted, budgets, windows, sinks, cache, out }: Plan,
  { timed, compared, trained }: { timed: boolean; compared: boolean; trained?: TrainedPlan },
): string[] {
  const { layers, numKvHeads, maxPositionEmbeddings } = config;
  const { context } = wanted;
  const costs = layerCosts(config, { tokens: context, sinks, cache });
  const of = (heads: number, window: number) => {
    const fullHeads = range(heads);
    const { bytes } = placementCost(
      layers.map(() => ({ fullHeads, window, sinks })),
      costs,
    );
    return `${(bytes / 1e6).toFixed(1)} MB`;
  };
  const tokens = `${context.toLocaleString('en')} tokens`;
  const steps = [
    ...(timed ? [`time full heads and windows on this machine after ${tokens}`] : []),
    `search, for ${budgets.map(budgetName).join('; ')}, which of the ${layers.length * numKvHeads} KV heads must see everything`,
    ...(trained ? [`train the hybrid of the placement that is taken for ${hoursText(trained.hours)}`] : []),
    ...(compared ? [`compare the placement that is taken with ${model}`] : []),
  ];
  return [
    `${model}: ${layers.length} layers of ${numKvHeads} KV heads, whose keys and values take ${of(numKvHeads, 1)} at ${tokens} (${cache}); windows of ` +
      `${windows.join(' or ')} + ${sinks} tokens in all layers would take ${windows.map((window) => of(0, window)).join(' or ')}`,
    ...(context > maxPositionEmbeddings
      ? [
          `the model knows ${maxPositionEmbeddings.toLocaleString('en')} positions: recall is searched up to there, memory and speed are those after ${tokens}`,
        ]
      : []),
    ...(trained ? [trainingLine(trained)] : []),
    `${steps.map((step, i) => `${i + 1}. ${step}`).join(', ')}; each shows how long it still takes, all is kept in ${out}, and the same command goes on from there`,
  ];
}

/** '2.5 hours' */
const hoursText = (hours: number) => `${Number(hours.toPrecision(3))} hour${hours === 1 ? '' : 's'}`;

function trainingLine({ hours, tokens, step, bytes, controls }: TrainedPlan): string {
  const count = (value: number) => Number(value.toPrecision(2)).toLocaleString('en');
  // Slow steps make few tokens.
  const [few, many] = [step.high, step.low].map((seconds) => (tokens * step.median) / seconds);
  const range = `${count(few!)} to ${count(many!)}`;
  return (
    `training for ${hoursText(hours)} is about ${count(tokens)} tokens (${range} by the steps timed) and takes about ${(bytes / 1e9).toFixed(1)} GB of memory` +
    (controls
      ? `; each of up to ${CONTROLS} controls takes as long: up to ${hoursText((CONTROLS + 1) * hours)} in all`
      : '')
  );
}

function budgetName({ heads, bytes, milliseconds }: ReachBudget): string {
  return [
    ...(heads !== undefined ? [`${heads} KV head${heads === 1 ? '' : 's'}`] : []),
    ...(bytes !== undefined ? [`${(bytes / 1e6).toFixed(1)} MB`] : []),
    ...(milliseconds !== undefined ? [`${(1000 / milliseconds).toFixed(1)} tokens a second`] : []),
  ].join(' and ');
}
