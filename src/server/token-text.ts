import type { Tokenizer } from '../model/tokenizer.ts';

/** Tokens as they show in lists of log-probabilities. */
export class TokenText {
  private readonly decoder = new TextDecoder('utf-8', { fatal: true });

  constructor(private readonly tokenizer: Tokenizer | null) {}

  bytes(id: number): Uint8Array {
    return this.tokenizer?.tokenBytes.bytes[id] ?? new Uint8Array();
  }

  /** The text of a token; as OpenAI writes it, `bytes:\xe2\x80`, where it is no whole text. */
  text(id: number): string {
    const bytes = this.bytes(id);
    try {
      return this.decoder.decode(bytes);
    } catch {
      return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
    }
  }

  /** The text of a prompt that was given as tokens. */
  join(ids: readonly number[]): string {
    return this.tokenizer?.decode(ids, { skipSpecialTokens: false }) ?? '';
  }

  /** `{text: log-probability}`; the first of tokens with the same text counts. */
  record(top: readonly { id: number; logProb: number }[]): Record<string, number> {
    const record: Record<string, number> = {};
    for (const { id, logProb } of top) record[this.text(id)] ??= finite(logProb);
    return record;
  }
}

/** JSON has no -Infinity: OpenAI writes -9999. */
export const finite = (logProb: number) => Math.max(logProb, -9999);
