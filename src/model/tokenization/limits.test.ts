import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../util/errors.ts';
import type { JsonObject } from '../json-fields.ts';
import { Tokenizer } from '../tokenizer.ts';
import { decoder } from './decoders.ts';
import { createModel } from './models.ts';
import { normalizer } from './normalizers.ts';
import { PairMap } from './pair-map.ts';
import { Pattern } from './pattern.ts';
import { byteToken } from './unigram.ts';

describe('patterns are bounded', () => {
  test.each([
    ['(a+)+$', `${'a'.repeat(34)}b`],
    ['(a|a)*b', 'a'.repeat(40)],
    ['(a|aa)+$', `${'a'.repeat(60)}b`],
    ['(\\w+\\s?)*!', 'word '.repeat(20)],
    ['a*a*a*a*a*a*b', 'a'.repeat(2000)],
    ['(?=(a+)+$)a', `${'a'.repeat(34)}b`],
    ['(?>(a+)+)b', 'a'.repeat(3000)],
    ['(.*)*?x', 'y'.repeat(100)],
  ])('%s', (source, text) => {
    const before = performance.now();
    try {
      const pieces = new Pattern(source).pieces(text);
      expect(pieces.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(/takes too much work on this text|repeats what may be empty/);
    }
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  test('the one that never ends names the pattern', () => {
    expect(() => new Pattern('(a+)+$').pieces(`${'a'.repeat(34)}b`)).toThrow(
      'the tokenizer\'s pattern "(a+)+$" takes too much work on this text',
    );
  });

  test.each([
    ['(', "a ')' is missing"],
    ['a)', "unexpected ')'"],
    ['[a', 'it ends too early'],
    ['*a', "there is nothing that '*' repeats"],
    ['(a)\\1', '\\1 is not supported'],
    ['\\p{Nothing}', "there is no property 'Nothing'"],
    ['(?<=a+)b', 'looks behind for what has no fixed length'],
    ['(?x: a)', "groups that begin with '(?x' are not supported"],
    ['a{1,99999}', 'it repeats 99999 times, at most 1000'],
    ['(?:(?:ab){900}){900}', 'is too large'],
    ['('.repeat(5000), 'nested too deeply'],
    ['['.repeat(5000), 'nested too deeply'],
    ['[z-a]', 'a range in brackets has no order'],
  ])('%.40s is refused', (source, message) => {
    expect(() => new Pattern(source)).toThrow(InputError);
    expect(() => new Pattern(source)).toThrow(message);
  });

  test('any text is a pattern or refused', () => {
    const pieces = fc.constantFrom(
      ...'()[]{}?*+|\\^$.-,=!<>:&pPsdwbaAz1',
      '(?',
      '\\p{L}',
      '[^',
      '{1,3}',
      '(?<=',
      'é',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), fc.string({ unit: 'grapheme' }), (parts, text) => {
        try {
          const found = new Pattern(parts.join('')).pieces(text);
          expect(found.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('as JavaScript finds it, where both have a pattern', () => {
    const patterns = [
      "'s|'t| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      'a*?b|(?:ab?)+|[^a]{2,3}?',
    ];
    for (const source of patterns) {
      const native = new RegExp(source, 'gu');
      const pattern = new Pattern(source);
      const unit = fc.constantFrom(..." \n\tab'st19é½😀.!-");
      fc.assert(
        fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
          const found = pattern.pieces(text).filter(({ match }) => match);
          const spans = [...text.matchAll(native)].map((match) => [
            match.index,
            match.index + match[0].length,
          ]);
          expect(found.map(({ start, end }) => [start, end])).toEqual(spans);
        }),
        { numRuns: 500 },
      );
    }
  });
});

describe('components', () => {
  const bpe = { type: 'BPE', vocab: { a: 0 }, merges: [] };
  const file = (parts: JsonObject): JsonObject => ({ model: bpe, ...parts });
  test.each<[JsonObject, string]>([
    [{ model: {} }, 'model.vocab is missing'],
    [{ model: 5 }, 'model is 5, expected an object'],
    [
      file({ model: { type: 'CharBPE', vocab: {} } }),
      "model.type is 'CharBPE', which is not supported: there are BPE",
    ],
    [
      file({ pre_tokenizer: { type: 'UnicodeScripts' } }),
      "pre_tokenizer is 'UnicodeScripts', which is not supported",
    ],
    [
      file({ pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'X' }] } }),
      "pre_tokenizer[0] is 'X'",
    ],
    [file({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(' } } }), 'cannot be used'],
    [
      file({ pre_tokenizer: { type: 'Split', pattern: { Regex: 'a' }, behavior: 'Odd' } }),
      'pre_tokenizer.behavior is "Odd"',
    ],
    [file({ pre_tokenizer: { type: 'Split', pattern: 5 } }), 'pre_tokenizer.pattern is 5'],
    [
      file({ pre_tokenizer: { type: 'Digits', individual_digits: 'yes' } }),
      'individual_digits is "yes", expected true or false',
    ],
    [file({ normalizer: { type: 'Odd' } }), "normalizer is 'Odd', which is not supported"],
    [file({ normalizer: 'NFC' }), 'normalizer is "NFC", expected an object with a type'],
    [
      file({ normalizer: { type: 'Precompiled', precompiled_charsmap: '////' } }),
      'holds no map of characters',
    ],
    [file({ normalizer: { type: 'Precompiled', precompiled_charsmap: '%' } }), 'no base64'],
    [file({ decoder: { type: 'CTC' } }), "decoder is 'CTC', which is not supported"],
    [file({ post_processor: { type: 'Odd' } }), "post_processor is 'Odd', which is not supported"],
    [file({ post_processor: { type: 'TemplateProcessing', single: [] } }), 'a template with one text'],
    [file({ added_tokens: [{ id: -1, content: 'x' }] }), 'added_tokens[0].id is -1'],
    [file({ added_tokens: {} }), 'added_tokens is {}, expected a list'],
    [
      { model: { ...bpe, vocab: { a: 0, b: 0 } } },
      'model.vocab["b"] is 0, expected an id that no other token has',
    ],
    [{ model: { ...bpe, vocab: { a: 1e12 } } }, 'expected an id from 0 to'],
    [{ model: { ...bpe, vocab: { a: 0, b: 1 }, merges: ['a b'] } }, 'model.merges[0]'],
    [{ model: { ...bpe, dropout: 0.5 } }, 'model.dropout is 0.5'],
    [{ model: { type: 'Unigram', vocab: [['a', 0]], unk_id: 7 } }, 'model.unk_id is 7'],
    [{ model: { type: 'Unigram', vocab: ['a'] } }, 'model.vocab[0] is "a"'],
  ])('%j', (json, message) => {
    expect(() => new Tokenizer(json, {})).toThrow(InputError);
    expect(() => new Tokenizer(json, {})).toThrow(message);
  });

  test('text without a token', () => {
    const unigram = new Tokenizer({ model: { type: 'Unigram', vocab: [['a', 0]] } }, {});
    expect(() => unigram.encode('ab')).toThrow(/no token for "b"/);
    const words = new Tokenizer({ model: { type: 'WordLevel', vocab: { a: 0 }, unk_token: '?' } }, {});
    expect(() => words.encode('b')).toThrow(/model\.unk_token '\?' is not in the vocabulary/);
  });

  test('a long run of what is unknown', () => {
    const vocab = [...Array.from({ length: 256 }, (_, byte) => [byteToken(byte), -9]), ['<unk>', -9]];
    const model = createModel({ type: 'Unigram', vocab, unk_id: 256, byte_fallback: true });
    expect(model.encode('é'.repeat(300_000))).toHaveLength(600_000);
  });

  test('very long words take n log n, in every model', () => {
    const text = 'ab'.repeat(200_000);
    const vocab = { a: 0, b: 1, ab: 2, abab: 3, '?': 4 };
    const models: JsonObject[] = [
      { type: 'BPE', vocab, merges: ['a b', 'ab ab'] },
      {
        type: 'WordPiece',
        vocab,
        unk_token: '?',
        continuing_subword_prefix: '',
        max_input_chars_per_word: 1e9,
      },
      {
        type: 'Unigram',
        vocab: [
          ['a', -3],
          ['b', -3],
          ['ab', -2],
          ['abab', -1],
        ],
        unk_id: 0,
      },
    ];
    for (const model of models) {
      const before = performance.now();
      expect(createModel(model).encode(text)).toEqual(Array(100_000).fill(3));
      expect(performance.now() - before).toBeLessThan(10_000);
    }
  });
});

describe('a text does not grow without bound', () => {
  const replace = (pattern: JsonObject, content: string) => ({ type: 'Replace', pattern, content });
  const doubling = [replace({ String: 'a' }, 'aa'), replace({ Regex: 'a' }, 'aa')];
  const long = 'a'.repeat(200_000);

  test.each(doubling)('normalizers, %j', (one) => {
    const grown = normalizer({ type: 'Sequence', normalizers: Array(40).fill(one) });
    expect(() => grown('a')).toThrow(InputError);
    expect(() => grown('a')).toThrow(
      'normalizer[16] (Replace) makes the text too long, expected at most 64 characters for each that it had, and 100,000',
    );
    expect(() => normalizer({ ...one, content: long })('aaaa')).toThrow('normalizer (Replace)');
    expect(normalizer({ ...one, content: 'b'.repeat(64) })('a'.repeat(9999))).toBe('b'.repeat(64 * 9999));
  });

  test('Prepend', () => {
    expect(() => normalizer({ type: 'Prepend', prepend: long })('a')).toThrow('normalizer (Prepend)');
    const twice = normalizer({
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: 'b' },
        { type: 'Prepend', prepend: long },
      ],
    });
    expect(() => twice('a')).toThrow('normalizer[1] (Prepend)');
  });

  test.each([...doubling, { type: 'Metaspace', replacement: '' }, { type: 'BPEDecoder', suffix: '' }])(
    'decoders, %j',
    (one) => {
      const grown = decoder({ type: 'Sequence', decoders: Array(40).fill(one) });
      expect(() => grown(['aa', 'aa'])).toThrow(InputError);
      expect(() => grown(['aa', 'aa'])).toThrow(`(${one.type}) makes the text too long`);
    },
  );

  test('many tokens count together', () => {
    const grown = decoder(replace({ String: 'a' }, 'a'.repeat(50_000)));
    expect(() => grown(Array(1000).fill('a'))).toThrow('decoder (Replace) makes the text too long');
  });
});

test('byte-pair merges in a heap are those of the plain search', () => {
  const letters = ['a', 'b', 'c'];
  const merge = fc.tuple(fc.nat(60), fc.nat(60));
  fc.assert(
    fc.property(
      fc.array(merge, { maxLength: 12 }),
      fc.string({ unit: fc.constantFrom(...letters), minLength: 40, maxLength: 90 }),
      (choices, word) => {
        const tokens = [...letters];
        const merges: [string, string][] = [];
        for (const [i, j] of choices) {
          const [left, right] = [tokens[i % tokens.length]!, tokens[j % tokens.length]!];
          if (tokens.includes(left + right)) continue;
          tokens.push(left + right);
          merges.push([left, right]);
        }
        const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
        let parts = Array.from(word);
        for (;;) {
          const ranks = parts.map((part, i) =>
            merges.findIndex(([l, r]) => l === part && r === parts[i + 1]),
          );
          const least = Math.min(...ranks.filter((rank) => rank >= 0));
          if (!Number.isFinite(least)) break;
          const at = ranks.indexOf(least);
          parts = [...parts.slice(0, at), parts[at]! + parts[at + 1]!, ...parts.slice(at + 2)];
        }
        const encoded = createModel({ type: 'BPE', vocab, merges }).encode(word);
        expect(encoded.map((id) => tokens[id])).toEqual(parts);
      },
    ),
    { numRuns: 300 },
  );
});

test('pairs of numbers keep their values', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3000), fc.nat(70_000), fc.nat()), { maxLength: 3000 }),
      (entries) => {
        const pairs = new PairMap();
        const plain = new Map<string, number>();
        for (const [a, b, value] of entries) {
          pairs.set(a, b, value);
          plain.set(`${a} ${b}`, value);
        }
        for (const [a, b] of entries) expect(pairs.get(a, b)).toBe(plain.get(`${a} ${b}`));
        expect(pairs.get(3001, 1)).toBeUndefined();
      },
    ),
    { numRuns: 20 },
  );
});
