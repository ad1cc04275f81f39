import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from './json-fields.ts';
import { Tokenizer } from './tokenizer.ts';

const golden: { texts: string[]; tokenizers: { name: string; json: JsonObject }[] } = JSON.parse(
  readFileSync(new URL('../../test/golden/text/tokenizers.json', import.meta.url), 'utf8'),
);
const tokenizers = golden.tokenizers.map(({ name, json }) => [name, new Tokenizer(json, {})] as const);
const byName = (part: string) => tokenizers.find(([name]) => name.includes(part))![1];

function written(tokenizer: Tokenizer, ids: readonly number[], after: readonly number[] = []): string {
  const decoder = tokenizer.stream({ after });
  const pieces = ids.map((id) => decoder.push(id));
  expect(pieces.filter((piece) => /\p{Surrogate}/u.test(piece))).toEqual([]);
  return pieces.join('') + decoder.flush();
}

describe.each(tokenizers)('%s', (_, tokenizer) => {
  const someIds = fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 24 });

  test('what is streamed is the whole text, for any tokens', () => {
    for (const text of golden.texts) {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      expect(written(tokenizer, ids)).toBe(tokenizer.decode(ids));
    }
    fc.assert(
      fc.property(someIds, (ids) => {
        expect(written(tokenizer, ids)).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 300 },
    );
  });

  test('after a prompt, only what was written: nothing twice, nothing lost', () => {
    fc.assert(
      fc.property(someIds, fc.nat(24), (ids, cut) => {
        const [prompt, rest] = [ids.slice(0, cut), ids.slice(cut)];
        const all = tokenizer.decode(ids);
        const before = tokenizer.decode(prompt);
        const text = written(tokenizer, rest, prompt);
        // A character that the prompt left unfinished may be finished by what follows.
        const unfinished = before.endsWith('\ufffd') && !all.startsWith(before);
        expect((unfinished ? before.slice(0, -1) : before) + text).toBe(all);
      }),
      { numRuns: 300 },
    );
  });
});

test.each(tokenizers.filter(([name]) => /byte/i.test(name) && !name.startsWith('BPE')))(
  '%s: the bytes of tokens make up the text',
  (_, tokenizer) => {
    const { bytes, special } = tokenizer.tokenBytes;
    const letter = tokenizer.tokenId('a')!;
    const ids = fc.array(fc.nat(tokenizer.vocabSize - 1), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(ids, (some) => {
        const shown = [letter, ...some.filter((id) => !special.has(id))];
        const joined = Buffer.concat(shown.map((id) => bytes[id]!));
        const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(joined);
        expect(text).toBe(tokenizer.decode(shown));
      }),
      { numRuns: 300 },
    );
  },
);

describe('byte-level tokens', () => {
  const tokenizer = byName('byte-level');
  const bytesOf = (text: string) => Array.from(new TextEncoder().encode(text), (byte) => tokenOf(byte));
  const tokenOf = (byte: number) =>
    tokenizer.tokenBytes.bytes.findIndex((own) => own.length === 1 && own[0] === byte);

  test('a prompt that ends in U+FFFD, and one within a character', () => {
    expect(written(tokenizer, bytesOf('abc'), bytesOf('x\ufffd'))).toBe('abc');
    expect(written(tokenizer, bytesOf('\ufffdabc'), bytesOf('x'))).toBe('\ufffdabc');
    const [first, second, third] = bytesOf('€') as [number, number, number];
    expect(written(tokenizer, bytesOf('abc'), [first, second])).toBe('abc');
    expect(written(tokenizer, [third, ...bytesOf('a')], [first, second])).toBe('€a');
    expect(written(tokenizer, [], [first, second])).toBe('');
    expect(written(tokenizer, [first, second], bytesOf('a'))).toBe('\ufffd');
  });
});

test('a byte-order mark among byte tokens is a character', () => {
  const tokenizer = byName('Llama-2');
  const ids = ['<0xEF>', '<0xBB>', '<0xBF>', 'a'].map((token) => tokenizer.tokenId(token)!);
  expect(tokenizer.decode(ids)).toBe('\ufeffa');
  expect(written(tokenizer, ids)).toBe('\ufeffa');
  // What is broken does not take back what is not.
  const broken = ['<0x41>', '<0xC3>', '<0xA9>', '<0xE2>', '<0x42>'].map((token) => tokenizer.tokenId(token)!);
  expect(tokenizer.decode(broken)).toBe('Aé\ufffdB');
});
