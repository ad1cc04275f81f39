import { createHash } from 'node:crypto';
import type { BatchShape } from '../../model/layer-programs.ts';
import type { TrainingData } from '../../train/batches.ts';
import type { Schedule } from '../../train/schedule.ts';
import { Random } from '../../util/random.ts';

/** What the stages of a search have in common in how they train. */

/** A stage of training: how long, how fast, on what batches. */
export interface TrainingSettings extends BatchShape {
  steps: number;
  /** Highest learning rate. */
  rate: number;
}

export function scheduleOf({ steps, rate }: TrainingSettings): Schedule {
  return { peak: rate, warmup: Math.min(50, Math.ceil(steps / 10)), steps, decay: 'cosine', final: 0.05 };
}

export function tokensOf({ steps, batch, length }: TrainingSettings): number {
  return steps * batch * length;
}

/**
 * Of what is computed: raised when a change of the package makes other numbers of the same settings (how weights begin,
 * what is drawn, the order of the steps), so that work from before is not taken for the same. Rounding is no such change:
 * work goes on on any device and with any threads.
 */
export const NUMBERS = 2;

/** Tokens of the rows that are hashed, so that they are the same for any length. */
const HASHED = 32;

/** A hash of what is trained on: of all of it, and of a few rows as this version of the package makes them. */
export function dataHash(data: TrainingData, length: number): string {
  const width = Math.min(length, HASHED);
  const rows = new Int32Array(4 * width);
  data.fill(rows, width, new Random(0));
  return createHash('sha256').update(data.identity).update(rows).digest('hex').slice(0, 16);
}
