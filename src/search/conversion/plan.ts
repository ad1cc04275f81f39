import type { ModelConfig } from '../../model/config.ts';
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { range } from '../../util/range.ts';
import { layerCosts, placementCost } from '../reach/costs.ts';
import type { ReachBudget } from '../reach/result.ts';
import type { Wanted } from './budgets.ts';

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

/** What a conversion is going to do, in sentences. */
export function planLines(
  { model, config, wanted, budgets, windows, sinks, cache, out }: Plan,
  { timed, compared }: { timed: boolean; compared: boolean },
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
    `${steps.map((step, i) => `${i + 1}. ${step}`).join(', ')}; each shows how long it still takes, all is kept in ${out}, and the same command goes on from there`,
  ];
}

function budgetName({ heads, bytes, milliseconds }: ReachBudget): string {
  return [
    ...(heads !== undefined ? [`${heads} KV head${heads === 1 ? '' : 's'}`] : []),
    ...(bytes !== undefined ? [`${(bytes / 1e6).toFixed(1)} MB`] : []),
    ...(milliseconds !== undefined ? [`${(1000 / milliseconds).toFixed(1)} tokens a second`] : []),
  ].join(' and ');
}
