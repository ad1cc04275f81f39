import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ModelConfig } from '../../model/config.ts';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import type { OnProgress } from '../../util/progress.ts';
import { average } from '../../util/statistics.ts';
import { PART as CACHE_STEP, type KvDtype } from '../kv/blocks.ts';
import { seconds } from './measure.ts';
import { formulaBytes, type Subject, weightBytes } from './subject.ts';

/**
 * Throughput as Jet-Nemotron's paper measures it (spec §5.3): the largest batch that memory holds, prompts of uniformly
 * drawn tokens, then 128 greedy steps without a stop condition; 10 iterations with new prompts of which the first 3
 * do not count, and the mean of the rates of the others. Of fewer iterations the last one counts at least.
 */
export const PROTOCOL = { tokens: 128, iterations: 10, dropped: 3 };

export interface Fit {
  weightBytes: number;
  /** Of one sequence at its full length. */
  stateBytes: number;
  /** Sequences that fit beside the weights; 0 where not even one does. */
  batch: number;
}

/** The largest batch by the formula of the states: memory = weights + batch * state, caches as the engine fills them. */
export function largestBatch(
  config: ModelConfig,
  context: number,
  memoryBytes: number,
  { dtype, kvDtype }: { dtype?: WeightDtype | undefined; kvDtype: KvDtype },
): Fit {
  const weights = weightBytes(config, dtype);
  // Keys and values have room for whole steps of growth, and are packed when the last place is taken.
  const most = (tokens: number) => {
    const places = CACHE_STEP * Math.ceil(tokens / CACHE_STEP);
    return formulaBytes(config, places - 1, kvDtype) + formulaBytes(config, 1) - formulaBytes(config, 0);
  };
  const stateBytes = Math.max(most(context + 1), most(context + PROTOCOL.tokens));
  const batch = Math.max(0, Math.floor((memoryBytes - weights) / stateBytes));
  return { weightBytes: weights, stateBytes, batch };
}

/** Large buffers of sequences that are gone would otherwise be there beside those of the next. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

export interface Throughput {
  /** Of all sequences together; means over the iterations that count. null where states were drawn. */
  prefillTokensPerSecond: number | null;
  decodeTokensPerSecond: number;
  iterations: number;
  /** Of the process, up to the end. */
  peakBytes: number;
}

export async function throughput(
  subject: Subject,
  options: {
    context: number;
    batch: number;
    /** Draw states and caches rather than read prompts. */
    fill: boolean;
    iterations: number;
    onProgress?: OnProgress;
    signal?: AbortSignal;
  },
): Promise<Throughput> {
  const { context, batch, fill, iterations, onProgress, signal } = options;
  const { tokens } = PROTOCOL;
  const dropped = Math.min(PROTOCOL.dropped, iterations - 1);
  const steps = iterations * tokens;
  const prefill: number[] = [];
  const decode: number[] = [];
  for (let i = 0; i < iterations; i++) {
    subject.clear();
    collectGarbage();
    const reading = await seconds(() =>
      fill ? subject.fill(batch, context) : subject.prefill(batch, context, { signal }),
    );
    const writing = await seconds(async () => {
      for (let step = 0; step < tokens; step++) {
        signal?.throwIfAborted();
        await subject.step();
        const done = i * tokens + step + 1;
        onProgress?.({ stage: 'throughput', done, total: steps, unit: 'steps' });
      }
    });
    if (i >= dropped) {
      prefill.push((batch * context) / reading);
      decode.push((batch * tokens) / writing);
    }
  }
  return {
    prefillTokensPerSecond: fill ? null : average(prefill),
    decodeTokensPerSecond: average(decode),
    iterations: decode.length,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}
