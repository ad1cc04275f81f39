import type { Example } from '../task.ts';

/** One question of a public set, before it has shots: what lm-evaluation-harness makes of a row. */
export type Document =
  /** A text that goes on in one way; the target begins with what separates them. */
  | { text: string; target: string }
  /** One of the choices follows after a space. */
  | { text: string; choices: string[]; gold: number }
  /** The target follows each of the contexts after a space, and is right behind one of them. */
  | { contexts: string[]; target: string; gold: number }
  /** An answer is written, and what counts in it compared with what counts in the target. */
  | { question: string; target: string }
  /** All of the text is predicted; its loss is shared out among the words and bytes of the page that it was made of. */
  | { page: string; text: string };

/** What stands between a question and its answer, and behind a solved question. */
const [BETWEEN, BEHIND] = [' ', '\n\n'];

/** A document with its answer, as it stands in front of others; the text of a page takes nothing in front of it. */
export function shotOf(document: Document): string {
  if ('page' in document) return '';
  if ('choices' in document) return document.text + BETWEEN + document.choices[document.gold] + BEHIND;
  if ('contexts' in document) return document.contexts[document.gold] + BETWEEN + document.target + BEHIND;
  return ('text' in document ? document.text : document.question) + BETWEEN + document.target + BEHIND;
}

/**
 * What a model is asked by a document; of an answer that is written its gold loss.
 *
 * @param before description and shots
 * @param normalised whether accuracy_norm is wanted of choices
 */
export function exampleOf(document: Document, before: string, normalised = false): Example {
  const asks = JSON.stringify(document);
  if ('page' in document) return { whole: document.text, asks };
  if ('choices' in document) {
    const { text, choices, gold } = document;
    const options = choices.map((choice) => BETWEEN + choice);
    const lengths = normalised ? { lengths: choices.map(characters) } : {};
    return { context: before + text, options, gold, asks, ...lengths };
  }
  if ('contexts' in document) {
    const { contexts, target, gold } = document;
    return { contexts: contexts.map((each) => before + each), continuation: BETWEEN + target, gold, asks };
  }
  return 'text' in document
    ? { context: before + document.text, answer: document.target, asks }
    : { context: before + document.question, answer: BETWEEN + document.target, asks };
}

/** As Python counts them: a character beyond the basic plane is one. */
function characters(text: string): number {
  return [...text].length;
}
