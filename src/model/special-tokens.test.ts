import { expect, test } from 'vitest';
import type { JsonObject } from './json-fields.ts';
import { withOlderFiles } from './special-tokens.ts';
import { Tokenizer } from './tokenizer.ts';

const characters = Object.fromEntries(Array.from('abcdefghijklmnopqrstuvwxyz_|<>/', (c, id) => [c, id]));
const END = Object.keys(characters).length;
const json: JsonObject = {
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: 'Fuse' },
  model: { type: 'BPE', vocab: { ...characters, '<s>': END, '</s>': END + 1 }, merges: [] },
};

test('tokens of added_tokens_decoder that tokenizer.json lacks', () => {
  const entry = { content: '<|im_end|>', special: true, normalized: false, lstrip: false, rstrip: false };
  for (const token of [entry, '<|im_end|>']) {
    const config = { eos_token: '<|im_end|>', added_tokens_decoder: { '2500': token } };
    const tokenizer = new Tokenizer(json, config);
    expect(tokenizer.encode('a<|im_end|>b')).toEqual([0, 2500, 1]);
    expect(tokenizer.decode([0, 2500, 1])).toBe('ab');
    expect(tokenizer.decode([0, 2500, 1], { skipSpecialTokens: false })).toBe('a<|im_end|>b');
    expect(tokenizer).toMatchObject({ eosIds: [2500], vocabSize: 2501 });
    expect(tokenizer.tokenBytes.special).toEqual(new Set([2500]));
  }
});

test('it says more of tokens that are there, and no id is given twice', () => {
  const added_tokens = [{ id: 40, content: '<x>', special: false, normalized: false }];
  const decoder = (key: string, value: unknown) => ({ added_tokens_decoder: { [key]: value } });
  const tokenizer = new Tokenizer(
    { ...json, added_tokens },
    decoder('40', { content: '<x>', special: true }),
  );
  expect(tokenizer.isSpecial(40)).toBe(true);
  const wrong = (key: string, value: unknown) => () =>
    new Tokenizer({ ...json, added_tokens }, decoder(key, value));
  expect(wrong('40', { content: '<y>' })).toThrow(/added_tokens_decoder\['40'\] is "<y>", expected .*'<x>'/);
  expect(wrong('3', { content: '<y>' })).toThrow(/'d'/);
  expect(wrong('x', { content: '<y>' })).toThrow(/an id as its name/);
  expect(wrong('50', 5)).toThrow(/added_tokens_decoder\['50'\] is 5, expected a token/);
  expect(wrong('99999999999', { content: '<y>' })).toThrow(/an id from 0 to/);
});

test('special_tokens_map.json and added_tokens.json of older folders', () => {
  const map = { bos_token: '<s>', eos_token: { content: '</s>' }, additional_special_tokens: ['<tool>'] };
  const added = { '<tool>': 60, '<word>': 61 };
  const tokenizer = new Tokenizer(json, withOlderFiles(json, { eos_token: 'z' }, map, added));
  expect(tokenizer).toMatchObject({ bosId: END, eosIds: [END + 1] });
  expect(tokenizer.encode('<s>a<tool><word></s>')).toEqual([END, 0, 60, 61, END + 1]);
  expect(tokenizer.decode([END, 0, 60, 61, END + 1])).toBe('a<word>');
  // A configuration with added_tokens_decoder is of a later time: what it says stays.
  const later = { eos_token: 'z', added_tokens_decoder: {} };
  expect(new Tokenizer(json, withOlderFiles(json, later, map, {}))).toMatchObject({
    bosId: END,
    eosIds: [25],
  });
});

test('tokens of the vocabulary that the configuration names as special', () => {
  const tokenizer = new Tokenizer(json, { eos_token: '</s>', pad_token: '<nothing>' });
  expect(tokenizer.encode('a</s>')).toEqual([0, END + 1]);
  expect(tokenizer.decode([0, END + 1])).toBe('a');
  expect(new Tokenizer(json, {}).encode('</s>')).toHaveLength(4);
});

test('add_bos_token and add_eos_token go before the post-processor', () => {
  const named = { bos_token: '<s>', eos_token: '</s>' };
  const ids = (config: JsonObject) => new Tokenizer(json, { ...named, ...config }).encode('a');
  expect(ids({ add_bos_token: true })).toEqual([END, 0]);
  expect(ids({ add_bos_token: false, add_eos_token: true })).toEqual([0, END + 1]);
  expect(ids({})).toEqual([0]);
});
