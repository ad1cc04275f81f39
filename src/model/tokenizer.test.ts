import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer } from './folder.ts';
import { StreamDecoder } from './stream-decoder.ts';
import { Tokenizer } from './tokenizer.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-tokenizer-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A byte-level tokenizer: the 256 bytes, 'th', ' the', and two special tokens. */
function byteTokenizer() {
  const printable = (byte: number) =>
    (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173 ? String.fromCharCode(byte) : null;
  let next = 256;
  const bytes = Array.from({ length: 256 }, (_, byte) => printable(byte) ?? String.fromCharCode(next++));
  const vocab = Object.fromEntries([...bytes, 'th', 'the', 'Ġthe'].map((token, id) => [token, id]));
  const special = (content: string, id: number) => ({ id, content, special: true, normalized: false });
  return {
    added_tokens: [special('<s>', 259), special('</s>', 260)],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [259], tokens: ['<s>'] } },
    },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: ['t h', 'th e', 'Ġ the'] },
  };
}
const CONFIG = { bos_token: '<s>', eos_token: { content: '</s>' }, clean_up_tokenization_spaces: true };
const tokenizer = new Tokenizer(byteTokenizer(), CONFIG);

describe('text and ids', () => {
  test('special tokens are put around a text unless told otherwise', () => {
    expect(tokenizer.encode('the the')).toEqual([259, 257, 258]);
    expect(tokenizer.encode('the the', { addSpecialTokens: false })).toEqual([257, 258]);
    expect(tokenizer.encode('a</s>')).toEqual([259, 97, 260]);
    expect(tokenizer).toMatchObject({ vocabSize: 261, bosId: 259, eosIds: [260] });
    expect(tokenizer.tokenId('</s>')).toBe(260);
    expect(tokenizer.tokenId('nothing')).toBeUndefined();
  });

  test('decoding: special tokens hidden or shown, spaces left alone, padding ids silent', () => {
    const ids = tokenizer.encode('the . thing</s>');
    expect(tokenizer.decode(ids)).toBe('the . thing');
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe('<s>the . thing</s>');
    expect(tokenizer.decode([97, 261, 5000])).toBe('a');
    expect(tokenizer.decode([])).toBe('');
    expect(() => tokenizer.decode([1.5])).toThrow(/token id 1\.5 is no whole number/);
    expect(() => tokenizer.decode([-1])).toThrow(/token id -1/);
  });

  test('every text comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text, { addSpecialTokens: false }))).toBe(text);
      }),
    );
  });

  test('a tokenizer without special tokens', () => {
    const plain = new Tokenizer({ ...byteTokenizer(), added_tokens: [], post_processor: null }, {});
    expect(plain).toMatchObject({ vocabSize: 259, bosId: null, eosIds: [] });
    expect(plain.encode('the')).toEqual([257]);
  });
});

describe('streaming', () => {
  const stream = (ids: number[]) => {
    const decoder = tokenizer.stream();
    return [...ids.map((id) => decoder.push(id)), decoder.flush()];
  };

  test('a character appears with its last byte', () => {
    expect(stream([...Buffer.from('é')])).toEqual(['', 'é', '']);
    expect(stream([97, ...Buffer.from('🙂'), 98])).toEqual(['a', '', '', '', '🙂', 'b', '']);
  });

  test('broken bytes are shown when nothing can complete them', () => {
    expect(stream([0xf0, 0x9f, 97])).toEqual(['', '', '\ufffda', '']);
    expect(stream([97, 0xe2, 0x82])).toEqual(['a', '', '', '\ufffd']);
    expect(stream([0xff, 0xff, 0xff])).toEqual(['\ufffd', '\ufffd', '\ufffd', '']);
    expect(stream([0xe0, 0x80, 0xf0, 0x8f])).toEqual(['', '\ufffd\ufffd', '', '\ufffd\ufffd', '']);
  });

  test('joined, the pieces are the whole text, for any ids', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 262 }), { maxLength: 40 }), (ids) => {
        expect(stream(ids).join('')).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const pieces = stream(tokenizer.encode(text, { addSpecialTokens: false }));
        expect(pieces.join('')).toBe(text);
        expect(pieces.slice(0, -1).every((piece) => !/\p{Surrogate}/u.test(piece))).toBe(true);
      }),
    );
  });

  test('a decoder that drops the first space of a text keeps those within', () => {
    const words = ['', ' a', ' b', ' c'];
    const decoder = new StreamDecoder(
      (ids) =>
        ids
          .map((id) => words[id])
          .join('')
          .replace(/^ /, ''),
      (id) => new TextEncoder().encode(words[id]),
    );
    expect([1, 2, 0, 3].map((id) => decoder.push(id))).toEqual(['a', ' b', '', ' c']);
  });
});

describe('folders', () => {
  const folderWith = (name: string, files: Record<string, unknown>) => {
    const folder = join(dir, name);
    mkdirSync(folder);
    for (const [file, content] of Object.entries(files)) {
      writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
    }
    return folder;
  };
  const files = { 'tokenizer.json': byteTokenizer(), 'tokenizer_config.json': CONFIG };
  const template =
    "{% for m in messages %}{{ bos_token + m['role'] + ': ' + m.content + eos_token }}{% endfor %}" +
    '{% if add_generation_prompt %}go{% endif %}';
  const messages = [{ role: 'user', content: 'hi' }];

  test('loads, and compares its size with the model', () => {
    expect(loadTokenizer(folderWith('plain', files)).encode('the')).toEqual([259, 257]);
    expect(
      loadTokenizer(folderWith('padded', { ...files, 'config.json': { vocab_size: 300 } })).vocabSize,
    ).toBe(261);
    const small = folderWith('small', { ...files, 'config.json': { vocab_size: 260 } });
    expect(() => loadTokenizer(small)).toThrow(
      /small\/tokenizer\.json has token ids up to 260, but the model's vocabulary has 260 entries/,
    );
    expect(() => loadTokenizer(join(dir, 'plain'), { modelVocabSize: 10 })).toThrow(/has 10 entries/);
  });

  test('missing and broken files', () => {
    expect(() => loadTokenizer(dir)).toThrow(/has no tokenizer\.json/);
    const broken = folderWith('broken', { 'tokenizer.json': { model: {} } });
    expect(() => loadTokenizer(broken)).toThrow(/broken\/tokenizer\.json is no tokenizer that can be used/);
    const odd = folderWith('odd', { ...files, 'tokenizer_config.json': { chat_template: 5 } });
    expect(() => loadTokenizer(odd)).toThrow(/odd\/tokenizer_config\.json: chat_template is neither/);
  });

  test('chat template: from tokenizer_config.json, a file of its own, a named list', () => {
    const inConfig = folderWith('in-config', {
      ...files,
      'tokenizer_config.json': { ...CONFIG, chat_template: template },
    });
    const loaded = loadTokenizer(inConfig);
    expect(loaded.hasChatTemplate).toBe(true);
    expect(loaded.applyChatTemplate(messages)).toBe('<s>user: hi</s>');
    expect(loaded.applyChatTemplate(messages, { addGenerationPrompt: true })).toBe('<s>user: hi</s>go');

    writeFileSync(join(inConfig, 'chat_template.jinja'), 'file');
    expect(loadTokenizer(inConfig).applyChatTemplate(messages)).toBe('file');

    const list = [
      { name: 'default', template: 'plain' },
      { name: 'tool_use', template: '{{ tools[0].name }}' },
    ];
    const named = loadTokenizer(
      folderWith('named', { ...files, 'tokenizer_config.json': { ...CONFIG, chat_template: list } }),
    );
    expect(named.applyChatTemplate(messages)).toBe('plain');
    expect(named.applyChatTemplate(messages, { tools: [{ name: 'look_up' }] })).toBe('look_up');
  });

  test('what a template refuses, and no template', () => {
    expect(tokenizer.hasChatTemplate).toBe(false);
    expect(() => tokenizer.applyChatTemplate(messages)).toThrow(/has no chat template/);
    const strict = new Tokenizer(
      byteTokenizer(),
      {},
      new Map([['default', "{{ raise_exception('no system') }}"]]),
    );
    expect(() => strict.applyChatTemplate(messages)).toThrow(/refuses the messages: no system/);
  });
});
