import type { ScheduledToken } from '../runtime/scheduler.ts';

/** Tokens of a request with all its prompts and texts. */
export class UsageSum {
  promptTokens = 0;
  cachedTokens = 0;
  completionTokens = 0;

  /** A prompt of so many tokens. */
  prompt(tokens: number): void {
    this.promptTokens += tokens;
  }

  /** A token that was written. */
  token({ usage, choice }: ScheduledToken): void {
    this.completionTokens++;
    // A prompt is read once for all its texts.
    if (usage && choice === 0) this.cachedTokens += usage.cachedTokens;
  }

  /** As OpenAI's API tells it. */
  body() {
    return {
      prompt_tokens: this.promptTokens,
      completion_tokens: this.completionTokens,
      total_tokens: this.promptTokens + this.completionTokens,
      prompt_tokens_details: { cached_tokens: this.cachedTokens },
    };
  }
}
