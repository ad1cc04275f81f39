/** Learning rate over the steps, or over the time, of a run. */
export interface Schedule {
  /** Highest learning rate. */
  peak: number;
  /** Steps of linear warm-up from 0. */
  warmup: number;
  /** Total steps; Infinity for a run that ends by its time. */
  steps: number;
  /** 'cosine' falls to `final` x peak; 'constant' stays; 'linear' falls linearly to `final` x peak. */
  decay: 'cosine' | 'linear' | 'constant';
  /** What is left at the end, as a fraction of the peak. */
  final: number;
}

/**
 * The learning rate of a step, counted from 0.
 *
 * @param spent of a run that ends by its time, how much of that is over, from 0 to 1: it takes the place of the steps
 */
export function learningRate(schedule: Schedule, step: number, spent?: number): number {
  const { peak, warmup, steps, decay, final } = schedule;
  if (step < warmup) return (peak * (step + 1)) / warmup;
  if (decay === 'constant') return peak;
  const progress = Math.min(1, spent ?? (step - warmup) / Math.max(1, steps - warmup));
  const left = decay === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return peak * (final + (1 - final) * left);
}
