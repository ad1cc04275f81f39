import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hasWeights } from '../model/checkpoint.ts';
import { loadTokenizer } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { InputError } from '../util/errors.ts';
import { systemMeaning } from '../util/system-errors.ts';

/** Texts that models are trained and judged on. */

/** The model that the package ships, trained on the generated world alone. */
const EMBEDDED = fileURLToPath(new URL('../../models/base', import.meta.url));

/** @throws InputError for a file that cannot be read */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(
      `${path}: ${systemMeaning(error) ?? (error as Error).message}; expected a text file`,
    );
  }
}

/** Whether a model has the vocabulary of the generated world, as the embedded model and all made of it. */
export function speaksOfTheWorld(tokenizer: Tokenizer): boolean {
  if (!hasWeights(EMBEDDED)) return false;
  const world = loadTokenizer(EMBEDDED);
  if (world.vocabSize !== tokenizer.vocabSize) return false;
  const own = new Map(tokenizer.vocabulary());
  return [...world.vocabulary()].every(([token, id]) => own.get(token) === id);
}

/** How much of the held-out text is looked for in the training text, in characters. */
const SAMPLE = 1000;

/**
 * A model that was trained on the text it is judged by has learnt the answers.
 *
 * @throws InputError where the held-out text is the training text or part of it, by whatever path
 */
export function checkApart(
  data: { path: string; text: string },
  heldOut: { path: string; text: string },
): void {
  const inner = heldOut.text.trim();
  if (inner === '') return;
  if (data.text.trim() === inner) {
    throw new InputError(
      `the training text ${data.path} and the held-out text ${heldOut.path} are the same: expected texts that have nothing in common`,
    );
  }
  const pieces = [inner, inner.slice(0, SAMPLE), inner.slice(-SAMPLE)];
  if (inner.length >= SAMPLE && pieces.some((piece) => data.text.includes(piece))) {
    throw new InputError(
      `a part of the held-out text ${heldOut.path} is in the training text ${data.path}: expected texts that have nothing in common`,
    );
  }
}
