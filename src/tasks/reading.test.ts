import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadTokenizer } from '../model/folder.ts';
import { Tokenizer } from '../model/tokenizer.ts';
import { namedTask } from './named-task.ts';
import { readingOf } from './reading.ts';

/** Words a and b, with a token that begins and one that ends texts. */
function tokenizer(config: object, post?: object): Tokenizer {
  const added = ['<s>', '</s>'].map((content, id) => ({
    ...{ id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
  }));
  return new Tokenizer(
    {
      ...{ version: '1.0', added_tokens: added, normalizer: null, pre_tokenizer: null, decoder: null },
      post_processor: post ?? null,
      model: { type: 'BPE', vocab: { '<s>': 0, '</s>': 1, a: 2, b: 3 }, merges: [] },
    } as never,
    config as never,
  );
}

test('texts begin with the token that the tokenizer puts in front of them, once', () => {
  const { encode, prefix } = readingOf(
    tokenizer({ bos_token: '<s>', eos_token: '</s>', add_bos_token: true }),
  );
  expect(encode('ab')).toEqual([0, 2, 3]);
  expect(encode('<s>ab')).toEqual([0, 2, 3]);
  expect(prefix).toBe(0);
});

test('generated tasks are read so too', async () => {
  const begins = tokenizer({ bos_token: '<s>', eos_token: '</s>', add_bos_token: true });
  const { reading } = await namedTask('needle@4096', begins, { contextLength: 8192 });
  expect(reading).toMatchObject({ contextLength: 8192, prefix: 0 });
  expect((reading as ReturnType<typeof readingOf>).encode('ab')).toEqual([0, 2, 3]);
});

test('a token behind a text is none of it: what is asked follows', () => {
  const config = { bos_token: '<s>', eos_token: '</s>', add_bos_token: true, add_eos_token: true };
  expect(readingOf(tokenizer(config)).encode('a')).toEqual([0, 2]);
});

test('without a token in front, whole texts come behind the one that begins or ends texts', () => {
  expect(readingOf(tokenizer({ eos_token: '</s>' }), 8)).toMatchObject({ prefix: 1, contextLength: 8 });
  const { encode, prefix } = readingOf(tokenizer({ bos_token: '<s>', eos_token: '</s>' }));
  expect([encode('a'), prefix]).toEqual([[2], 0]);
  expect(readingOf(tokenizer({})).prefix).toBeUndefined();
});

const base = fileURLToPath(new URL('../../models/base', import.meta.url));

test("the embedded model's", () => {
  const own = loadTokenizer(base);
  expect(readingOf(own).encode('one two')).toEqual(own.encode('one two'));
});
