import { forecastGain, type Gain } from '../../../train/forecast.ts';
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

export interface More extends Gain {
  /** How much longer. */
  seconds: number;
  tokens: number;
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

/** '2.0 h more: about 0.020 nats less (0.012 to 0.025)' */
export function moreText(more: More | null): string {
  if (!more) return 'what more training would bring cannot be told yet';
  const { expected, low, high, seconds } = more;
  const nats = (value: number) => value.toFixed(value < 0.01 ? 4 : 3);
  return `${timeText(seconds)} more: about ${nats(expected)} nats less (${nats(low)} to ${nats(high)})`;
}

/** '2.0 h', '12 min', '40 s' */
function timeText(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
