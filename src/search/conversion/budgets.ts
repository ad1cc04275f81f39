import type { ModelConfig } from '../../model/config.ts';
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { InputError } from '../../util/errors.ts';
import { range } from '../../util/range.ts';
import { layerCosts, placementCost } from '../reach/costs.ts';
import type { ReachBudget } from '../reach/result.ts';

/** What a search is to look for, from what a user wants. */

export interface Wanted {
  /** Tokens of a sequence. */
  context: number;
  /** Bytes of the keys and values of a sequence at the context, at most. */
  memory?: number;
  /** Tokens written a second at the context, at least. */
  speed?: number;
  /** KV heads that see everything, at most. */
  heads?: number;
  /** Share of the parent's answers to be kept, at every distance at which it finds half of them; the fewest bytes that do are wanted. */
  keep?: number;
  /** Nats a token of text more than the parent, at most; the fewest bytes that do are wanted. */
  textLoss?: number;
}

/** What a placement must keep of its parent where neither budget nor quality is told. */
export const QUALITY = { keep: 0.95, textLoss: 0.05 };

/** What is kept beside heads that see everything, and how. */
interface Kept {
  /** That layers can have. */
  windows: readonly number[];
  sinks: number;
  /** Of heads that see everything. */
  cache: KvDtype;
}

/** Shares of all KV heads that are tried where a user wants nothing in particular. */
const SHARES = [1 / 30, 1 / 15, 2 / 15, 1 / 5, 3 / 10];

/**
 * @throws InputError for a budget in which no placement fits, or that the parent fits already
 */
export function budgetsOf(wanted: Wanted, config: ModelConfig, near: Kept): ReachBudget[] {
  const { context, memory, speed, heads, keep, textLoss } = wanted;
  const { numKvHeads, layers } = config;
  const all = layers.length * numKvHeads;
  const budgeted = memory !== undefined || speed !== undefined || heads !== undefined;
  if (budgeted && (keep !== undefined || textLoss !== undefined)) {
    throw new InputError(
      'both a quality (keep, textLoss) and a budget (memory, speed, heads): expected one of them, since of a budget the best is taken and of a quality the cheapest',
    );
  }
  if (memory !== undefined) checkMemory(memory, context, config, near);
  if (heads !== undefined && heads >= all) {
    throw new InputError(`--full-heads ${heads}: expected fewer than the ${all} KV heads that there are`);
  }
  if (budgeted) {
    return [
      {
        ...(heads !== undefined && { heads }),
        ...(memory !== undefined && { bytes: memory }),
        ...(speed !== undefined && { milliseconds: 1000 / speed }),
      },
    ];
  }
  const counts = new Set(SHARES.map((share) => Math.max(1, Math.round(share * all))));
  return [...counts].filter((count) => count < all).map((heads) => ({ heads }));
}

function checkMemory(
  memory: number,
  context: number,
  config: ModelConfig,
  { windows, sinks, cache }: Kept,
): void {
  const costs = layerCosts(config, { tokens: context, sinks, cache });
  const of = (fullHeads: readonly number[], window: number) =>
    placementCost(
      config.layers.map(() => ({ fullHeads, window, sinks })),
      costs,
    ).bytes;
  const heads = range(config.numKvHeads);
  const [least, most] = [of([], Math.min(...windows)), of(heads, 1)];
  const size = (value: number) => `${(value / 1e6).toFixed(1)}MB`;
  if (memory >= most) {
    throw new InputError(
      `--memory ${size(memory)}: full attention takes ${size(most)} at ${context} tokens (keys and values in ${cache}), so there is nothing to save; expected less`,
    );
  }
  if (memory < least) {
    throw new InputError(
      `--memory ${size(memory)}: windows of ${Math.min(...windows)} + ${sinks} tokens in all layers take ${size(least)}; expected at least that, or shorter --windows`,
    );
  }
}
