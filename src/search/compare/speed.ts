import { freemem } from 'node:os';
import type { ModelConfig } from '../../model/config.ts';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { measure, tokensAfter } from '../../runtime/bench/measure.ts';
import { formulaBytes, Subject } from '../../runtime/bench/subject.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { SpeedFound } from './result.ts';

/** Tokens per second and memory of a sequence, measured here, by the number of tokens that came before. */

const CONTEXTS = [1024, 4096, 16_384, 65_536];
/** Prompts are read up to so many tokens; beyond, states are drawn. */
const LONGEST_PROMPT = 4096;
const ROUNDS = { tokens: 16, rounds: 2 };
/** A sequence may take so much of the memory that is free. */
const SHARE_OF_MEMORY = 0.25;

export interface SpeedOptions {
  dtype?: WeightDtype | undefined;
  threads?: number | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

/** The lengths for which the machine has memory. */
export function speedContexts(configs: readonly ModelConfig[]): number[] {
  const room = SHARE_OF_MEMORY * freemem();
  return CONTEXTS.filter((tokens) => configs.every((config) => formulaBytes(config, tokens) < room));
}

/** The model goes beyond the context that it was trained for: its rates and sizes hold there, what it would write does not. */
export async function measureSpeed(
  config: ModelConfig,
  weights: TensorSource,
  contexts: readonly number[],
  { dtype, threads, onProgress, signal }: SpeedOptions,
): Promise<SpeedFound[]> {
  const longest = Math.max(...contexts) + tokensAfter(ROUNDS);
  const stretched = { ...config, maxPositionEmbeddings: Math.max(config.maxPositionEmbeddings, longest) };
  await using subject = await Subject.open(stretched, weights, {
    ...(dtype && { dtype }),
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  });
  const found: SpeedFound[] = [];
  for (const context of contexts) {
    const measured = await measure(subject, {
      ...{ context, batch: 1, fill: context > LONGEST_PROMPT, ...ROUNDS },
      ...(onProgress && { onProgress }),
      ...(signal && { signal }),
    });
    const { prefillTokensPerSecond, decodeTokensPerSecond, stateBytes, formulaBytes } = measured;
    found.push({ context, prefillTokensPerSecond, decodeTokensPerSecond, stateBytes, formulaBytes });
  }
  return found;
}
