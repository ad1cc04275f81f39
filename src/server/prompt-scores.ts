import { logSumExp, topLogProbs } from '../runtime/sampler.ts';
import { slices } from './gently.ts';

/** One token with its log-probability; null for the first of a text, which nothing precedes. */
export interface ScoredToken {
  id: number;
  logProb: number | null;
  top: { id: number; logProb: number }[] | null;
}

/** Log-probabilities of a prompt's own tokens, gathered while it is read. */
export class PromptScores {
  readonly tokens: ScoredToken[];
  private readonly pause = slices();

  constructor(
    prompt: readonly number[],
    private readonly count: number,
  ) {
    this.tokens = prompt.map((id) => ({ id, logProb: null, top: null }));
  }

  /** Given to the scheduler: the logits after the token at a place. Others have their turn between large vocabularies. */
  readonly each = (place: number, logits: Float32Array): void | Promise<void> => {
    const next = this.tokens[place + 1];
    if (!next) return;
    next.logProb = logits[next.id]! - logSumExp(logits);
    next.top = topLogProbs(logits, this.count);
    return this.pause();
  };
}
