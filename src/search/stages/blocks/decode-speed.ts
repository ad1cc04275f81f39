import type { Device } from '../../../graph/index.ts';
import type { ModelConfig } from '../../../model/config.ts';
import type { TensorSource } from '../../../model/tensor-source.ts';
import { Engine } from '../../../runtime/engine.ts';
import type { OnProgress } from '../../../util/progress.ts';
import { Random } from '../../../util/random.ts';

export interface DecodeSpeedOptions {
  device?: Device;
  threads?: number;
  /** Tokens of the prompt. */
  context: number;
  /** Tokens timed. */
  tokens: number;
  signal?: AbortSignal;
}

/** Steps that are taken before the clock starts: the first ones allocate. */
const WARM_UP = 4;

/**
 * Tokens per second of one sequence, each step waiting for the one before, as in generation. Which tokens they are
 * makes no difference to the time, so they are drawn.
 */
export async function measureDecode(
  model: { config: ModelConfig; weights: TensorSource },
  { device, threads, context, tokens, signal }: DecodeSpeedOptions,
): Promise<number> {
  await using engine = await Engine.create(model.config, model.weights, { device, threads, signal });
  const random = new Random(1);
  const draw = () => random.below(model.config.vocabSize);
  using sequence = engine.start();
  await engine.append(sequence, Array.from({ length: context }, draw), { signal });
  const steps = async (count: number) => {
    for (let i = 0; i < count; i++) {
      signal?.throwIfAborted();
      await engine.append(sequence, [draw()]);
    }
  };
  await steps(WARM_UP);
  const begun = performance.now();
  await steps(tokens);
  return tokens / ((performance.now() - begun) / 1000);
}

/**
 * Measures all in turns, so that a machine that slows down slows all of them.
 *
 * @returns for each of `items` a value per round
 */
export async function inTurns<T>(
  rounds: number,
  items: readonly T[],
  measure: (item: T) => Promise<number>,
  onProgress?: OnProgress,
  stage = 'time decoding',
): Promise<number[][]> {
  const values: number[][] = items.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, item] of items.entries()) {
      values[i]!.push(await measure(item));
      const done = round * items.length + i + 1;
      onProgress?.({ stage, done, total: rounds * items.length, unit: 'runs' });
    }
  }
  return values;
}

/** What a prompt may have of a context that has to hold the timed tokens too. */
export function longestPrompt(config: ModelConfig, tokens: number): number {
  return config.maxPositionEmbeddings - tokens - WARM_UP;
}
