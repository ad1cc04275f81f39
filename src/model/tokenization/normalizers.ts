import { toSymbols } from '../byte-symbols.ts';
import { CharsMap } from './charsmap.ts';
import {
  component,
  flagField,
  listField,
  longestFrom,
  searchField,
  textField,
  tooLong,
  unsupported,
} from './component.ts';

/** What happens to a text before it is cut, by the `normalizer` of tokenizer.json. */

export type Normalize = (text: string) => string;
/** @param longest result, in UTF-16 units */
type Bounded = (text: string, longest: number) => string;

const LEADING = /^\p{White_Space}+/u;

const NORMALIZERS: Record<string, (json: ReturnType<typeof component>, where: string) => Bounded> = {
  BertNormalizer: (json, where) => {
    const clean = flagField(json, 'clean_text', where, true);
    const chinese = flagField(json, 'handle_chinese_chars', where, true);
    const lower = flagField(json, 'lowercase', where, true);
    const accents = flagField(json, 'strip_accents', where, lower);
    return (text) => {
      let result = clean ? cleaned(text) : text;
      if (chinese) result = result.replace(CHINESE, ' $& ');
      if (accents) result = result.normalize('NFD').replace(/\p{Mn}/gu, '');
      return lower ? lowercase(result) : result;
    };
  },
  ByteLevel: () => toSymbols,
  Lowercase: () => lowercase,
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  Nmt: () => (text) => text.replace(NMT_CONTROL, '').replace(NMT_SPACE, ' '),
  Precompiled: (json, where) => {
    const map = new CharsMap(textField(json, 'precompiled_charsmap', where));
    return (text) => map.normalize(text);
  },
  Prepend: (json, where) => {
    const prefix = textField(json, 'prepend', where);
    return (text) => (text === '' ? text : prefix + text);
  },
  Replace: (json, where) => {
    const search = searchField(json, where);
    const content = textField(json, 'content', where);
    return (text, longest) => search.replace(text, content, longest, `${where} (Replace)`);
  },
  Sequence: (json, where) => {
    const all = listField(json, 'normalizers', where).map((one, i) => oneOf(one, `${where}[${i}]`));
    return (text, longest) => all.reduce((result, normalize) => normalize(result, longest), text);
  },
  Strip: (json, where) => {
    const left = flagField(json, 'strip_left', where, true);
    const right = flagField(json, 'strip_right', where, true);
    return (text) => {
      const start = left ? text.replace(LEADING, '') : text;
      return right ? start.slice(0, start.length - trailingSpace(start)) : start;
    };
  },
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
};

/**
 * @returns what throws an InputError for a text that it would make far longer: most normalizers keep the length about,
 * and one that is made to multiply it takes all memory
 * @throws InputError for one that is not supported, by its name
 */
export function normalizer(value: unknown, where = 'normalizer'): Normalize {
  if (value === null || value === undefined) return (text) => text;
  const normalize = oneOf(value, where);
  return (text) => normalize(text, longestFrom(text.length));
}

function oneOf(value: unknown, where: string): Bounded {
  const json = component(value, where);
  if (!Object.hasOwn(NORMALIZERS, json.type)) unsupported(where, json.type, Object.keys(NORMALIZERS));
  const normalize = NORMALIZERS[json.type]!(json, where);
  return (text, longest) => {
    const result = normalize(text, longest);
    if (result.length > longest) tooLong(`${where} (${json.type})`);
    return result;
  };
}

/** Letter by letter: a sigma at the end of a word stays a sigma, where JavaScript writes the final one. */
const lowercase = (text: string) => text.replace(/Σ+/g, (all) => 'σ'.repeat(all.length)).toLowerCase();

/** A pattern that is anchored at the end alone would be tried at every blank of the text. */
export function trailingSpace(text: string): number {
  let at = text.length;
  while (at > 0 && /\p{White_Space}/u.test(text[at - 1]!)) at--;
  return text.length - at;
}

const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

const cleaned = (text: string) =>
  text.replace(/[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '').replace(/\p{White_Space}/gu, ' ');

// biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that SentencePiece's NMT rules leave out
const NMT_CONTROL = /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/g;
const NMT_SPACE = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;
