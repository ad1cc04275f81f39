import type { ChatMessage } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';

/**
 * Where the answers are in a text: marked in it by characters that no text has (Unicode's noncharacters, which are for
 * programs alone), so that a text of millions of records can be read from any place.
 */
export const MARKS = { document: '\uFDD0', answer: '\uFDD1', rest: '\uFDD2' } as const;

const ANY_MARK = /[\uFDD0-\uFDD2]/;
const EVERY_MARK = /[\uFDD0-\uFDD2]/g;

export const unmarked = (text: string) => text.replace(EVERY_MARK, '');

/** @throws InputError for a text that has them itself */
export function checkUnmarked(text: string, where: () => string): void {
  const found = ANY_MARK.exec(text);
  if (!found) return;
  const code = found[0].codePointAt(0)!.toString(16).toUpperCase();
  throw new InputError(
    `${where()} has the character U+${code}, which stands for no text; expected it without`,
  );
}

/** A record's text as parts. */
export interface MarkedPart {
  text: string;
  answer: boolean;
}

export function marked(parts: readonly MarkedPart[]): string {
  const texts = parts.filter(({ text }) => text !== '');
  return (
    MARKS.document + texts.map(({ text, answer }) => (answer ? MARKS.answer : MARKS.rest) + text).join('')
  );
}

/** Parts of a marked text, from the beginning of a document on; `begins` where one does. */
export function partsOf(text: string): (MarkedPart & { begins: boolean })[] {
  const parts: (MarkedPart & { begins: boolean })[] = [];
  let begins = false;
  for (const piece of text.split(/(?=[\uFDD0-\uFDD2])/)) {
    const [mark, said] = [piece[0], piece.slice(1)];
    if (mark === MARKS.document) begins = true;
    else if (said !== '') {
      parts.push({ text: said, answer: mark === MARKS.answer, begins });
      begins = false;
    }
  }
  return parts;
}

/** How a template writes a conversation, of which the first messages may be asked for alone. */
type Render = (messages: ChatMessage[], more: { addGenerationPrompt: boolean }) => string;

/**
 * A conversation with its answers, which are the assistant's messages: what comes behind the template's beginning of an
 * answer, up to the token that ends it. A template that writes earlier messages in another way than the last is followed.
 *
 * @param ends texts of tokens that end an answer
 * @throws InputError where a template does not write an answer as it was given
 */
export function conversationParts(
  messages: ChatMessage[],
  render: Render,
  ends: readonly string[],
): MarkedPart[] {
  const whole = render(messages, { addGenerationPrompt: false });
  const parts: MarkedPart[] = [];
  let at = 0;
  for (const [i, { role, content }] of messages.entries()) {
    if (role !== 'assistant') continue;
    const prompt = i === 0 ? '' : render(messages.slice(0, i), { addGenerationPrompt: true });
    const through = render(messages.slice(0, i + 1), { addGenerationPrompt: false });
    const said = (content ?? '').trim();
    const begins = whole.startsWith(prompt) && prompt.length >= at ? prompt.length : whole.indexOf(said, at);
    const found = said === '' ? -1 : whole.indexOf(said, Math.max(at, begins));
    const written = whole.startsWith(through);
    if (begins < at || (found < 0 && !written)) {
      throw new InputError(
        `the chat template does not write message ${i + 1} as it was given, so that its answer cannot be told from the rest`,
      );
    }
    // Calls of functions stand behind the words.
    const isCall = 'tool_calls' in messages[i]!;
    let end = written && (isCall || found < 0) ? through.trimEnd().length : found + said.length;
    const space = /^\s*/.exec(whole.slice(end))![0].length;
    const ending = ends.find((each) => whole.startsWith(each, end + space));
    if (ending !== undefined) end += space + ending.length;
    parts.push(
      { text: whole.slice(at, begins), answer: false },
      { text: whole.slice(begins, end), answer: true },
    );
    at = end;
  }
  return [...parts, { text: whole.slice(at), answer: false }];
}
