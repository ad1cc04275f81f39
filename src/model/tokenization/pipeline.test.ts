import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { addedTokens } from './added-tokens.ts';
import { decoder } from './decoders.ts';
import { createModel } from './models.ts';
import { normalizer } from './normalizers.ts';
import { Pattern } from './pattern.ts';
import { Pipeline } from './pipeline.ts';
import { postProcessor } from './post-processors.ts';
import { preTokenizer } from './pre-tokenizers.ts';

type Json = Record<string, unknown> & { type: string };

/** Made with Hugging Face's tokenizers by test/golden/make_tokenizers.py. */
interface Golden {
  texts: string[];
  normalizers: [Json, string[]][];
  patterns: [string, string[][] | null][];
  preTokenizers: [Json, string[][]][];
  tokens: string[][];
  decoders: [Json | null, string[]][];
  tokenizers: {
    name: string;
    json: Record<string, unknown>;
    encoded: number[][] | null;
    plain: number[][];
    written: number[][];
    /** With and without special tokens, where that differs; null for what is different here on purpose. */
    decoded: (string | null | [string, string])[];
  }[];
}
const golden: Golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/text/tokenizers.json', import.meta.url), 'utf8'),
);
const { texts } = golden;
const by = <T>(results: T[]) => texts.map((text, i) => [text, results[i]]);

test.each(golden.normalizers)('normalizer %j', (json, results) => {
  const normalize = normalizer(json);
  expect(by(texts.map(normalize))).toEqual(by(results));
});

test.each(golden.patterns.filter(([, results]) => results))('pattern %s', (source, results) => {
  const pattern = new Pattern(source);
  const cut = (text: string) =>
    pattern
      .pieces(text)
      .filter(({ start, end }) => start < end)
      .map(({ start, end }) => text.slice(start, end));
  expect(by(texts.map((text) => cut(text)))).toEqual(by(results!));
});

test.each(golden.preTokenizers)('pre-tokenizer %j', (json, results) => {
  const cut = preTokenizer(json);
  const pieces = texts.map((text) =>
    cut(text === '' ? [] : [{ text, first: true }]).map((piece) => piece.text),
  );
  expect(by(pieces)).toEqual(by(results));
});

test.each(golden.decoders)('decoder %j', (json, results) => {
  const decode = decoder(json);
  expect(golden.tokens.map((tokens) => decode([...tokens]).join(''))).toEqual(results);
});

test.each(golden.tokenizers)('$name', ({ json, encoded, plain, written, decoded }) => {
  const pipeline = new Pipeline(json, createModel(json.model), addedTokens(json));
  const { before, after } = postProcessor(json.post_processor);
  expect(by(texts.map((text) => pipeline.encode(text)))).toEqual(by(plain));
  expect(texts.map((text) => [...before, ...pipeline.encode(text), ...after])).toEqual(encoded ?? plain);
  for (const [i, ids] of [...plain, ...written].entries()) {
    const result = decoded[i]!;
    if (result === null) continue;
    const [skipped, shown] = typeof result === 'string' ? [result, result] : result;
    expect([ids, pipeline.decode(ids, true), pipeline.decode(ids, false)]).toEqual([ids, skipped, shown]);
  }
});
