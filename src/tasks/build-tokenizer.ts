/**
 * Trains a byte-level BPE tokenizer (Sennrich et al. 2016, arXiv:1508.07909) and writes it in the format of Hugging
 * Face's tokenizers, with every digit a token of its own, as in SmolLM2.
 */

import { byteSymbols, toSymbols } from '../model/byte-symbols.ts';
import { InputError } from '../util/errors.ts';
import { pieces } from './pieces.ts';

const endOfTextToken = '<|endoftext|>';
const padToken = '<|pad|>';

/** What tokenizer.json and tokenizer_config.json are to hold. */
export interface TokenizerFiles {
  tokenizer: object;
  config: object;
}

interface Word {
  symbols: string[];
  count: number;
}

/** Adjacent pairs and how often they occur, keyed by 'left right' (no symbol is a space). */
function pairCounts(words: Iterable<Word>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]} ${symbols[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  return counts;
}

function merge(word: Word, left: string, right: string): void {
  const merged: string[] = [];
  for (const symbol of word.symbols) {
    if (symbol === right && merged.at(-1) === left) merged[merged.length - 1] = left + right;
    else merged.push(symbol);
  }
  word.symbols = merged;
}

/**
 * Merges the most frequent pair again and again, until every piece of the documents is one token or the vocabulary
 * is full; of equally frequent pairs the first in code-unit order. The same documents give the same tokenizer.
 *
 * @param documents text to count pieces in
 * @param size the largest vocabulary: 2 special tokens, 256 bytes, merges
 */
export function buildTokenizer(documents: Iterable<string>, size = 1024): TokenizerFiles {
  if (size < 258)
    throw new InputError(`vocabulary size ${size}: expected at least 258 (256 bytes and 2 special)`);
  const words = new Map<string, Word>();
  for (const document of documents) {
    for (const piece of pieces(document)) {
      const word = words.get(piece);
      if (word) word.count++;
      else words.set(piece, { symbols: [...toSymbols(piece)], count: 1 });
    }
  }
  if (words.size === 0) throw new InputError('no text to train a tokenizer on');

  const special = [endOfTextToken, padToken];
  const vocab = new Map<string, number>();
  for (const token of [...special, ...byteSymbols]) vocab.set(token, vocab.size);
  const merges: [string, string][] = [];
  while (vocab.size < size) {
    let best = '';
    let most = 0;
    for (const [pair, count] of pairCounts(words.values())) {
      if (count > most || (count === most && pair < best)) [best, most] = [pair, count];
    }
    if (most === 0) break;
    const [left, right] = best.split(' ') as [string, string];
    merges.push([left, right]);
    // Two ways can lead to the same symbols; the token is then there already.
    if (!vocab.has(left + right)) vocab.set(left + right, vocab.size);
    for (const word of words.values()) merge(word, left, right);
  }

  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special.map((content, id) => ({ id, content, ...flags })),
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel],
      },
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(vocab),
        merges,
      },
    },
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      add_prefix_space: false,
      clean_up_tokenization_spaces: false,
      eos_token: endOfTextToken,
      bos_token: endOfTextToken,
      pad_token: padToken,
      unk_token: null,
      added_tokens_decoder: Object.fromEntries(special.map((content, id) => [id, { content, ...flags }])),
    },
  };
}
