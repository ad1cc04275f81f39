import type { Tokenizer } from '../model/tokenizer.ts';
import type { Reading } from './harness.ts';

/**
 * How lm-evaluation-harness reads texts: with the token that the tokenizer begins a text with, unless the text begins
 * with it already; whole texts behind that token, or behind the one that ends texts.
 *
 * @param contextLength the longest row that is read, in tokens
 */
export function readingOf(tokenizer: Tokenizer, contextLength?: number): Reading {
  const { bosId, eosIds } = tokenizer;
  const begins = bosId !== null && tokenizer.encode('a')[0] === bosId;
  const bos = bosId === null ? undefined : tokenizer.token(bosId);
  const encode = (text: string) => {
    const ids = tokenizer.encode(text, { addSpecialTokens: false });
    return begins && !(bos !== undefined && text.startsWith(bos)) ? [bosId, ...ids] : ids;
  };
  return { encode, contextLength, prefix: bosId ?? eosIds[0] };
}
