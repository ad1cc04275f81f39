import type { Batch } from '../batch.ts';
import type { BatchGuard } from '../runs.ts';
import type { DeviceRuns } from './device-runs.ts';
import type { DeviceSequence } from './sequence.ts';

/**
 * A batch on a device: a step brings its sequences together as rows of the same values if they are not yet, which
 * copies what they remember; while none comes or goes nothing is copied.
 */
export class DeviceBatch implements Batch {
  private readonly sequences: DeviceSequence[] = [];

  /** @internal */
  constructor(
    private readonly guard: BatchGuard,
    private readonly runs: Pick<DeviceRuns, 'stepAll' | 'greedyStepAll'>,
  ) {}

  get size(): number {
    return this.sequences.length;
  }

  add(sequence: DeviceSequence): void {
    sequence.check();
    if (this.sequences.includes(sequence)) throw new Error('the sequence is in the batch already');
    this.sequences.push(sequence);
  }

  remove(sequence: DeviceSequence): void {
    const place = this.sequences.indexOf(sequence);
    if (place < 0) throw new Error('the sequence is not in the batch');
    this.sequences.splice(place, 1);
  }

  step(ids: ReadonlyMap<DeviceSequence, number>): Promise<Map<DeviceSequence, Float32Array>> {
    return this.all(ids, (sequences, tokens) => this.runs.stepAll(sequences, tokens));
  }

  greedyStep(ids: ReadonlyMap<DeviceSequence, number>): Promise<Map<DeviceSequence, number>> {
    return this.all(ids, (sequences, tokens) => this.runs.greedyStepAll(sequences, tokens));
  }

  private all<Result>(
    ids: ReadonlyMap<DeviceSequence, number>,
    run: (sequences: readonly DeviceSequence[], tokens: readonly number[]) => Promise<readonly Result[]>,
  ): Promise<Map<DeviceSequence, Result>> {
    return this.guard.exclusively(async () => {
      const { sequences } = this;
      if (ids.size !== this.size || !sequences.every((sequence) => ids.has(sequence))) {
        throw new Error(`a step of a batch takes a token for each of its ${this.size} sequences`);
      }
      if (this.size === 0) return new Map();
      for (const sequence of sequences) {
        sequence.check();
        this.guard.check(sequence, ids.get(sequence)!);
      }
      const tokens = sequences.map((sequence) => ids.get(sequence)!);
      const results = await run([...sequences], tokens);
      return new Map(sequences.map((sequence, i) => [sequence, results[i]!]));
    });
  }
}
