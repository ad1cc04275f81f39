import { memoryOf } from '../../src/graph/index.ts';
import type { Path } from '../../src/search/judge/scorer.ts';
import type { BranchWeights } from '../../src/search/network/branches.ts';
import type { Network } from '../../src/search/network/network.ts';
import { PathGradient } from '../../src/search/network/path-gradient.ts';
import { scheduleOf } from '../../src/search/train/settings.ts';
import type { TrainingData } from '../../src/train/batches.ts';
import { train } from '../../src/train/trainer.ts';

/** The equal end of all placements: their linear mixers learn the parent's predictions. */
export const FINISH = { batch: 4, length: 128, steps: 60, rate: 1e-3 };

/** Trains the branches along one path by the divergence from the parent's predictions, and leaves them in the network. */
export async function finish(
  network: Network,
  branches: BranchWeights,
  path: Path,
  {
    batches,
    folder,
    seed,
    threads,
  }: { batches: TrainingData; folder: string; seed: number; threads: number },
): Promise<void> {
  if (path.every((branch) => branch === 0)) return;
  const { batch, length } = FINISH;
  const memory = memoryOf();
  const gradientOf = new PathGradient({
    ...{ memory, teacher: network, student: network, trained: branches, shape: FINISH, threads },
    losses: { vocabulary: { divergence: 1, temperature: 1, crossEntropy: 0 } },
  });
  const ids = new Int32Array(batch * length);
  try {
    await train({
      ...{ stage: 'finish', parameters: branches.vector, memory, threads, folder, seed: seed + 3000 },
      objective: {
        gradient(random, gradient) {
          batches.fill(ids, length, random);
          return gradientOf.compute(path, ids, gradient);
        },
      },
      schedule: scheduleOf(FINISH),
      optimizer: { weightDecay: 0 },
      tokensPerStep: batch * length,
      fingerprint: { network: network.fingerprint(), path, finish: FINISH, data: batches.identity },
    });
  } finally {
    await gradientOf.dispose();
    await memory.dispose();
  }
}
