import { type Dim, float32, input, int64, Program } from '../../src/graph/index.ts';
import { mixerOf } from '../../src/mixers/registry.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { decoder, head, weightInputs } from '../../src/model/decoder.ts';
import { modelParameters } from '../../src/model/parameters.ts';
import type { TensorSource } from '../../src/model/tensor-source.ts';

/** The decoder over whole sequences at once, without a state: what prefill and decode have to agree with. */
export class FullSequence {
  private readonly programs = new Map<Dim, Program>();

  constructor(
    private readonly config: ModelConfig,
    private readonly weights: TensorSource,
  ) {}

  /** Logits after every token, [T][vocabulary]. */
  async logits(ids: readonly number[]): Promise<Float32Array[]> {
    const T = ids.length;
    const { vocabSize, layers } = this.config;
    const program = await this.program(layers.every((spec) => mixerOf(spec).anyLength) ? 'T' : T);
    const positions = Array.from(ids, (_, i) => i);
    const { logits } = await program.run({ ids: int64(ids, [1, T]), positions: int64(positions, [1, T]) });
    const data = logits!.data as Float32Array;
    return positions.map((t) => data.subarray(t * vocabSize, (t + 1) * vocabSize));
  }

  private async program(T: Dim): Promise<Program> {
    const known = this.programs.get(T);
    if (known) return known;
    const { config, weights } = this;
    const inputs = weightInputs(modelParameters(config));
    const ids = input('ids', 'int64', [1, T]);
    const positions = input('positions', 'int64', [1, T]);
    const maxPositions = config.maxPositionEmbeddings;
    const x = decoder(config, ids, inputs, { form: 'chunk', positions, maxPositions });
    const values = Object.entries(inputs).map(
      ([name, tensor]) => [tensor, float32(weights.read(name), weights.info(name).shape)] as const,
    );
    const program = await Program.compile(
      { logits: head(config, x, inputs) },
      { weights: new Map(values), threads: 1 },
    );
    this.programs.set(T, program);
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await program.dispose();
  }
}

/** The largest difference over the largest expected value. */
export function relativeError(found: Float32Array, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [difference, largest] = [0, 0];
  for (const [i, x] of found.entries()) {
    // NaN, too, must not pass.
    const d = Math.abs(x - expected[i]!);
    if (!(d <= difference)) difference = d;
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return difference / largest;
}
