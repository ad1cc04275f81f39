import { memoryOf } from '../../src/graph/index.ts';
import type { Path } from '../../src/search/judge/scorer.ts';
import type { BranchWeights } from '../../src/search/network/branches.ts';
import type { Network } from '../../src/search/network/network.ts';
import { PathGradient } from '../../src/search/network/path-gradient.ts';
import { scheduleOf } from '../../src/search/train/settings.ts';
import type { TokenBatches } from '../../src/train/batches.ts';
import { train } from '../../src/train/trainer.ts';

/** The equal end of all placements: their linear mixers learn the parent's predictions. */
export const FINISH = { batch: 4, length: 128, steps: 60, rate: 1e-3 };

/** Trains branches along one path after the other, each from where they all began. */
export class Finish {
  private readonly memory = memoryOf();
  private readonly gradientOf: PathGradient;
  private readonly begun: Float32Array;

  constructor(
    network: Network,
    private readonly branches: BranchWeights,
    private readonly options: { batches: TokenBatches; seed: number; threads: number },
  ) {
    this.begun = branches.vector.data.slice();
    this.gradientOf = new PathGradient({
      ...{ memory: this.memory, teacher: network, student: network, trained: branches, shape: FINISH },
      losses: { vocabulary: { divergence: 1, temperature: 1, crossEntropy: 0 } },
      threads: options.threads,
    });
  }

  /** Leaves the trained branches in the network. */
  async train(path: Path): Promise<void> {
    const { batches, seed, threads } = this.options;
    this.branches.vector.data.set(this.begun);
    if (path.every((branch) => branch === 0)) return;
    const { batch, length } = FINISH;
    const ids = new Int32Array(batch * length);
    await train({
      ...{ stage: 'finish', parameters: this.branches.vector, memory: this.memory, threads },
      objective: {
        gradient: (random, gradient) => {
          batches.fill(ids, length, random);
          return this.gradientOf.compute(path, ids, gradient);
        },
      },
      schedule: scheduleOf(FINISH),
      seed: seed + 3000,
      optimizer: { weightDecay: 0 },
      tokensPerStep: batch * length,
    });
  }

  async dispose(): Promise<void> {
    await this.gradientOf.dispose();
    await this.memory.dispose();
  }
}
