import { toSymbols } from '../byte-symbols.ts';
import {
  component,
  countField,
  flagField,
  listField,
  searchField,
  textField,
  unsupported,
  wrong,
} from './component.ts';
import { Pattern, type Piece } from './pattern.ts';
import { BEHAVIORS, type Behavior, characterPieces, cut, type Split, stringPieces } from './splits.ts';

/** How a text is cut into the pieces that tokens never cross, by the `pre_tokenizer` of tokenizer.json. */

export type PreTokenize = (splits: Split[]) => Split[];
type Json = ReturnType<typeof component>;

const each =
  (of: (split: Split) => Split[]): PreTokenize =>
  (splits) =>
    splits.flatMap(of);
const at = (pieces: (text: string) => Piece[], behavior: Behavior): PreTokenize =>
  each((split) => cut(split, pieces(split.text), behavior));
const atCharacters = (matches: RegExp, behavior: Behavior) =>
  at((text) => characterPieces(text, matches), behavior);

const SPACE = /\p{White_Space}/u;
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/u;
const WORDS_OR_NOT =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;
/** GPT-2's words (Radford et al. 2019). */
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

function behaviorField(json: Json, where: string, other?: Behavior): Behavior {
  const value = json.behavior ?? other;
  const known = BEHAVIORS.find((name) => name === value);
  return known ?? wrong(`${where}.behavior`, json.behavior, BEHAVIORS.join(', '));
}

const PRE_TOKENIZERS: Record<string, (json: Json, where: string) => PreTokenize> = {
  BertPreTokenizer: () => {
    const [spaces, punctuation] = [atCharacters(SPACE, 'Removed'), atCharacters(PUNCTUATION, 'Isolated')];
    return (splits) => punctuation(spaces(splits));
  },
  ByteLevel: (json, where) => {
    const prefix = flagField(json, 'add_prefix_space', where, true);
    const words = flagField(json, 'use_regex', where, true) ? new Pattern(WORDS) : null;
    return each((split) => {
      const text = prefix && !split.text.startsWith(' ') ? ` ${split.text}` : split.text;
      const own = { ...split, text };
      const pieces = words ? cut(own, words.pieces(text), 'Isolated') : [own];
      return pieces.map((piece) => ({ ...piece, text: toSymbols(piece.text) }));
    });
  },
  CharDelimiterSplit: (json, where) => {
    const delimiter = textField(json, 'delimiter', where);
    return at((text) => stringPieces(text, delimiter), 'Removed');
  },
  Digits: (json, where) =>
    atCharacters(/\p{N}/u, flagField(json, 'individual_digits', where, false) ? 'Isolated' : 'Contiguous'),
  FixedLength: (json, where) => {
    const length = countField(json, 'length', where, 5);
    if (length === 0) wrong(`${where}.length`, 0, 'a whole number above 0');
    return each((split) => {
      const characters = Array.from(split.text);
      const pieces: Piece[] = [];
      let start = 0;
      for (let i = 0; i < characters.length; i += length) {
        const end = start + characters.slice(i, i + length).join('').length;
        pieces.push({ start, end, match: true });
        start = end;
      }
      return cut(split, pieces, 'Isolated');
    });
  },
  Metaspace: (json, where) => {
    const replacement = textField(json, 'replacement', where, '\u2581');
    const scheme = prependScheme(json, where);
    const split = flagField(json, 'split', where, true);
    return each(({ text, first }) => {
      const marked = text.replaceAll(' ', replacement);
      const begins = scheme === 'always' || (scheme === 'first' && first);
      const prefix = begins && !marked.startsWith(replacement) ? replacement : '';
      const own = { text: prefix + marked, first };
      return split ? cut(own, stringPieces(own.text, replacement), 'MergedWithNext') : [own];
    });
  },
  Punctuation: (json, where) => atCharacters(PUNCTUATION, behaviorField(json, where, 'Isolated')),
  Sequence: (json, where) => {
    const all = listField(json, 'pretokenizers', where).map((one, i) => preTokenizer(one, `${where}[${i}]`));
    return (splits) => all.reduce((result, preTokenize) => preTokenize(result), splits);
  },
  Split: (json, where) => {
    const search = searchField(json, where);
    const behavior = behaviorField(json, where);
    const invert = flagField(json, 'invert', where, false);
    return at((text) => {
      const pieces = search.pieces(text);
      return invert ? pieces.map((piece) => ({ ...piece, match: !piece.match })) : pieces;
    }, behavior);
  },
  Whitespace: () =>
    each(({ text, first }) =>
      Array.from(text.matchAll(WORDS_OR_NOT), (match) => ({
        text: match[0],
        first: first && match.index === 0,
      })),
    ),
  WhitespaceSplit: () => atCharacters(SPACE, 'Removed'),
};

const SCHEMES = ['always', 'first', 'never'] as const;

/** Older files say it by add_prefix_space. */
function prependScheme(json: Json, where: string): (typeof SCHEMES)[number] {
  if (json.prepend_scheme === undefined) {
    return flagField(json, 'add_prefix_space', where, true) ? 'always' : 'never';
  }
  const known = SCHEMES.find((name) => name === json.prepend_scheme);
  return known ?? wrong(`${where}.prepend_scheme`, json.prepend_scheme, SCHEMES.join(', '));
}

/** @throws InputError for one that is not supported, by its name */
export function preTokenizer(value: unknown, where = 'pre_tokenizer'): PreTokenize {
  if (value === null || value === undefined) return (splits) => splits;
  const json = component(value, where);
  if (!Object.hasOwn(PRE_TOKENIZERS, json.type)) unsupported(where, json.type, Object.keys(PRE_TOKENIZERS));
  return PRE_TOKENIZERS[json.type]!(json, where);
}
