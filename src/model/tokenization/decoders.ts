import { fromSymbols } from '../byte-symbols.ts';
import {
  component,
  countField,
  flagField,
  listField,
  longestFrom,
  searchField,
  textField,
  tooLong,
  unsupported,
} from './component.ts';

/** From tokens as the vocabulary spells them back to text, by the `decoder` of tokenizer.json. */

export type Decode = (tokens: string[]) => string[];
/** @param longest result, in UTF-16 units of all tokens together */
type Bounded = (tokens: string[], longest: number) => string[];
type Json = ReturnType<typeof component>;

const encoder = new TextEncoder();
// A byte-order mark is a character of the text.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

const DECODERS: Record<string, (json: Json, where: string) => Bounded> = {
  BPEDecoder: (json, where) => {
    const suffix = textField(json, 'suffix', where, '</w>');
    return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i + 1 === tokens.length ? '' : ' '));
  },
  ByteFallback: () => byteFallback,
  ByteLevel: () => (tokens) => {
    const bytes = tokens.map((token) => fromSymbols(token) ?? encoder.encode(token));
    return [utf8.decode(joined(bytes))];
  },
  Fuse: () => (tokens) => [tokens.join('')],
  Metaspace: (json, where) => {
    const replacement = textField(json, 'replacement', where, '\u2581');
    const legacy = flagField(json, 'add_prefix_space', where, true) ? 'always' : 'never';
    const prefixed = textField(json, 'prepend_scheme', where, legacy) !== 'never';
    return (tokens) =>
      tokens.map((token, i) => token.replaceAll(replacement, i === 0 && prefixed ? '' : ' '));
  },
  Replace: (json, where) => {
    const search = searchField(json, where);
    const content = textField(json, 'content', where);
    return (tokens, longest) => {
      let left = longest;
      return tokens.map((token) => {
        const result = search.replace(token, content, left, `${where} (Replace)`);
        left = Math.max(0, left - result.length);
        return result;
      });
    };
  },
  Sequence: (json, where) => {
    const all = listField(json, 'decoders', where).map((one, i) => oneOf(one, `${where}[${i}]`));
    return (tokens, longest) => all.reduce((result, decode) => decode(result, longest), tokens);
  },
  Strip: (json, where) => {
    const content = textField(json, 'content', where);
    const [start, stop] = [countField(json, 'start', where), countField(json, 'stop', where)];
    return (tokens) =>
      tokens.map((token) => {
        let [from, to] = [0, token.length];
        for (let i = 0; i < start && from < to && token.startsWith(content, from); i++)
          from += content.length;
        for (let i = 0; i < stop && to > from && token.endsWith(content, to); i++) to -= content.length;
        return token.slice(from, to);
      });
  },
  WordPiece: (json, where) => {
    const prefix = textField(json, 'prefix', where, '##');
    const clean = flagField(json, 'cleanup', where, true);
    return (tokens) =>
      tokens.map((token, i) => {
        const spaced = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
        return clean ? cleanedUp(spaced) : spaced;
      });
  },
};

/**
 * @returns what throws an InputError for tokens of which it would make a far longer text
 * @throws InputError for one that is not supported, by its name
 */
export function decoder(value: unknown, where = 'decoder'): Decode {
  if (value === null || value === undefined) return (tokens) => [tokens.join(' ')];
  const decode = oneOf(value, where);
  return (tokens) => decode(tokens, longestFrom(lengthOf(tokens)));
}

function oneOf(value: unknown, where: string): Bounded {
  const json = component(value, where);
  if (!Object.hasOwn(DECODERS, json.type)) unsupported(where, json.type, Object.keys(DECODERS));
  const decode = DECODERS[json.type]!(json, where);
  return (tokens, longest) => {
    const result = decode(tokens, longest);
    if (lengthOf(result) > longest) tooLong(`${where} (${json.type})`);
    return result;
  };
}

const lengthOf = (tokens: string[]) => tokens.reduce((sum, token) => sum + token.length, 0);

/** The byte of a token such as `<0x0A>`. */
export function byteOf(token: string): number | null {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return hex === undefined ? null : Number.parseInt(hex, 16);
}

/**
 * Bytes side by side are a text. Where they are none, what is broken shows as U+FFFD and the characters around it stay
 * (Hugging Face's takes back all of them), so that a text that was given out never changes.
 */
function byteFallback(tokens: string[]): string[] {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) result.push(utf8.decode(Uint8Array.from(bytes)));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = byteOf(token);
    if (byte !== null) bytes.push(byte);
    else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}

function joined(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Spaces that tokenizers of words put where writers put none. */
function cleanedUp(text: string): string {
  return text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}
