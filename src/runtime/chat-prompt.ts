import type { ChatMessage, Tokenizer } from '../model/tokenizer.ts';

/** A conversation as a prompt. */

export interface ChatPrompt {
  ids: number[];
  /** Ends of messages in tokens from the start, where snapshots are worth keeping. */
  boundaries: number[];
}

/** Rendering grows with the square of this. */
const MESSAGES = 200;
/** Characters that are tokenised once more to find ends of messages. */
const CHARACTERS = 1 << 20;

/**
 * The conversation up to the assistant's turn, and the ends of its messages: of the first 200, so that a conversation
 * that goes on has the same ones.
 *
 * @param options.boundaries whether those are looked for
 * @param options.rendered is called between rendering and tokenising
 * @throws InputError where there is no chat template, or it refuses the messages
 */
export function chatPrompt(
  tokenizer: Tokenizer,
  messages: ChatMessage[],
  options: { tools?: unknown[]; boundaries: boolean; rendered?: (text: string) => void },
): ChatPrompt {
  const { tools, rendered } = options;
  const text = tokenizer.applyChatTemplate(messages, { tools, addGenerationPrompt: true });
  const beginnings = options.boundaries ? beginningsOf(tokenizer, messages, text, tools) : [];
  rendered?.(text);
  const encode = (part: string) => tokenizer.encode(part, { addSpecialTokens: false });
  const ids = encode(text);
  const boundaries: number[] = [];
  /** Characters up to the last boundary, and those that may be tokenised again. */
  let [end, left] = [0, CHARACTERS];
  for (const length of beginnings) {
    // What came since the last end is enough where a tokenizer treats all places alike; else all before it, too.
    const at = boundaries.at(-1) ?? 0;
    const piece = encode(text.slice(end, length));
    let place = at + piece.length;
    if (!piece.every((id, i) => id === ids[at + i])) {
      if (end === 0 || length > left) continue;
      left -= length;
      const start = encode(text.slice(0, length));
      if (!start.every((id, i) => id === ids[i])) continue;
      place = start.length;
    }
    boundaries.push(place);
    end = length;
  }
  return { ids, boundaries };
}

/** Lengths of the conversation after each of its messages, where the template leaves its beginning as it is. */
function beginningsOf(
  tokenizer: Tokenizer,
  messages: ChatMessage[],
  text: string,
  tools: unknown[] | undefined,
): number[] {
  const lengths: number[] = [];
  for (let count = 1; count <= Math.min(messages.length, MESSAGES); count++) {
    let start: string;
    try {
      start = tokenizer.applyChatTemplate(messages.slice(0, count), { tools });
    } catch {
      // Some templates refuse a conversation without a user's message: no end, then.
      continue;
    }
    if (start.length > (lengths.at(-1) ?? 0) && text.startsWith(start)) lengths.push(start.length);
  }
  return lengths;
}
