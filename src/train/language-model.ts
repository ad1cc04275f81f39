import { grad, input, int64, Program, type Value } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { decoder, head, weightInputs } from '../model/decoder.ts';
import { crossEntropy } from './losses.ts';
import type { ParameterVector } from './parameters.ts';

/** Next-token training of a whole model as one program: loss and all gradients. */
export class LanguageModelTraining {
  private constructor(
    private readonly program: Program,
    private readonly batch: number,
    private readonly length: number,
  ) {}

  /** Compiles for batches of `batch` rows of `length` tokens, trained weights being all of `parameters`. */
  static async create(
    config: ModelConfig,
    parameters: ParameterVector,
    { batch, length, threads = 0 }: { batch: number; length: number; threads?: number },
  ): Promise<LanguageModelTraining> {
    const ids = input('ids', 'int64', [batch, length]);
    const targets = input('targets', 'int64', [batch, length]);
    const weights = weightInputs(parameters.parameters);
    const logits = head(config, decoder(config, ids, weights, { form: 'chunk' }), weights);
    const loss = crossEntropy(logits, targets);
    const names = Object.keys(weights);
    const gradients = grad(loss, Object.values(weights));
    const outputs = Object.fromEntries(names.map((name, i) => [`grad.${name}`, gradients[i]!]));
    return new LanguageModelTraining(await Program.compile({ loss, ...outputs }, { threads }), batch, length);
  }

  /**
   * @param rows [batch, length + 1] token ids; each token but the first of a row is a target
   * @param gradient receives the gradient of the mean loss
   * @returns the mean loss in nats per token
   */
  async gradient(parameters: ParameterVector, rows: Int32Array, gradient: ParameterVector): Promise<number> {
    const { batch, length } = this;
    const part = (offset: number): Value => {
      const ids = Array.from({ length: batch * length }, (_, i) => {
        const row = Math.floor(i / length);
        return rows[row * (length + 1) + (i % length) + offset]!;
      });
      return int64(ids, [batch, length]);
    };
    const { loss } = await this.program.run(
      { ids: part(0), targets: part(1), ...parameters.values() },
      gradient.values('grad.'),
    );
    return (loss!.data as Float32Array)[0]!;
  }

  async dispose(): Promise<void> {
    await this.program.dispose();
  }
}
