import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { corpusFolder, jsonLines } from '../../../test/support/corpus-files.ts';
import { tinyTokenizerFiles } from '../../../test/support/tiny-tokenizer.ts';
import { loadTokenizer } from '../../model/folder.ts';
import { textBatches } from '../../train/batches.ts';
import { Random } from '../../util/random.ts';
import { type CorpusSettings, openCorpus, trainingText } from './corpus.ts';

let folder: ReturnType<typeof corpusFolder>;
const at = (name: string) => folder.at(name);

beforeAll(() => {
  folder = corpusFolder();
  mkdirSync(at('work'));
});
afterAll(() => folder.remove());
beforeEach(() => {
  rmSync(at('work'), { recursive: true });
  mkdirSync(at('work'));
});

/** Writes files below work/ and gives their paths. */
const files = (contents: Record<string, string | Uint8Array>) =>
  folder.write(
    Object.fromEntries(Object.entries(contents).map(([name, content]) => [`work/${name}`, content])),
  );

const opened = (given: string | readonly string[], more: Omit<CorpusSettings, 'files'> = {}) =>
  folder.open(given, more);

async function textIn(given: string | readonly string[], more: Omit<CorpusSettings, 'files'> = {}) {
  const text = trainingText(await opened(given, more));
  const whole = text.slice(0, text.length);
  expect(whole).toHaveLength(text.length);
  return whole;
}

/** Text of all widths in UTF-8, in paragraphs of several lengths. */
function manyWords(paragraphs: number, seed = 1): string {
  const random = new Random(seed);
  const words = ['a', 'the', 'naïve', 'café', '日本語', '😀', 'word', 'x'.repeat(90)];
  return Array.from({ length: paragraphs }, (_, i) =>
    [`${i}`, ...Array.from({ length: 1 + random.below(120) }, () => random.pick(words))].join(' '),
  ).join('\n\n');
}

const codes = (text: string) => Array.from(text, (letter) => letter.codePointAt(0)!);

describe('plain text', () => {
  test('a single file gives the very rows that its text gives as a string', async () => {
    const text = `${manyWords(4000)}\r\nthe end`;
    expect(text.length).toBeGreaterThan(1e6);
    const [path = ''] = files({ 'a.txt': text });
    const read = trainingText(await opened(path));
    const rows = (of: Parameters<typeof textBatches>[0]) => {
      const out = new Int32Array(200 * 16);
      textBatches(of, codes).fill(out, 16, new Random(5));
      return out;
    };
    expect(rows({ ...read, identity: '' })).toEqual(rows(text));
  });

  test('any part of it is the same as of the string, wherever characters, pieces and files are cut', async () => {
    const text = manyWords(900);
    const [path = ''] = files({ 'a.txt': text });
    const read = trainingText(await opened(path));
    expect(read).toHaveLength(text.length);
    const random = new Random(3);
    for (let i = 0; i < 300; i++) {
      const start = random.below(text.length + 10);
      const end = start + random.below(i % 10 === 0 ? 200_000 : 300);
      expect(read.slice(start, end)).toBe(text.slice(start, end));
    }
  });

  test.each([
    ['nothing', '', ''],
    ['one character', '😀', '😀'],
    ['no newline at the end', 'a\nb', 'a\nb'],
    ['CRLF', 'a\r\n\r\nb\r\n', 'a\r\n\r\nb\r\n'],
    ['a byte order mark', '\ufeffa \ufeffb', 'a \ufeffb'],
    ['a line of three million characters', 'é'.repeat(3e6), 'é'.repeat(3e6)],
    ['a null character', 'a\0b', 'a\0b'],
  ])('%s', async (_, content, expected) => {
    const paths = files({ 'a.txt': content });
    expect((await textIn(paths)) === expected).toBe(true);
  });

  test('a byte order mark makes no other corpus', async () => {
    const [a = '', b = ''] = files({ 'a.txt': 'the text', 'b.txt': '\ufeffthe text' });
    expect((await opened(a)).identity).toBe((await opened(b)).identity);
  });

  test.each<[string, Buffer, string]>([
    ['Latin-1', Buffer.from('caf\xe9 ', 'latin1'), 'the byte at 3 is no UTF-8; expected text in UTF-8'],
    ['UTF-16', Buffer.from('\ufeffab', 'utf16le'), 'the byte at 0 is no UTF-8 (it looks like UTF-16)'],
    ['a cut character', Buffer.from('ab😀').subarray(0, 4), 'the byte at 2 is no UTF-8'],
    [
      'a wrong byte far behind',
      Buffer.concat([Buffer.from('é'.repeat(100_000)), Buffer.from([0xff])]),
      'the byte at 200000 is no UTF-8',
    ],
  ])('%s is refused', async (_, content, message) => {
    const [path = ''] = files({ 'a.txt': content });
    await expect(opened(path)).rejects.toThrow(`${path}: ${message}`);
  });
});

describe('records', () => {
  test('a text ends with the token that ends texts; a conversation is what the chat template makes of it', async () => {
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Ho' },
    ];
    const shared = [
      { from: 'human', value: 'Hi' },
      { from: 'gpt', value: 'Ho' },
    ];
    const paths = files({ 'a.jsonl': jsonLines([{ text: 'one' }, { messages }, { conversations: shared }]) });
    expect(await textIn(paths)).toBe('one</s>user Hiassistant Ho'.concat('user Hiassistant Ho'));
  });

  test.each<[string, string]>([
    ['lines without one at the end', '{"text":"one"}\n{"text":"two"}'],
    ['empty lines, CRLF and a byte order mark', '\ufeff{"text":"one"}\r\n\r\n  \n{"text":"two"}\r\n'],
    ['records without text', '{"text":null}\n{"text":"one"}\n{"text":"  "}\n{"text":"two","x":1}\n'],
  ])('%s', async (_, content) => {
    expect(await textIn(files({ 'a.jsonl': content }))).toBe('one</s>two</s>');
  });

  test('other fields, other endings', async () => {
    const list = [{ body: 'one' }, { body: 'two' }];
    const lines = jsonLines(list);
    for (const [name, content] of Object.entries<string | Uint8Array>({
      'a.jsonl': lines,
      'a.ndjson': lines,
      'a.json': JSON.stringify(list, null, 2),
      'lines.json': lines,
      'a.jsonl.gz': gzipSync(lines),
      'a.json.gz': gzipSync(JSON.stringify(list)),
    })) {
      expect(await textIn(files({ [name]: content }), { field: 'body' })).toBe('one</s>two</s>');
    }
    expect(await textIn(files({ 'a.txt.gz': gzipSync('plain') }))).toBe('plain');
  });

  test('any part of the text is found, and every record is in it once', async () => {
    const texts = Array.from({ length: 3000 }, (_, i) => `${i} ${manyWords(1, i)}`);
    const whole = texts.map((text) => `${text}</s>`).join('');
    const read = trainingText(await opened(files({ 'a.jsonl': jsonLines(texts.map((text) => ({ text }))) })));
    expect(read.length).toBe(whole.length);
    const random = new Random(3);
    for (let i = 0; i < 200; i++) {
      const start = random.below(whole.length);
      expect(read.slice(start, start + 999)).toBe(whole.slice(start, start + 999));
    }
  });

  test.each<[string, string, string]>([
    [
      'broken JSON',
      '{"text":"a"}\n\n{"text":',
      ':3: Unexpected end of JSON input; expected an object in JSON on each line',
    ],
    [
      'broken JSON before others',
      '{"text":a}\n{"text":"b"}',
      `:1: Unexpected token 'a', "{"text":a}" is not valid`,
    ],
    ['a list', '["a"]', ':1: it is a list; expected an object with a text in one of its fields'],
    ['a string', '"a"', ':1: it is a string; expected an object'],
    [
      'no such field',
      '{"text":"a"}\n{"body":"b","id":3}',
      ":2 has no field 'text', 'messages', 'conversations': its fields are body, id; name the one with the text by --field",
    ],
    ['no fields', '{}', ":1 has no field 'text', 'messages', 'conversations': it has none;"],
    ['a number', '{"text":3}', ":1: the field 'text' is a number; expected a text, or a conversation"],
    [
      'a text for a message',
      '{"messages":["a"]}',
      ':1: messages[0] is a string; expected { role, content } or',
    ],
    ['no role', '{"messages":[{"content":"a"}]}', ':1: messages[0] has no role: its fields are content;'],
    [
      'parts',
      '{"messages":[{"role":"user","content":[{"type":"text"}]}]}',
      ':1: messages[0]: the content is a list; expected a text',
    ],
    [
      'no content',
      '{"messages":[{"role":"user"}]}',
      ':1: messages[0]: the content is missing; expected a text',
    ],
    [
      'tools',
      '{"messages":[{"role":"user","content":"a"}],"tools":"x"}',
      ":1: messages: the field 'tools' beside it",
    ],
  ])('%s is refused', async (_, content, message) => {
    const [path = ''] = files({ 'a.jsonl': content });
    await expect(opened(path)).rejects.toThrow(`${path}${message}`);
  });

  test('a field that is named must be there', async () => {
    const [path = ''] = files({ 'a.jsonl': '{"text":"a"}' });
    await expect(opened(path, { field: 'body' })).rejects.toThrow(
      `${path}:1 has no field 'body': its fields are text; name the one with the text by --field`,
    );
  });

  test('a model without a chat template, and a template that refuses', async () => {
    const paths = files({ 'a.jsonl': '{"messages":[{"role":"user","content":"a"}]}' });
    const { 'chat_template.jinja': _, ...without } = tinyTokenizerFiles;
    mkdirSync(at('work/model'));
    const save = (more: object) => {
      for (const [name, text] of Object.entries({ ...without, ...more })) {
        writeFileSync(at(`work/model/${name}`), text as string);
      }
      return openCorpus(loadTokenizer(at('work/model')), { files: paths });
    };
    await expect(save({})).rejects.toThrow(`${paths[0]}:1: messages: the tokenizer has no chat template`);
    await expect(save({ 'chat_template.jinja': "{{ raise_exception('No.') }}" })).rejects.toThrow(
      `${paths[0]}:1: messages: the chat template refuses the messages: No.`,
    );
    // What a template says depends on the special tokens too.
    const identities = new Set<string>();
    for (const bos of ['<s>', '<unk>']) {
      const { identity } = await save({
        'chat_template.jinja': '{{ bos_token }}',
        'tokenizer_config.json': JSON.stringify({ bos_token: bos, eos_token: '</s>' }),
      });
      identities.add(identity);
    }
    expect(identities.size).toBe(2);
    // The date is no part of it.
    const dated = trainingText(await save({ 'chat_template.jinja': "{{ strftime_now('%Y-%m-%d') }}" }));
    expect(dated.slice(0, 99)).toBe('2024-07-26');
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ['a.json', '[{"text":"a"},', /JSON.*; expected a list of records in JSON/],
    ['a.json', '3', /expected a list of records in JSON/],
    ['a.jsonl.gz', 'no gzip', /incorrect header check; expected a file packed by gzip/],
    [
      'a.txt.gz',
      gzipSync('a text').subarray(0, 15),
      /unexpected end of file; expected a file packed by gzip/,
    ],
    ['a.parquet', 'no parquet', /expected a Parquet file/],
    ['a.txt.zst', 'x', /\.zst is not supported; expected \.txt, \.jsonl/],
    ['a.parquet.gz', 'x', /a \.parquet file is compressed inside; unpack it/],
  ])('a broken %s is refused by its name', async (name, content, message) => {
    const [path = ''] = files({ [name]: content });
    await expect(opened(path)).rejects.toThrow(path);
    await expect(opened(path)).rejects.toThrow(message);
    expect(
      existsSync(at('cache')) ? readdirSync(at('cache/postnas/texts')).filter((n) => /-\d+-/.test(n)) : [],
    ).toEqual([]);
  });
});

describe('several files', () => {
  const three = { 'b.txt': 'two', 'a.txt': 'one', 'sub/c.jsonl': '{"text":"three"}\n' };

  test('are one text, whatever the order, the names and the places', async () => {
    files(three);
    const whole = await textIn(at('work'));
    expect(whole.split('</s>').filter(Boolean).sort()).toEqual(['one', 'three', 'two']);
    const { identity } = await opened(at('work'));
    for (const given of [
      [at('work/a.txt'), at('work/sub'), at('work/b.txt')],
      [at('work/**/*.{txt,jsonl}')],
      [at('work/?.txt'), at('work/sub/[a-c].jsonl')],
      [at('work/*.txt'), at('work/a.txt'), at('work/sub/../sub/c.jsonl')],
    ]) {
      expect(await textIn(given)).toBe(whole);
      expect((await opened(given)).identity).toBe(identity);
    }
    cpSync(at('work'), at('elsewhere'), { recursive: true });
    cpSync(at('elsewhere'), at('work/elsewhere'), { recursive: true });
    symlinkSync(at('work/a.txt'), at('work/link.txt'));
    // Copies of a text are not trained on twice.
    expect(await textIn(at('work'))).toBe(whole);
    expect((await opened(at('work/elsewhere'))).identity).toBe(identity);
  });

  test('a change of any of them makes another corpus, as do the field and the share', async () => {
    files(three);
    const of = async (more = {}) => (await opened(at('work'), more)).identity;
    const identities = [
      await of(),
      await of({ field: 'text' }),
      await of({ share: 0.5 }),
      await of({ share: 0.4 }),
    ];
    for (const [name, content] of Object.entries({ 'b.txt': 'twp', 'sub/c.jsonl': '{"text":"thref"}\n' })) {
      const { mtime, atime } = statSync(at(`work/${name}`));
      files({ [name]: content });
      // Small files are read, whatever their time.
      utimesSync(at(`work/${name}`), atime, mtime);
      identities.push(await of());
    }
    expect(new Set(identities).size).toBe(identities.length);
  });

  test('each is drawn in proportion to its size', async () => {
    const [small = '', large = ''] = files({
      'a.txt': 'a '.repeat(20_000),
      'b.jsonl': jsonLines(Array.from({ length: 600 }, () => ({ text: 'b '.repeat(100) }))),
    });
    const corpus = await opened([small, large]);
    const out = new Int32Array(1500 * 8);
    const text = { ...trainingText(corpus), identity: '' };
    textBatches(text, (part) => codes(part.replaceAll('</s>', '').replaceAll(' ', ''))).fill(
      out,
      8,
      new Random(1),
    );
    const share = out.filter((code) => code === 'a'.charCodeAt(0)).length / out.length;
    // A quarter; the standard deviation is 0.011.
    expect(share).toBeGreaterThan(0.21);
    expect(share).toBeLessThan(0.29);
  });

  test('what the generator draws is all that rows depend on', async () => {
    files({ 'a.txt': manyWords(200), 'b.jsonl': jsonLines([{ text: manyWords(100, 2) }]) });
    const batches = async () =>
      textBatches({ ...trainingText(await opened(at('work'))), identity: '' }, codes);
    const random = new Random(9);
    const [first, second] = [new Int32Array(64), new Int32Array(64)];
    const data = await batches();
    data.fill(first, 16, random);
    const { state } = random;
    const kept: typeof state = [...state];
    data.fill(first, 16, random);
    const resumed = new Random(0);
    resumed.state = kept;
    (await batches()).fill(second, 16, resumed);
    expect(second).toEqual(first);
  });

  test.each<[string, string, RegExp]>([
    ['nothing there', 'no-file.txt', /no-file\.txt: no such file or folder/],
    ['no match', '*.jsonl', /\*\.jsonl: no file matches it/],
    ['a range that ends before it begins', 'a[z-a].txt', /a\[z-a\]\.txt is no pattern of names/],
    ['a folder without texts', 'empty', /empty: it has no texts; expected files with \.txt/],
  ])('%s is refused', async (_, name, message) => {
    mkdirSync(at('work/empty/below'), { recursive: true });
    writeFileSync(at('work/empty/below/a.png'), '');
    await expect(opened(at(`work/${name}`))).rejects.toThrow(message);
  });

  test('a folder with a text that is packed otherwise is refused, other files are left out', async () => {
    files({ 'a.txt': 'text', 'README.md': 'about it', '.hidden.txt': 'hidden' });
    expect(await textIn(at('work'))).toBe('text');
    files({ 'b.jsonl.zst': '' });
    await expect(opened(at('work'))).rejects.toThrow(`${at('work/b.jsonl.zst')}: .zst is not supported`);
  });

  test('links that lead back to a folder above them are left out', async () => {
    files({ 'a.txt': 'text' });
    mkdirSync(at('work/below'));
    for (const name of ['one', 'two', 'below/three']) symlinkSync(at('work'), at(`work/${name}`), 'junction');
    expect(await textIn(at('work'))).toBe('text');
    expect(await textIn(at('work/**/*.txt'))).toBe('text');
  });

  test('a name with the signs of a glob is a name, if there is such a file', async () => {
    const paths = files({ 'a[1].txt': 'brackets', 'a1.txt': 'another' });
    expect(await textIn(paths[0]!)).toBe('brackets');
  });
});

test.skipIf(process.platform === 'win32')(
  'a pipe is read once, however often it is asked for (needs POSIX)',
  async () => {
    const pipe = at('work/pipe');
    execFileSync('sh', ['-c', `mkfifo '${pipe}'`]);
    const writer = spawn('sh', ['-c', `printf 'text from a pipe' > '${pipe}'`]);
    expect(await textIn(pipe)).toBe('text from a pipe');
    expect(await textIn(pipe)).toBe('text from a pipe');
    await new Promise((resolve) => (writer.exitCode === null ? writer.on('exit', resolve) : resolve(null)));
  },
);

test('reading ends when it is to be ended', async () => {
  const reason = new Error('no more');
  files({ 'a.jsonl.gz': gzipSync('{"text":"a"}'), 'b.txt': 'word '.repeat(3e6) });
  const signal = AbortSignal.abort(reason);
  for (const name of ['a.jsonl.gz', 'b.txt']) {
    await expect(opened(at(`work/${name}`), { signal })).rejects.toBe(reason);
  }
});

test('where texts cannot be unpacked, it is said where that was tried', async () => {
  const [path = ''] = files({ 'a.jsonl.gz': gzipSync('{"text":"unpacked nowhere"}') });
  vi.stubEnv('XDG_CACHE_HOME', path);
  await expect(opened(path)).rejects.toThrow(
    `cannot unpack ${path} to ${path}/postnas/texts: a part of the path is a file, a folder is expected there; ` +
      'XDG_CACHE_HOME names another cache folder',
  );
  vi.stubEnv('XDG_CACHE_HOME', at('cache'));
});

describe('a file that changes', () => {
  test.each<[string, () => void, RegExp]>([
    ['longer', () => appendFileSync(at('work/a.txt'), 'more'), /it had 8000 bytes and has 8004/],
    ['rewritten', () => utimesSync(at('work/a.txt'), 1, 1), /it was written to/],
    ['gone', () => rmSync(at('work/a.txt')), /a\.txt: no such file or folder/],
  ])('%s', async (_, change, message) => {
    const [path = ''] = files({ 'a.txt': 'word '.repeat(1600) });
    const text = trainingText(await opened(path));
    expect(text.slice(5, 9)).toBe('word');
    change();
    expect(() => text.slice(5, 9)).toThrow(message);
    expect(() => text.slice(5, 9)).toThrow(path);
  });
});

describe('large files', () => {
  test('are read in bounded memory, and what is known of them is kept by size and time', async () => {
    const path = at('work/large.txt');
    const part = 'Some words of a large text, in a line.\n'.repeat(26_000);
    for (let i = 0; i < 150; i++) appendFileSync(path, part);
    const { size, atime, mtime } = statSync(path);
    expect(size).toBeGreaterThan(1.4e8);
    const before = process.memoryUsage().rss;
    let most = 0;
    const onProgress = vi.fn(() => {
      most = Math.max(most, process.memoryUsage().rss - before);
    });
    const { identity } = await opened(path, { onProgress });
    expect(onProgress.mock.calls.length).toBeGreaterThan(10);
    expect(most).toBeLessThan(1e8);
    const told = vi.fn();
    expect((await opened(path, { onProgress: told })).identity).toBe(identity);
    expect(told).not.toHaveBeenCalled();
    // Where nothing can be kept, nothing is lost but time.
    vi.stubEnv('XDG_CACHE_HOME', path);
    expect((await opened(path)).identity).toBe(identity);
    vi.stubEnv('XDG_CACHE_HOME', at('cache'));
    // Nanoseconds make the difference.
    utimesSync(path, atime, new Date(mtime.getTime() + 1));
    expect((await opened(path, { onProgress: told })).identity).toBe(identity);
    expect(told).toHaveBeenCalled();
  }, 60_000);
});
