import type { MixerContext } from './spec.ts';

/**
 * How a linear mixer is started from what the attention does whose place it takes, and not from its weights alone (after
 * Taylor-Calibrate, arXiv 2606.16429): how fast it forgets, how much it writes, and how large its outputs are. What of that a mixer
 * has, and how it is set, is in the mixer's own file; what was read of the attention is given to it by head.
 */

/** What was read of a layer's attention, by heads of the mixer that takes its place. */
export interface AttentionReading {
  /** Tokens that a head looks back in the middle, at least 1. */
  distance: readonly number[];
  /** Entropy of what a head attends to, as a share of the highest, that of all tokens alike: 0 to 1. */
  entropy: readonly number[];
  /** A row w [D] by which the layer's inputs are about 1 (w x = 1): in the place of a bias, where a projection has none. */
  one: Float32Array;
}

/** How a mixer is calibrated. */
export interface Calibration<S> {
  /** Name of the output projection [D, heads * V], whose columns are scaled by head. */
  output: string;
  /** Which head of attention each of the mixer's takes, where it isn't the same one: `set` puts the weights in this order. */
  order?(spec: S, reading: AttentionReading): number[];
  /** Changes weights that `fromAttention` made, by name. */
  set(
    spec: S,
    context: MixerContext,
    weights: ReadonlyMap<string, Float32Array>,
    reading: AttentionReading,
  ): void;
}

/** Rate by which half of a state is forgotten after so many tokens: it decays by e^-rate a token. */
export function rateOf(distance: number): number {
  return Math.LN2 / distance;
}

/**
 * What goes into a sigmoid for a head's write strength: 0.3 where all tokens are attended to alike, 0.7 where it is one, as a head
 * that looks for one token has to replace what it holds.
 */
export function writeLogit(entropy: number): number {
  return logit(0.3 + 0.4 * (1 - entropy));
}

/** The x of which a sigmoid is `p`, above 0 and below 1. */
export function logit(p: number): number {
  return Math.log(p / (1 - p));
}

/**
 * Makes rows of a projection [rows, D] without a bias give about the same number for all inputs.
 *
 * @param values for each row
 */
export function setConstantRows(
  rows: Float32Array,
  one: Float32Array,
  values: (row: number) => number,
): void {
  for (let row = 0; row < rows.length / one.length; row++) {
    const value = values(row);
    rows.set(
      one.map((x) => value * x),
      row * one.length,
    );
  }
}

/** Values of heads for the channels of each, side by side. */
export function setByHead(channels: Float32Array, heads: readonly number[]): void {
  const width = channels.length / heads.length;
  for (const [head, value] of heads.entries()) channels.fill(value, head * width, (head + 1) * width);
}

/**
 * Inputs of silu are made this small: it is nearly a half of them then, and what it bends of values is lost for good, while a norm
 * behind it makes up for the size.
 */
const QUIET = 0.1;

/** Scales what makes the inputs of a silu. */
export function quieten(...weights: Float32Array[]): void {
  for (const values of weights) for (let i = 0; i < values.length; i++) values[i]! *= QUIET;
}
