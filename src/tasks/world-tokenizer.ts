/** The generated world's own tokenizer, and a fast way to encode with it. */
import { Random } from '../util/random.ts';
import { buildTokenizer, type TokenizerFiles } from './build-tokenizer.ts';
import { facts } from './facts.ts';
import { keys, people, values } from './lexicon.ts';
import { document } from './mixture.ts';
import { pieces } from './pieces.ts';
import type { Encode } from './task.ts';

/** Trained on 4,000 documents and, once each, the words that may by chance be in none. */
export function buildWorldTokenizer(): TokenizerFiles {
  const random = new Random(2024);
  const documents = Array.from({ length: 4000 }, () => document(random, 240));
  const words = [...people, ...keys, ...values, ...facts.flatMap((fact) => [fact.hero, fact.value])];
  return buildTokenizer([...documents, ...words.map((word) => ` ${word}`)]);
}

/**
 * The same ids as `encode`, an encoder of a tokenizer made by buildTokenizer, piece by piece and from memory: the
 * generated world has only some hundred different pieces. Other pieces are kept up to a bound.
 */
export function cachedEncode(encode: Encode): Encode {
  const known = new Map<string, readonly number[]>();
  return (text) => {
    const ids: number[] = [];
    for (const piece of pieces(text)) {
      let found = known.get(piece);
      if (found === undefined) {
        found = encode(piece);
        if (known.size < 65_536) known.set(piece, found);
      }
      for (const id of found) ids.push(id);
    }
    return ids;
  };
}
