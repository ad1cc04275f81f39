import type { OnProgress } from '../../util/progress.ts';
import type { Control, Unit } from './stage.ts';

/** One bar for a whole run, beside those of its units, in tokens trained on. */
export class RunProgress {
  /** Tokens by unit and stage of training within it. */
  private readonly running = new Map<string, Map<string, number>>();
  private done = 0;

  /**
   * @param total tokens of all stages
   * @param onProgress is told of the whole under the name 'whole run', and of units as they tell
   * @param onUnit is told of units that are done
   */
  constructor(
    private total: number,
    private readonly onProgress: OnProgress | undefined,
    private readonly onUnit: (unit: Unit) => void = () => {},
  ) {}

  /** What a unit is to report to. */
  of(unit: Unit): OnProgress {
    return (event) => {
      this.onProgress?.(event);
      if (event.unit !== 'tokens') return;
      const stages = this.running.get(unit.id) ?? new Map<string, number>();
      this.running.set(unit.id, stages.set(event.stage, event.done));
      this.tell();
    };
  }

  /** A unit is done. One that told of no training was done before: it is no part of what is left to do. */
  finish(unit: Unit): void {
    const { id, tokens } = unit;
    if (this.running.delete(id)) this.done += tokens;
    else this.total -= tokens;
    this.tell();
    this.onUnit(unit);
  }

  /** Units that were done before the run was begun. */
  skip(units: readonly Unit[]): void {
    for (const { tokens } of units) this.total -= tokens;
  }

  private tell(): void {
    let done = this.done;
    for (const stages of this.running.values()) for (const tokens of stages.values()) done += tokens;
    if (this.total > 0) this.onProgress?.({ stage: 'whole run', done, total: this.total, unit: 'tokens' });
  }
}

/** Does units one after the other, in this process. */
export async function performHere(
  units: readonly Unit[],
  progress: RunProgress,
  control: Omit<Control, 'onProgress'>,
): Promise<void> {
  for (const unit of units) {
    control.signal?.throwIfAborted();
    await unit.run({ ...control, onProgress: progress.of(unit) });
    progress.finish(unit);
  }
}
