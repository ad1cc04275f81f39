import { isObject, type JsonObject } from '../../model/json-fields.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';

/** Unicode's normal forms take three bytes to one at most (NFC of Hangul). */
const SHRINKS = 4;

/**
 * The most characters that so many tokens can hold; Infinity for tokenizers that leave out some of a text, or have one
 * token for any length of it (`<unk>`).
 *
 * @param json tokenizer.json
 */
export function mostCharacters(json: JsonObject, tokenizer: Tokenizer, tokens: number): number {
  if (!keepsEveryByte(json)) return Number.POSITIVE_INFINITY;
  const longest = tokenizer.tokenBytes.bytes.reduce((most, { length }) => Math.max(most, length), 1);
  return tokens * longest * SHRINKS;
}

const NORMALIZERS = new Set(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'Prepend', 'Replace']);
const PRE_TOKENIZERS = new Set(['ByteLevel', 'Split', 'Digits', 'Metaspace', 'Punctuation']);

function keepsEveryByte({ normalizer, pre_tokenizer, model, added_tokens }: JsonObject): boolean {
  const normal = steps(normalizer, 'normalizers');
  const before = steps(pre_tokenizer, 'pretokenizers');
  const bytes =
    before.some(({ type }) => type === 'ByteLevel') || (isObject(model) && model.byte_fallback === true);
  const added = Array.isArray(added_tokens) ? added_tokens : [];
  return (
    bytes &&
    normal.every(({ type, content }) => NORMALIZERS.has(String(type)) && content !== '') &&
    // A pattern may take much for little.
    normal.every(({ pattern }) => !isObject(pattern) || pattern.Regex === undefined) &&
    before.every(({ type, behavior }) => PRE_TOKENIZERS.has(String(type)) && behavior !== 'Removed') &&
    // These take the white space beside them.
    !added.some((token) => isObject(token) && (token.lstrip === true || token.rstrip === true))
  );
}

/**
 * What a model writes is decoded token by token where others wait: not by a pattern, which may try for ever.
 *
 * @param json tokenizer.json
 * @throws InputError
 */
export function checkDecoder({ decoder }: JsonObject): void {
  const pattern = steps(decoder, 'decoders').find(
    ({ pattern }) => isObject(pattern) && pattern.Regex !== undefined,
  );
  if (!pattern) return;
  throw new InputError(
    `the tokenizer's decoder replaces what fits ${JSON.stringify(pattern.pattern)}: patterns are not used in serving`,
  );
}

function steps(step: unknown, list: string): JsonObject[] {
  if (!isObject(step)) return [];
  const inner = step[list];
  return Array.isArray(inner) ? inner.flatMap((one) => steps(one, list)) : [step];
}
