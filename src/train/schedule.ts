/** Learning rate over the steps of a run. */
export interface Schedule {
  /** Highest learning rate. */
  peak: number;
  /** Steps of linear warm-up from 0. */
  warmup: number;
  /** Total steps. */
  steps: number;
  /** 'cosine' falls to `final` x peak; 'constant' stays; 'linear' falls linearly to `final` x peak. */
  decay: 'cosine' | 'linear' | 'constant';
  /** What is left at the end, as a fraction of the peak. */
  final: number;
}

/** The learning rate of a step, counted from 0. */
export function learningRate({ peak, warmup, steps, decay, final }: Schedule, step: number): number {
  if (step < warmup) return (peak * (step + 1)) / warmup;
  if (decay === 'constant') return peak;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  const left = decay === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return peak * (final + (1 - final) * left);
}
