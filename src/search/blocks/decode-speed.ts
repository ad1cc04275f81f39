import type { Device } from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { Engine } from '../../runtime/engine.ts';
import { Random } from '../../util/random.ts';

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

/** What a prompt may have of a context that has to hold the timed tokens too. */
export function longestPrompt(config: ModelConfig, tokens: number): number {
  return config.maxPositionEmbeddings - tokens - WARM_UP;
}
