/**
 * Where the pre-tokenizer of build-tokenizer.ts splits: single digits first, then GPT-2's words with their leading
 * space, runs of punctuation, and white space.
 */
export const pieces = (text: string): string[] =>
  text.match(/\p{N}|\s+(?=\p{N})|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu) ?? [];
