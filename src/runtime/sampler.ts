import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { Candidates } from './candidates.ts';

/**
 * Choosing a token from logits. Meanings and order are those of `transformers` (generation/logits_process.py):
 * repetition penalty, temperature, top-k, top-p, min-p, then one draw. Logit bias, before all of them, and frequency and
 * presence penalties, after the repetition penalty, are those of OpenAI's API, which transformers lacks. All of it is
 * computed in float64, on the tokens that are left only; test/support/plain-sampler.ts has the plain definition. The
 * logits that are given are not changed.
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

/** Penalties beyond these rule as these do, and leave no number that float64 cannot hold. */
const LARGEST_PENALTY = 1e200;

/**
 * A function that chooses the next token from its logits and all tokens before it, of which the first are the prompt.
 * It throws an error where the logits are no numbers, or rule out every token.
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
  const penalty = Math.min(Math.max(r, 1 / LARGEST_PENALTY), LARGEST_PENALTY);
  const occurring = new Occurrences();
  const written = new Occurrences();
  const adjust = (candidates: Candidates, tokens: readonly number[], promptTokens: number): void => {
    for (const [id, bias] of biases) candidates.change(id, (x) => x + bias);
    if (penalty !== 1) {
      for (const id of occurring.in(tokens, 0).keys()) {
        candidates.change(id, (x) => (x < 0 ? x * penalty : x / penalty));
      }
    }
    if (frequency !== 0 || presence !== 0) {
      for (const [id, count] of written.in(tokens, promptTokens)) {
        candidates.change(id, (x) => x - count * frequency - presence);
      }
    }
  };
  return (logits, tokens, promptTokens = tokens.length) => {
    const candidates = new Candidates(logits);
    adjust(candidates, tokens, promptTokens);
    const best = candidates.best();
    if (t === 0) return best;
    if (k > 0) candidates.topK(k);
    candidates.weigh(best, t);
    if (p < 1) candidates.topP(p);
    if (least > 0) candidates.minP(least);
    return candidates.draw(random.uniform());
  };
}

/** How often tokens occur in a text. One that grows is counted on from where it was. */
class Occurrences {
  private tokens: readonly number[] | null = null;
  private from = 0;
  private until = 0;
  private counts = new Map<number, number>();

  in(tokens: readonly number[], from: number): ReadonlyMap<number, number> {
    if (tokens !== this.tokens || from !== this.from || tokens.length < this.until) {
      [this.tokens, this.from, this.until] = [tokens, from, from];
      this.counts = new Map();
    }
    for (; this.until < tokens.length; this.until++) {
      const id = tokens[this.until]!;
      this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    }
    return this.counts;
  }
}
