import { fromSymbols } from './byte-symbols.ts';
import { isObject, type JsonObject } from './json-fields.ts';
import { byteOf } from './tokenization/decoders.ts';
import type { Pipeline } from './tokenization/pipeline.ts';

/** What every token adds to a text, in bytes: one may end in the middle of a character. */
export interface TokenBytes {
  /** By id. */
  bytes: readonly Uint8Array[];
  /** Tokens that stand for no text. */
  special: ReadonlySet<number>;
}

/** @param json tokenizer.json */
export function tokenBytes(pipeline: Pipeline, json: JsonObject): TokenBytes {
  const { tokens, special } = pipeline;
  const types = decoders(json.decoder);
  const encoder = new TextEncoder();
  const decode = (ids: number[]) => pipeline.decode(ids, false);
  // Decoders treat the first token of a text differently, so that another goes first.
  const before = tokens.findIndex((token, id) => token !== undefined && /^[a-z]$/.test(decode([id])));
  const start = before < 0 ? '' : decode([before]);
  const spelled = (token: string, id: number): Uint8Array => {
    if (types.includes('ByteLevel')) return fromSymbols(token) ?? encoder.encode(token);
    const byte = types.includes('ByteFallback') ? byteOf(token) : null;
    if (byte !== null) return Uint8Array.of(byte);
    const text = before < 0 ? decode([id]) : decode([before, id]);
    return encoder.encode(text.startsWith(start) ? text.slice(start.length) : token);
  };
  return {
    bytes: tokens.map((token, id) => (token === undefined ? new Uint8Array() : spelled(token, id))),
    special,
  };
}

function decoders(decoder: unknown): unknown[] {
  if (!isObject(decoder)) return [];
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap(decoders) : [decoder.type];
}
