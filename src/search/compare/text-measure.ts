import type { Engine } from '../../runtime/engine.ts';
import { argMaxOf, logSumExp } from '../../runtime/sampler.ts';
import type { OnProgress } from '../../util/progress.ts';
import { average, margin95 } from '../../util/statistics.ts';
import type { ComparedModel } from './result.ts';

/** How well a text is predicted, token by token, and how near a model's next token is to the parent's. */

/** What a model says of rows of text. */
export interface TextFound {
  /** Of every token but the first, row by row. */
  losses: number[][];
  /** The most probable token in the place of each of those. */
  best: number[][];
  /** Divergence from the parent at the sampled places; empty for the parent itself. */
  kl: number[];
}

/** The parent's log-probabilities at the sampled places, one behind the other [places, vocabulary]. */
export type Reference = Float32Array;

/** Memory of what is kept of the parent to compare distributions with. */
const REFERENCE_BYTES = 2 ** 26;

/** Every so many tokens a whole distribution is compared: so many as there is memory for. */
export function sampleStride(rows: readonly (readonly number[])[], vocabSize: number): number {
  const places = rows.reduce((sum, row) => sum + row.length - 1, 0);
  return Math.max(1, Math.ceil((places * vocabSize * 4) / REFERENCE_BYTES));
}

export function sampledPlaces(rows: readonly (readonly number[])[], stride: number): number {
  return rows.reduce((sum, row) => sum + Math.ceil((row.length - 1) / stride), 0);
}

/**
 * @param rows token ids of each
 * @param reference is filled by the parent, and read by the others
 */
export async function measureText(
  engine: Engine,
  rows: readonly (readonly number[])[],
  options: {
    stride: number;
    reference: Reference;
    isParent: boolean;
    onProgress?: OnProgress | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<TextFound> {
  const { stride, reference, isParent, onProgress, signal } = options;
  const { vocabSize } = engine.config;
  const total = rows.reduce((sum, row) => sum + row.length - 1, 0);
  const found: TextFound = { losses: [], best: [], kl: [] };
  let [done, sampled] = [0, 0];
  for (const row of rows) {
    const losses: number[] = [];
    const best: number[] = [];
    const each = (place: number, logits: Float32Array) => {
      const all = logSumExp(logits);
      losses.push(rounded(all - logits[row[place + 1]!]!));
      best.push(argMaxOf(logits));
      if (place % stride === 0) {
        const own = reference.subarray(sampled * vocabSize, ++sampled * vocabSize);
        if (isParent) for (let i = 0; i < vocabSize; i++) own[i] = logits[i]! - all;
        else found.kl.push(rounded(divergence(own, logits, all)));
      }
      if (++done % 64 === 0 || done === total) {
        onProgress?.({ stage: 'read text', done, total, unit: 'tokens' });
      }
    };
    using sequence = engine.start();
    await engine.append(sequence, row.slice(0, -1), { each, ...(signal && { signal }) });
    found.losses.push(losses);
    found.best.push(best);
  }
  return found;
}

/** Sum of p (log p - log q); `all` is the logarithm of the sum of the exponentials of q's logits. */
function divergence(logP: Float32Array, logits: Float32Array, all: number): number {
  let sum = 0;
  for (let i = 0; i < logP.length; i++) {
    const p = logP[i]!;
    // What is less probable than e^-30 adds nothing that a sum of float32 could tell.
    if (p > -30) sum += Math.exp(p) * (p - (logits[i]! - all));
  }
  return Math.max(0, sum);
}

const rounded = (value: number) => Math.round(value * 1e5) / 1e5;

/** Bounds of positions: 0, 16, 32, 64 and so on to the context. */
export function positionBounds(longest: number): [from: number, to: number][] {
  const bounds: [number, number][] = [];
  for (let from = 0, to = 16; from < longest; from = to, to *= 2) bounds.push([from, Math.min(to, longest)]);
  return bounds;
}

/** What the report says of a model's text, against the parent's. */
export function textResult(found: TextFound, parent: TextFound): ComparedModel['text'] {
  const all = (rows: readonly (readonly number[])[]) => average(rows.flat());
  const longest = Math.max(...found.losses.map((row) => row.length)) + 1;
  const changes = found.losses.map((row, i) => average(row) - average(parent.losses[i]!));
  const places = found.best.flat();
  const same = parent.best.flat().filter((id, i) => id === places[i]).length;
  return {
    loss: all(found.losses),
    change: all(found.losses) - all(parent.losses),
    margin: margin95(changes) ?? null,
    // A token's loss stands at the place before it: `from` tokens come before the predicted one.
    positions: positionBounds(longest).flatMap(([from, to]) => {
      const losses = found.losses.flatMap((row) => row.slice(Math.max(0, from - 1), to - 1));
      return losses.length === 0 ? [] : [{ from, to, tokens: losses.length, loss: average(losses) }];
    }),
    agreement: same / places.length,
    kl: {
      mean: found.kl.length === 0 ? 0 : average(found.kl),
      margin: margin95(found.kl) ?? null,
      tokens: Math.max(1, found.kl.length),
    },
  };
}
