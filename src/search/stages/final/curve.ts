import { forecastGain, type More } from '../../../train/forecast.ts';
import type { Measurement } from '../../../train/step-log.ts';

/** What was measured on held-out text while a stage trained, and what it says of more training. */

export interface CurvePoint {
  /** Trained on by then. */
  tokens: number;
  seconds: number;
  /** KL(teacher || student), in nats a token. */
  divergence: number;
  /** Of the text itself. */
  crossEntropy: number;
}

export function curveOf(measurements: readonly Measurement[], tokensPerStep: number): CurvePoint[] {
  return measurements.map(({ step, at, divergence, crossEntropy }) => ({
    tokens: step * tokensPerStep,
    seconds: at,
    divergence: divergence!,
    crossEntropy: crossEntropy!,
  }));
}

/** What as much training again would take off the divergence; null where it cannot be told yet. */
export function moreOf(points: readonly CurvePoint[]): More | null {
  const last = points.at(-1);
  if (!last) return null;
  const { tokens, seconds } = last;
  const gain = forecastGain(
    points.map(({ tokens, divergence }) => ({ at: tokens, value: divergence })),
    2 * tokens,
  );
  return gain ? { seconds, tokens, ...gain } : null;
}
