import { isObject, type JsonObject } from '../json-fields.ts';
import { countField, flagField, textField, wrong } from './component.ts';
import { type Normalize, trailingSpace } from './normalizers.ts';
import { MAX_ID } from './words.ts';

/** Tokens that are found in a text before it is cut: `added_tokens` of tokenizer.json. */
export interface AddedToken {
  id: number;
  content: string;
  /** Only where no letter or digit is beside it. */
  singleWord: boolean;
  /** White space before it belongs to it. */
  lstrip: boolean;
  rstrip: boolean;
  /** Found in the text after its normalization, and not before. */
  normalized: boolean;
  /** Stands for no text. */
  special: boolean;
}

/** @throws InputError that names the field */
export function addedToken(value: unknown, where: string, id?: number): AddedToken {
  if (!isObject(value)) return wrong(where, value, 'a token');
  const special = flagField(value, 'special', where, false);
  const own = id ?? countField(value, 'id', where);
  if (own >= MAX_ID) wrong(`${where}.id`, own, `an id from 0 to ${MAX_ID - 1}`);
  return {
    id: own,
    content: textField(value, 'content', where),
    singleWord: flagField(value, 'single_word', where, false),
    lstrip: flagField(value, 'lstrip', where, false),
    rstrip: flagField(value, 'rstrip', where, false),
    normalized: flagField(value, 'normalized', where, !special),
    special,
  };
}

export function addedTokens(json: JsonObject): AddedToken[] {
  const list = json.added_tokens ?? [];
  if (!Array.isArray(list)) return wrong('added_tokens', list, 'a list');
  return list.map((token, i) => addedToken(token, `added_tokens[${i}]`));
}

/** A part of the text: one added token, or what lies between two. */
export type Part = { id: number } | { text: string; first: boolean };

const WORD_AT_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AT_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE_AT_START = /^\p{White_Space}+/u;

/** Finds the longest of some tokens at the first place of any. */
export class AddedTokenFinder {
  /** By the first unit of their text: the lengths of those texts, longest first, and the tokens. */
  private readonly byStart = new Map<string, { lengths: number[]; tokens: Map<string, AddedToken> }>();
  /** Characters that a token begins with. */
  private readonly starts: RegExp | null;

  /** @param normalize what the tokens' own text goes through */
  constructor(tokens: AddedToken[], normalize: Normalize = (text) => text) {
    for (const token of tokens) {
      const content = normalize(token.content);
      if (content === '') continue;
      const start = content[0]!;
      let same = this.byStart.get(start);
      if (!same) {
        same = { lengths: [], tokens: new Map() };
        this.byStart.set(start, same);
      }
      // Of two tokens with the same text, the last counts.
      same.tokens.set(content, token);
    }
    for (const { lengths, tokens } of this.byStart.values()) {
      lengths.push(...new Set(Array.from(tokens.keys(), (content) => content.length)));
      lengths.sort((a, b) => b - a);
    }
    const set = [...this.byStart.keys()]
      .map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join('');
    this.starts = set === '' ? null : new RegExp(`[${set}]`, 'g');
  }

  /** @param first whether the text is the beginning of what is encoded */
  split(text: string, first: boolean): Part[] {
    const parts: Part[] = [];
    let done = 0;
    const rest = (end: number) => {
      if (done < end) parts.push({ text: text.slice(done, end), first: first && done === 0 });
    };
    const { starts } = this;
    if (starts) starts.lastIndex = 0;
    for (let found = starts?.exec(text); found; found = starts!.exec(text)) {
      const at = found.index;
      const { lengths, tokens } = this.byStart.get(found[0])!;
      const length = lengths.find((length) => tokens.has(text.slice(at, at + length)));
      if (length === undefined) continue;
      const end = at + length;
      const { id, singleWord, lstrip, rstrip } = tokens.get(text.slice(at, end))!;
      starts!.lastIndex = end;
      const before = text.slice(Math.max(0, at - 2), at);
      if (singleWord && (WORD_AT_END.test(before) || WORD_AT_START.test(text.slice(end, end + 2)))) continue;
      const start = lstrip ? at - trailingSpace(text.slice(done, at)) : at;
      rest(Math.max(done, start));
      parts.push({ id });
      done = rstrip ? end + (SPACE_AT_START.exec(text.slice(end))?.[0].length ?? 0) : end;
    }
    rest(text.length);
    return parts;
  }
}
