import { fileURLToPath } from 'node:url';
import { hasWeights } from '../model/checkpoint.ts';
import { loadTokenizer } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/** The model that the package ships, trained on the generated world alone. */
const EMBEDDED = fileURLToPath(new URL('../../models/base', import.meta.url));

/** Whether a model has the vocabulary of the generated world, as the embedded model and all made of it. */
export function speaksOfTheWorld(tokenizer: Tokenizer): boolean {
  if (!hasWeights(EMBEDDED)) return false;
  const world = loadTokenizer(EMBEDDED);
  if (world.vocabSize !== tokenizer.vocabSize) return false;
  const own = new Map(tokenizer.vocabulary());
  return [...world.vocabulary()].every(([token, id]) => own.get(token) === id);
}
