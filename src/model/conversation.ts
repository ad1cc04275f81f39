import { InputError } from '../util/errors.ts';
import type { ChatMessage, Tokenizer } from './tokenizer.ts';

/** Ends of messages that are looked for, at the beginning of a conversation and at its end. */
const FIRST = 4;
const LAST = 12;

/**
 * A conversation up to the assistant's turn as tokens and, where asked for, the ends of its messages: the places where
 * another conversation may go on differently. Of a long one those of the first and the last messages.
 *
 * @throws InputError where the tokenizer has no chat template, or it refuses the messages
 */
export function encodeConversation(
  tokenizer: Tokenizer,
  messages: ChatMessage[],
  options: { tools?: unknown[]; boundaries?: boolean } = {},
): { ids: number[]; boundaries: number[] } {
  const { tools } = options;
  const encode = (count: number, addGenerationPrompt: boolean) => {
    const text = tokenizer.applyChatTemplate(messages.slice(0, count), { tools, addGenerationPrompt });
    return tokenizer.encode(text, { addSpecialTokens: false });
  };
  const ids = encode(messages.length, true);
  if (!options.boundaries) return { ids, boundaries: [] };
  const boundaries: number[] = [];
  for (let count = 1; count <= messages.length; count++) {
    if (count > FIRST && count <= messages.length - LAST) continue;
    let start: number[];
    try {
      start = encode(count, false);
    } catch (error) {
      // Templates may ask for messages that come later.
      if (error instanceof InputError) continue;
      throw error;
    }
    // Only where the template leaves the beginning as it is.
    if (start.every((id, at) => id === ids[at])) boundaries.push(start.length);
  }
  return { ids, boundaries };
}
