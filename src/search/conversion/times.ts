import { freemem } from 'node:os';
import { attentionSpec } from '../../mixers/head-attention.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { measure, tokensAfter } from '../../runtime/bench/measure.ts';
import { formulaBytes, Subject } from '../../runtime/bench/subject.ts';
import type { KvDtype } from '../../runtime/kv-blocks.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { ReachTimes } from '../reach/costs.ts';

/** Milliseconds a token of each choice of a layer, measured on this machine with the engine that will run it. */

const ROUNDS = { tokens: 12, rounds: 3 };
/** A sequence may take so much of the memory that is free. */
const SHARE_OF_MEMORY = 0.5;

export interface TimesOptions {
  /** Tokens of the sequence. */
  context: number;
  windows: readonly number[];
  sinks: number;
  dtype?: WeightDtype | undefined;
  kvDtype?: KvDtype | undefined;
  threads?: number | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Three models are timed for each window, with states that are drawn: windows everywhere, one full head in each layer, all
 * heads full. A layer takes its share of what they take; with other numbers of full heads what lies between, for the cost
 * of a head is that of reading its keys and values.
 *
 * @throws InputError where a sequence does not fit into memory
 */
export async function measureTimes(
  config: ModelConfig,
  weights: TensorSource,
  { context, windows, sinks, onProgress, signal, ...engine }: TimesOptions,
): Promise<ReachTimes> {
  const { numKvHeads, layers } = config;
  const room = SHARE_OF_MEMORY * freemem();
  const most = formulaBytes(config, context, engine.kvDtype);
  if (most > room) {
    throw new InputError(
      `a sequence of ${context} tokens takes ${(most / 1e9).toFixed(1)} GB with full attention, this machine has ${(freemem() / 1e9).toFixed(1)} GB free: expected a shorter --context to measure speed at`,
    );
  }
  const timed = async (fullHeads: readonly number[], window: number, stage: string): Promise<number> => {
    const stretched = {
      ...config,
      layers: layers.map(() => attentionSpec(fullHeads, config, { window, sinks })),
      maxPositionEmbeddings: Math.max(config.maxPositionEmbeddings, context + tokensAfter(ROUNDS)),
    };
    const told: OnProgress = (event) => onProgress?.({ ...event, stage });
    await using subject = await Subject.open(stretched, weights, {
      ...given(engine),
      ...(onProgress && { onProgress: told }),
      ...(signal && { signal }),
    });
    const { decodeTokensPerSecond } = await measure(subject, {
      ...{ context, batch: 1, fill: true, ...ROUNDS, onProgress: told },
      ...(signal && { signal }),
    });
    return 1000 / decodeTokensPerSecond;
  };
  const all = Array.from({ length: numKvHeads }, (_, head) => head);
  const full = await timed(all, 1, 'time full attention');
  const found: { window: number; none: number; one: number }[] = [];
  for (const window of windows) {
    found.push({
      window,
      none: await timed([], window, `time windows of ${window}`),
      one: numKvHeads > 1 ? await timed([0], window, `time one full head, windows of ${window}`) : full,
    });
  }
  return timesOf(found, full, { numKvHeads, layers: layers.length });
}

/** Engine options without those that are undefined. */
function given<T extends object>(options: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

/**
 * Of whole models to that of a layer.
 *
 * @param found milliseconds a token with no and with one full head in each layer
 * @param full with all of them
 */
export function timesOf(
  found: readonly { window: number; none: number; one: number }[],
  full: number,
  { numKvHeads, layers }: { numKvHeads: number; layers: number },
): ReachTimes {
  const fixed = Math.min(...found.map(({ none }) => none));
  return {
    fixed,
    layers: found.map(({ window, none, one }) => {
      const of = (heads: number) => {
        if (heads === 0) return none;
        return numKvHeads === 1 ? full : one + ((full - one) * (heads - 1)) / (numKvHeads - 1);
      };
      // A head more costs no less, whatever was timed.
      let least = 0;
      const milliseconds = Array.from({ length: numKvHeads + 1 }, (_, heads) => {
        least = Math.max(least, (of(heads) - fixed) / layers);
        return least;
      });
      return { window, milliseconds };
    }),
  };
}
