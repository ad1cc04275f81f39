import type { OnProgress } from '../../util/progress.ts';
import { median } from '../../util/statistics.ts';
import type { Measurement } from './result.ts';
import type { Subject } from './subject.ts';

/** Rates of reading and writing at one length of the sequence: medians over rounds. */

export interface MeasureOptions {
  /** Tokens before the first that is decoded. */
  context: number;
  batch: number;
  /** Decoded tokens of a round. */
  tokens: number;
  rounds: number;
  /** Draw the state rather than read a prompt: for deep contexts, whose reading takes long. */
  fill: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** Tokens of a first, shorter prompt. */
const WARM_UP = 640;
/** Tokens of a prompt from which on its reading is worth a progress bar. */
const SHOWN_PREFILL = 2048;
/** Reading the prompt is not repeated where it takes longer than this, in seconds. */
const LONG_PREFILL = 20;

export async function measure(subject: Subject, options: MeasureOptions): Promise<Measurement> {
  const { context, batch, tokens, rounds, fill, onProgress, signal } = options;
  const stage = `${context} tokens${batch > 1 ? ` x ${batch}` : ''}`;
  const report = (done: number) =>
    onProgress?.({ stage: `measure ${stage}`, done, total: rounds, unit: 'rounds' });
  const long = context >= SHOWN_PREFILL;
  const prefill: number[] = [];
  const decode: number[] = [];
  report(0);
  for (let round = 0; round < rounds; round++) {
    const again = round === 0 || (!fill && median(prefill) < LONG_PREFILL);
    if (again && fill) await subject.fill(batch, context);
    else if (again) {
      // The first reading compiles what it needs.
      if (round === 0) await subject.prefill(batch, Math.min(context, WARM_UP), { signal });
      prefill.push(
        await seconds(() =>
          subject.prefill(batch, context, { onProgress: long ? onProgress : undefined, signal }),
        ),
      );
    }
    if (round === 0) await subject.step();
    decode.push(
      await seconds(async () => {
        for (let i = 0; i < tokens; i++) {
          signal?.throwIfAborted();
          await subject.step();
        }
      }),
    );
    report(round + 1);
  }
  return {
    context,
    batch,
    prefillTokensPerSecond: fill ? null : (batch * context) / median(prefill),
    firstTokenSeconds: fill ? null : median(prefill),
    prefillRounds: prefill.length,
    decodeTokensPerSecond: (batch * tokens) / median(decode),
    stateBytes: subject.stateBytes(),
    formulaBytes: subject.formulaBytes(),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/** Decoded tokens that a measurement adds to the context at most. */
export function tokensAfter({ tokens, rounds }: { tokens: number; rounds: number }): number {
  return 1 + tokens * rounds;
}

export async function seconds(run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}
