import type { BestWeights } from './best-weights.ts';
import type { ParameterVector } from './parameters.ts';
import type { Measurement, StepLog } from './step-log.ts';

/** How a run is judged while it trains, on what it is not trained on. */
export interface HeldOut {
  /** What is to fall, and what else is worth logging; the weights are in host memory. */
  measure: () => Promise<{ objective: number; [value: string]: number }>;
  /** How often, evenly over the run: besides before its first step. */
  times: number;
  /**
   * Measurements in a row that are no better than the best before, after which the run ends. The best weights are kept, and
   * what `train` leaves. Without it the last weights are left.
   */
  patience?: number;
  /** Told of all measurements so far after each, and of those of earlier processes at once. */
  onMeasured?: (measurements: readonly Measurement[]) => void;
}

/** Where a run stands. */
interface Moment {
  step: number;
  seconds: number;
  /** The run is over with it. */
  isLast: boolean;
}

/** The measurements of a run: when they are due, which was the best, and whether there is patience left. */
export class Measurements {
  /** @param part how much of the run is over after a step and so many seconds, from 0 to 1 */
  constructor(
    private readonly heldOut: HeldOut,
    private readonly log: StepLog,
    private readonly best: BestWeights,
    private readonly part: (step: number, seconds: number) => number,
  ) {
    if (log.measurements.length > 0) heldOut.onMeasured?.(log.measurements);
  }

  isDue({ step, seconds, isLast }: Moment): boolean {
    const last = this.log.measurements.at(-1);
    if (!last) return true;
    if (last.step === step) return false;
    return isLast || this.count(step, seconds) > this.count(last.step, last.at);
  }

  /** Of so many evenly spread measurements, how many there are to be by then. */
  private count(step: number, seconds: number): number {
    return Math.floor(this.part(step, seconds) * this.heldOut.times + 1e-9);
  }

  async measure({ step, seconds, isLast }: Moment, parameters: ParameterVector): Promise<void> {
    const found = await this.heldOut.measure();
    // No number could be the best, and JSON has none for it.
    const objective = Number.isFinite(found.objective) ? found.objective : Number.MAX_VALUE;
    this.log.add({ step, heldOut: { at: seconds, ...found, objective } });
    if (this.heldOut.patience !== undefined && this.stepOfBest === step) {
      // The state has the last ones.
      if (isLast) this.best.drop();
      else this.best.keep(step, parameters);
    }
    this.heldOut.onMeasured?.(this.log.measurements);
  }

  /** Its place; -1 before the first. */
  private get bestSoFar(): number {
    const { measurements } = this.log;
    const values = measurements.map(({ objective }) => objective);
    return values.indexOf(Math.min(...values));
  }

  private get stepOfBest(): number {
    return this.log.measurements[this.bestSoFar]!.step;
  }

  /** Whether nothing has become better for too long. */
  get isHopeless(): boolean {
    const { measurements } = this.log;
    const { patience = Number.POSITIVE_INFINITY } = this.heldOut;
    return measurements.length - 1 - this.bestSoFar >= patience;
  }

  /**
   * Puts the weights that are left into `parameters`: the best where there is patience, else those that are there.
   *
   * @param step of those
   * @returns the step of those that are left, and whether better ones were lost
   */
  restore(step: number, parameters: ParameterVector): { step: number; lost?: number } {
    const best = this.heldOut.patience === undefined ? step : this.stepOfBest;
    if (best === step || this.best.restore(best, parameters)) return { step: best };
    return { step, lost: best };
  }
}
