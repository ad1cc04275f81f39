/**
 * What more training would bring, from what was measured while it trained: the law a + b t^-c, with a and b at least 0,
 * that fits best, and all those that fit nearly as well, which make the interval.
 */

export interface Point {
  /** Tokens, seconds, steps: what the law is in. */
  at: number;
  value: number;
}

/** How much lower the value would be than at the last point. */
interface Gain {
  /** By the best law. */
  expected: number;
  /** By all that fit nearly as well, 95 of 100. */
  low: number;
  high: number;
}

/** Exponents of laws that are tried. */
const EXPONENTS = Array.from({ length: 440 }, (_, i) => 0.05 * 1.01 ** i);

/** The beginning of a training, by its last point, that no law is fitted to: the rate warms up there. */
const BEGINNING = 0.05;

/** Points that a law of three numbers needs at least, to be told from noise. */
const FEWEST = 6;

/** By how much worse fits are still taken, in units of the residuals' variance: two standard errors. */
const WORSE = 4;

/** An interval so much wider than what is expected says nothing; one that is narrow beside the value does. */
const WIDEST = 2;
const NARROW = 0.05;

interface Law {
  a: number;
  b: number;
  c: number;
  /** Sum of squared residuals. */
  error: number;
  /** Of b, for residuals of variance 1. */
  variance: number;
}

/**
 * @param points in order
 * @param to where the gain is asked for, beyond the last point
 * @returns undefined where it cannot be told: too few points, or laws that fit alike and say different things
 */
export function forecastGain(points: readonly Point[], to: number): Gain | undefined {
  const last = points.at(-1);
  if (!last || to <= last.at) return undefined;
  const used = points.filter(
    ({ at, value }) => at >= BEGINNING * last.at && at > 0 && Number.isFinite(value),
  );
  if (used.length < FEWEST) return undefined;
  // Lengths in units of the last one, so that b is a part of its value.
  const scaled = used.map(({ at, value }) => ({ at: at / last.at, value }));
  const laws = EXPONENTS.map((c) => fitted(scaled, c));
  const best = laws.reduce((x, y) => (y.error < x.error ? y : x));
  const noise = best.error / (used.length - 3);
  const fits = laws.filter(({ error }) => error <= best.error + WORSE * noise);
  const gains = fits.map(({ b, c, variance }) => {
    const fall = 1 - (to / last.at) ** -c;
    const spread = 2 * Math.sqrt(noise * variance);
    return [Math.max(0, b - spread) * fall, (b + spread) * fall] as const;
  });
  const gain = {
    expected: best.b * (1 - (to / last.at) ** -best.c),
    low: Math.min(...gains.map(([low]) => low)),
    high: Math.max(...gains.map(([, high]) => high)),
  };
  const width = gain.high - gain.low;
  const narrow = Math.max(WIDEST * gain.expected, NARROW * Math.abs(last.value));
  return width <= narrow ? gain : undefined;
}

/** The best law of an exponent, by least squares; where a or b would be below 0 it is 0. */
function fitted(points: readonly Point[], c: number): Law {
  const n = points.length;
  const xs = points.map(({ at }) => at ** -c);
  const ys = points.map(({ value }) => value);
  const mean = (list: readonly number[]) => list.reduce((sum, x) => sum + x, 0) / n;
  const [x0, y0] = [mean(xs), mean(ys)];
  const sxx = xs.reduce((sum, x) => sum + (x - x0) ** 2, 0);
  const sxy = xs.reduce((sum, x, i) => sum + (x - x0) * (ys[i]! - y0), 0);
  let b = sxy / sxx;
  let a = y0 - b * x0;
  let variance = 1 / sxx;
  if (a < 0) {
    const squares = xs.reduce((sum, x) => sum + x * x, 0);
    a = 0;
    b = xs.reduce((sum, x, i) => sum + x * ys[i]!, 0) / squares;
    variance = 1 / squares;
  }
  if (b < 0) {
    b = 0;
    a = y0;
  }
  const error = xs.reduce((sum, x, i) => sum + (ys[i]! - a - b * x) ** 2, 0);
  return { a, b, c, error, variance };
}

/** A gain, and what it takes. */
export interface More extends Gain {
  /** How much longer. */
  seconds: number;
  tokens: number;
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
