import { fromSymbols } from './byte-symbols.ts';
import { isObject, type JsonObject } from './json-fields.ts';

/** What every token adds to a text, in bytes: one may end in the middle of a character. */
export interface TokenBytes {
  /** By id. */
  bytes: readonly Uint8Array[];
  /** Tokens that stand for no text. */
  special: ReadonlySet<number>;
}

/**
 * @param vocabulary the tokens' spelling by id
 * @param tokenizer tokenizer.json
 */
export function tokenBytes(vocabulary: readonly string[], tokenizer: JsonObject): TokenBytes {
  const added = (Array.isArray(tokenizer.added_tokens) ? tokenizer.added_tokens : []).filter(isObject);
  const verbatim = new Set(added.map(({ id }) => id as number));
  const byteLevel = decoders(tokenizer.decoder).includes('ByteLevel');
  const encoder = new TextEncoder();
  const spelled = (token: string): Uint8Array => {
    if (byteLevel) return fromSymbols(token) ?? encoder.encode(token);
    const byte = /^<0x([0-9A-F]{2})>$/i.exec(token)?.[1];
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    return encoder.encode(token.replaceAll('\u2581', ' '));
  };
  return {
    bytes: vocabulary.map((token = '', id) => (verbatim.has(id) ? encoder.encode(token) : spelled(token))),
    special: new Set(added.filter(({ special }) => special === true).map(({ id }) => id as number)),
  };
}

function decoders(decoder: unknown): unknown[] {
  if (!isObject(decoder)) return [];
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap(decoders) : [decoder.type];
}
