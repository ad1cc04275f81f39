/** Parts of a tokenizer.json (the format of Hugging Face's `tokenizers`) that the importers share. */
import { InputError } from '../../util/errors.ts';
import type { JsonObject } from '../json-fields.ts';

export interface AddedToken {
  id: number;
  content: string;
  /** Stands for no text: left out when ids are decoded for reading. */
  special: boolean;
}

export interface TokenizerFiles {
  /** tokenizer.json */
  tokenizer: JsonObject;
  /** tokenizer_config.json */
  config: JsonObject;
}

export function addedTokenJson({ id, content, special }: AddedToken): JsonObject {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}

/** Of a piece, in characters: the ways to split it are tried one by one. SentencePiece's own limit is 16 unless told. */
const LONGEST_PIECE = 1024;

/**
 * SentencePiece's BPE merges whichever adjacent pair makes the piece of the best score. As merges for a tokenizer.json:
 * every way to split a piece into two other pieces, best score first.
 *
 * @param pieces text and score of the pieces that may be merged into or out of, in the order of their ids
 * @throws InputError for a piece of more than 1,024 characters
 */
function mergesByScore(pieces: { text: string; score: number }[]): [string, string][] {
  const ids = new Map(pieces.map(({ text }, id) => [text, id]));
  const merges: { left: number; right: number; score: number }[] = [];
  for (const { text, score } of pieces) {
    if (text.length > LONGEST_PIECE) {
      throw new InputError(
        `a token of the vocabulary has ${text.length} characters, expected at most ${LONGEST_PIECE}`,
      );
    }
    const characters = [...text];
    let left = '';
    for (const [i, character] of characters.slice(0, -1).entries()) {
      left += character;
      const l = ids.get(left);
      const r = ids.get(characters.slice(i + 1).join(''));
      if (l !== undefined && r !== undefined) merges.push({ left: l, right: r, score });
    }
  }
  // Splits of one piece have one score: the order that Hugging Face's converter gives them.
  merges.sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right);
  return merges.map(({ left, right }) => [pieces[left]!.text, pieces[right]!.text]);
}

export interface SentencePieceOptions {
  /** Text and score of every id. */
  pieces: { text: string; score: number }[];
  /** Ids that are ordinary pieces, which merges may make. */
  mergeable: (id: number) => boolean;
  added: AddedToken[];
  /** How a space is written in the pieces: '▁' in SentencePiece's files, a space in llama2.c's. */
  space: string;
  /** A space is put before a text, and taken away when it is decoded. */
  prefixSpace: boolean;
  /** Ids put before and after a text. */
  before: number[];
  after: number[];
  unknownId: number;
}

/** tokenizer.json of a SentencePiece BPE with byte fallback, as Hugging Face writes it for Llama 2. */
export function sentencePieceJson(options: SentencePieceOptions): JsonObject {
  const { pieces, space, prefixSpace } = options;
  const text = (id: number) => pieces[id]!.text;
  const normalizers: JsonObject[] = [];
  if (prefixSpace) normalizers.push({ type: 'Prepend', prepend: space });
  if (space !== ' ') normalizers.push({ type: 'Replace', pattern: { String: ' ' }, content: space });
  const decoders: JsonObject[] = [];
  if (space !== ' ') decoders.push({ type: 'Replace', pattern: { String: space }, content: ' ' });
  decoders.push({ type: 'ByteFallback' }, { type: 'Fuse' });
  if (prefixSpace) decoders.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: options.added.map(addedTokenJson),
    normalizer: normalizers.length > 0 ? { type: 'Sequence', normalizers } : null,
    pre_tokenizer: null,
    post_processor: templateProcessing(options.before, options.after, text),
    decoder: { type: 'Sequence', decoders },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: text(options.unknownId),
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece.text, id])),
      merges: mergesByScore(pieces.filter((_, id) => options.mergeable(id))),
    },
  };
}

/** Puts the given ids around a text; null when there are none. */
export function templateProcessing(
  before: number[],
  after: number[],
  text: (id: number) => string,
): JsonObject | null {
  if (before.length + after.length === 0) return null;
  const special = (type_id: number) => (id: number) => ({ SpecialToken: { id: text(id), type_id } });
  const sequence = (id: 'A' | 'B', type_id: number) => [
    ...before.map(special(type_id)),
    { Sequence: { id, type_id } },
    ...after.map(special(type_id)),
  ];
  const ids = [...new Set([...before, ...after])];
  return {
    type: 'TemplateProcessing',
    single: sequence('A', 0),
    pair: [...sequence('A', 0), ...sequence('B', 1)],
    special_tokens: Object.fromEntries(
      ids.map((id) => [text(id), { id: text(id), ids: [id], tokens: [text(id)] }]),
    ),
  };
}
