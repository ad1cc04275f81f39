import type { ModelConfig } from '../../model/config.ts';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { measure, tokensAfter } from '../../runtime/bench/measure.ts';
import { Subject } from '../../runtime/bench/subject.ts';
import type { OnProgress } from '../../util/progress.ts';
import { range } from '../../util/range.ts';
import type { ReachTimes } from './costs.ts';
import { placementSpecs } from './placement.ts';

/** What heads cost in time, measured on this machine: whole models whose layers are all alike, one after the other. */

const ROUNDS = { tokens: 12, rounds: 3 };

export interface MeasureTimesOptions {
  /** Tokens before the first that is written. */
  context: number;
  windows: readonly number[];
  sinks: number;
  dtype?: WeightDtype | undefined;
  cache?: 'f32' | 'q8' | undefined;
  threads?: number | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Measures no, one and all KV heads that see everything, with each window; of numbers between one and all a straight line says.
 * States are drawn, so that long contexts take no reading.
 */
export async function measureTimes(
  config: ModelConfig,
  weights: TensorSource,
  { context, windows, sinks, dtype, cache, threads, onProgress, signal }: MeasureTimesOptions,
): Promise<ReachTimes> {
  const { numKvHeads } = config;
  const counts = [...new Set([0, 1, numKvHeads])];
  const total = windows.length * (counts.length - 1) + 1;
  let done = 0;
  const millisecondsOf = async (count: number, window: number): Promise<number> => {
    onProgress?.({ stage: 'measure what heads cost', done, total, unit: 'models' });
    const fullHeads = range(count);
    const placement = config.layers.map(() => ({ fullHeads, window, sinks }));
    await using subject = await Subject.open(
      {
        ...config,
        layers: placementSpecs(placement, config),
        maxPositionEmbeddings: Math.max(config.maxPositionEmbeddings, context + tokensAfter(ROUNDS)),
      },
      weights,
      {
        ...(dtype && { dtype }),
        ...(cache && { kvDtype: cache }),
        ...(threads !== undefined && { threads }),
        ...(signal && { signal }),
      },
    );
    const { decodeTokensPerSecond } = await measure(subject, {
      ...{ context, batch: 1, fill: true, ...ROUNDS },
      ...(signal && { signal }),
    });
    onProgress?.({ stage: 'measure what heads cost', done: ++done, total, unit: 'models' });
    return 1000 / decodeTokensPerSecond;
  };
  // A window makes no difference where all heads see everything.
  const whole = await millisecondsOf(numKvHeads, windows[0]!);
  const measured: { window: number; totals: number[] }[] = [];
  for (const window of windows) {
    const none = await millisecondsOf(0, window);
    const one = numKvHeads === 1 ? whole : await millisecondsOf(1, window);
    // From one head to all but one; the measured ones are taken as they are, for sums would be rounded.
    const between = (count: number) => one + ((whole - one) * (count - 1)) / (numKvHeads - 1);
    const some = range(numKvHeads).slice(1).map(between);
    measured.push({ window, totals: [none, ...some, whole] });
  }
  return timesOf(measured, config.layers.length);
}

/**
 * Times of whole models of equal layers as those of one layer: what the fastest takes is `fixed`, and layers have what they add
 * to it.
 */
export function timesOf(
  measured: readonly { window: number; totals: readonly number[] }[],
  layers: number,
): ReachTimes {
  const fixed = Math.min(...measured.flatMap(({ totals }) => totals));
  return {
    fixed,
    layers: measured.map(({ window, totals }) => ({
      window,
      milliseconds: totals.map((total) => (total - fixed) / layers),
    })),
  };
}
