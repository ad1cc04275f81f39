import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';

/**
 * Choosing a token from logits. Meanings and order are those of `transformers` (generation/logits_process.py):
 * repetition penalty, temperature, top-k, top-p, min-p, then one draw. Logit bias, before all of them, and frequency and
 * presence penalties, after the repetition penalty, are those of OpenAI's API, which transformers lacks. What a filter removes becomes -Infinity; no
 * function changes the logits it is given.
 */

export interface SamplingOptions {
  /** 0 takes the most probable token, whatever the filters; above it, tokens are drawn. */
  temperature?: number;
  /** So many of the most probable tokens; 0 for all. */
  topK?: number;
  /** The most probable tokens that together have this probability, in (0, 1]. */
  topP?: number;
  /** Tokens at least so probable as this share of the most probable one, in [0, 1]. */
  minP?: number;
  /** Above 1, tokens of the prompt and the text so far become less likely. */
  repetitionPenalty?: number;
  /** Taken from a token's logit for each time that it occurs in the text after the prompt, in [-2, 2]. */
  frequencyPenalty?: number;
  /** Taken from the logit of a token that occurs in the text after the prompt, in [-2, 2]. */
  presencePenalty?: number;
  /** Added to the logits of tokens, by their ids; -Infinity rules one out. */
  logitBias?: Readonly<Record<number, number>>;
  /** Of the draws; another one each time when absent. */
  seed?: number;
}

/** The first index of the largest value. */
export function argMaxOf(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/** Natural logarithm of the sum of e^logits. */
export function logSumExp(logits: Float32Array): number {
  const largest = logits[argMaxOf(logits)]!;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - largest);
  return largest + Math.log(sum);
}

/** Probabilities, in float64. */
function softmaxOf(logits: Float32Array): Float64Array {
  const total = logSumExp(logits);
  return Float64Array.from(logits, (x) => Math.exp(x - total));
}

/** Logits of the tokens that occur, divided by the penalty where positive, multiplied where negative. */
export function repetitionPenalty(
  logits: Float32Array,
  occurring: Iterable<number>,
  penalty: number,
): Float32Array {
  const result = logits.slice();
  for (const id of new Set(occurring)) {
    const x = logits[id]!;
    result[id] = x < 0 ? x * penalty : x / penalty;
  }
  return result;
}

/** Logits less `frequency` for each time that a token occurs, and `presence` once. */
export function occurrencePenalties(
  logits: Float32Array,
  occurring: Iterable<number>,
  { frequency, presence }: { frequency: number; presence: number },
): Float32Array {
  const result = logits.slice();
  const seen = new Set<number>();
  for (const id of occurring) {
    result[id]! -= seen.has(id) ? frequency : frequency + presence;
    seen.add(id);
  }
  return result;
}

export function temperature(logits: Float32Array, value: number): Float32Array {
  return logits.map((x) => x / value);
}

/** The k largest, and whatever is as large as the smallest of them. */
export function topK(logits: Float32Array, k: number): Float32Array {
  if (k >= logits.length) return logits;
  const least = logits.slice().sort()[logits.length - k]!;
  return logits.map((x) => (x < least ? Number.NEGATIVE_INFINITY : x));
}

/**
 * Removes the least probable tokens as long as they have at most 1 - p together, never the last one; of equal ones,
 * those with larger ids first.
 */
export function topP(logits: Float32Array, p: number): Float32Array {
  const ascending = logits.slice().sort();
  const total = logSumExp(logits);
  let count = 0;
  for (let sum = 0; count < ascending.length - 1; count++) {
    sum += Math.exp(ascending[count]! - total);
    if (sum > 1 - p) break;
  }
  const least = ascending[count]!;
  let equal = count - ascending.indexOf(least);
  const result = logits.slice();
  for (let i = result.length - 1; i >= 0; i--) {
    if (result[i]! < least || (result[i] === least && equal-- > 0)) result[i] = Number.NEGATIVE_INFINITY;
  }
  return result;
}

/** Removes what is less probable than p times the most probable. */
export function minP(logits: Float32Array, p: number): Float32Array {
  const least = logits[argMaxOf(logits)]! + Math.log(p);
  return logits.map((x) => (x < least ? Number.NEGATIVE_INFINITY : x));
}

/** Draws an index with the probabilities of the logits. */
export function draw(logits: Float32Array, random: Random): number {
  const probabilities = softmaxOf(logits);
  let left = random.uniform();
  let last = 0;
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] === 0) continue;
    last = i;
    left -= probabilities[i]!;
    if (left < 0) break;
  }
  return last;
}

/** The `count` most probable tokens, most probable first, with the logarithms of their probabilities. */
export function topLogProbs(logits: Float32Array, count: number): { id: number; logProb: number }[] {
  const total = logSumExp(logits);
  // Few are asked for of many: each is put into its place among the best so far.
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && !(count > 0 && logits[id]! > logits[best[count - 1]!]!)) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]!]! < logits[id]!) at--;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  return best.map((id) => ({ id, logProb: logits[id]! - total }));
}

export type Sampler = (logits: Float32Array, tokens: readonly number[], promptTokens?: number) => number;

/**
 * A function that chooses the next token from its logits and all tokens before it, of which the first are the prompt.
 *
 * @throws InputError naming an option out of its range
 */
export function createSampler(options: SamplingOptions): Sampler {
  const { temperature: t = 0, topK: k = 0, topP: p = 1, minP: least = 0, repetitionPenalty: r = 1 } = options;
  const require = (name: string, value: number, fits: boolean, expected: string) => {
    if (!fits) throw new InputError(`${name} is ${value}, expected ${expected}`);
  };
  require('temperature', t, t >= 0 && Number.isFinite(t), 'a number of at least 0');
  require('topK', k, Number.isInteger(k) && k >= 0, 'a whole number of at least 0');
  require('topP', p, p > 0 && p <= 1, 'a number above 0 and up to 1');
  require('minP', least, least >= 0 && least <= 1, 'a number from 0 to 1');
  require('repetitionPenalty', r, r > 0 && Number.isFinite(r), 'a number above 0');
  const { frequencyPenalty: frequency = 0, presencePenalty: presence = 0, logitBias = {} } = options;
  require('frequencyPenalty', frequency, Math.abs(frequency) <= 2, 'a number from -2 to 2');
  require('presencePenalty', presence, Math.abs(presence) <= 2, 'a number from -2 to 2');
  const biases = Object.entries(logitBias).map(([id, bias]) => [Number(id), bias] as const);
  for (const [id, bias] of biases) {
    require('logitBias: token id', id, Number.isInteger(id) && id >= 0, 'a whole number of at least 0');
    require(`logitBias of ${id}`, bias, bias < Number.POSITIVE_INFINITY, 'a number below Infinity');
  }
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
  require('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number of at least 0');
  const random = new Random(seed);
  return (logits, tokens, promptTokens = tokens.length) => {
    let scores = logits;
    if (biases.length > 0) {
      scores = scores.slice();
      for (const [id, bias] of biases) if (id < scores.length) scores[id]! += bias;
    }
    if (r !== 1) scores = repetitionPenalty(scores, tokens, r);
    if (frequency !== 0 || presence !== 0) {
      scores = occurrencePenalties(scores, tokens.slice(promptTokens), { frequency, presence });
    }
    if (t === 0) return argMaxOf(scores);
    if (t !== 1) scores = temperature(scores, t);
    if (k > 0) scores = topK(scores, k);
    if (p < 1) scores = topP(scores, p);
    if (least > 0) scores = minP(scores, least);
    return draw(scores, random);
  };
}
