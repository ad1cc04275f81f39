import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVERY_MIXER } from '../../test/support/every-mixer.ts';
import { openCheckpoint, openConfig } from './checkpoint.ts';
import { configFromHf } from './hf-config.ts';
import { Llama2cFile } from './import/llama2c.ts';
import type { JsonObject } from './json-fields.ts';
import { mixerToJson } from './mixer-json.ts';
import { initCheckpoint } from './random-checkpoint.ts';
import { SafetensorsFile } from './safetensors.ts';

/** Files that no one would write but to see what happens: each is refused by name, at once. */

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-hostile-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const CONFIG = {
  model_type: 'llama',
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
};

/** Throws an InputError that names `what`, within a second. */
function refused(action: () => unknown, what: RegExp | string): void {
  const started = performance.now();
  expect(action).toThrow(expect.objectContaining({ name: 'InputError' }));
  expect(action).toThrow(what);
  expect(performance.now() - started).toBeLessThan(1000);
}

describe('config.json', () => {
  const numbers = [1e9, 1e12, 2 ** 53, 1e308, -1, 0, 1.5, '64', [], {}, true];
  const names = [
    'num_hidden_layers',
    'hidden_size',
    'intermediate_size',
    'vocab_size',
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
  ];
  test.each(names.flatMap((name) => numbers.map((value) => [name, value] as const)))(
    '%s: %j',
    (name, value) => {
      refused(() => configFromHf('config.json', { ...CONFIG, [name]: value }), 'config.json');
    },
  );

  test('the largest numbers that are taken by themselves are too large together', () => {
    const sizes = { vocab_size: 2 ** 31 - 1, hidden_size: 2 ** 31 - 8, intermediate_size: 2 ** 31 - 1 };
    refused(
      () => configFromHf('c', { ...CONFIG, ...sizes }),
      /tensor 'model\.embed_tokens\.weight' would be \[2147483647,2147483640\], expected at most 4294967296 values/,
    );
    refused(
      () => configFromHf('c', { ...CONFIG, num_hidden_layers: 4097 }),
      /num_hidden_layers is 4097.*at most 4096/,
    );
    refused(
      () => configFromHf('c', { ...CONFIG, max_position_embeddings: 1e15 }),
      /max_position_embeddings is/,
    );
    refused(() => configFromHf('c', { ...CONFIG, eos_token_id: [2 ** 40] }), /eos_token_id is/);
  });

  test.each(Object.entries(EVERY_MIXER))('every size of a %s mixer', (_, spec) => {
    const json = mixerToJson(spec);
    const base = { ...CONFIG, model_type: 'postnas', num_hidden_layers: 1 };
    const read = (layer: JsonObject) => () => configFromHf('c', { ...base, layers: [layer] });
    expect(read(json)).not.toThrow();
    for (const [name, value] of Object.entries(json)) {
      if (typeof value !== 'number' || name === 'window') continue;
      // No sinks are sinks of null.
      for (const absurd of [2 ** 31, 1e300, -1, 0.5, '8', ...(name === 'sinks' ? [] : [null])])
        refused(read({ ...json, [name]: absurd }), name);
      const started = performance.now();
      try {
        read({ ...json, [name]: 2 ** 31 - 1 })();
      } catch (error) {
        expect(error).toMatchObject({ name: 'InputError' });
      }
      expect(performance.now() - started).toBeLessThan(1000);
    }
  });

  test('heads that see all tokens: some, but not all, of those there are', () => {
    const spec = { kind: 'head_attention', full_heads: [0], window: 8 };
    const read = (heads: unknown) => () =>
      configFromHf('c', {
        ...CONFIG,
        model_type: 'postnas',
        num_hidden_layers: 1,
        layers: [{ ...spec, full_heads: heads }],
      });
    expect(read([0])).not.toThrow();
    for (const heads of [[], [0, 0], [1, 0], [-1], [0.5], ['0'], [1000], 0, null, [0, 1, 2, 3, 4, 5, 6, 7]]) {
      refused(read(heads), /full_heads/);
    }
  });

  test.each<[string, string, RegExp]>([
    ['lists 100,000 deep', `{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`, /is nested deeper than 128 levels/],
    ['objects 100,000 deep', `{"a":${'{"a":'.repeat(1e5)}1${'}'.repeat(1e5)}}`, /is nested deeper than 128/],
    ['not closed, 10 million deep', '['.repeat(1e7), /is nested deeper than 128/],
    ['a list', '[1]', /holds no JSON object/],
    ['null', 'null', /holds no JSON object/],
    ['nothing', '', /is not JSON/],
    ['cut off', JSON.stringify(CONFIG).slice(0, -3), /is not JSON/],
    [
      'a long string where a number is expected',
      JSON.stringify({ ...CONFIG, vocab_size: 'x'.repeat(1e6) }),
      /vocab_size is "x{50,200}\.\.\., expected/,
    ],
    [
      'a deep value where a number is expected',
      JSON.stringify({ ...CONFIG, vocab_size: JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`) }),
      /vocab_size is \[/,
    ],
    ['NaN', '{"model_type": "llama", "vocab_size": NaN}', /is not JSON/],
    ['1e999', JSON.stringify(CONFIG).replace('100', '1e999'), /vocab_size is null, expected|vocab_size is/],
    [
      '__proto__ as model_type',
      JSON.stringify({ ...CONFIG, model_type: '__proto__' }),
      /model_type '__proto__' is not supported/,
    ],
    [
      'constructor as model_type',
      JSON.stringify({ ...CONFIG, model_type: 'constructor' }),
      /model_type 'constructor' is not/,
    ],
  ])('%s', (_, text, message) => {
    const path = join(dir, 'config.json');
    writeFileSync(path, text);
    refused(() => openConfig(path), message);
  });

  test('keys of prototypes change nothing', () => {
    const path = join(dir, 'config.json');
    const text = JSON.stringify(CONFIG).replace('{', '{"__proto__": {"head_dim": 8, "polluted": 1}, ');
    writeFileSync(path, text.replace('}', ', "constructor": {"prototype": {"polluted": 1}}}'));
    expect(openConfig(path).headDim).toBe(16);
    expect(({} as JsonObject).polluted).toBeUndefined();
  });

  test('brackets in strings are no nesting', () => {
    const path = join(dir, 'config.json');
    writeFileSync(path, JSON.stringify({ ...CONFIG, note: `${'[{"\\'.repeat(500)}` }));
    expect(openConfig(path).vocabSize).toBe(100);
  });

  test.skipIf(process.platform === 'win32')(
    'no file: a folder, a device, a pipe, what is not UTF-8 (needs POSIX)',
    () => {
      const folder = join(dir, 'devices');
      mkdirSync(folder);
      const path = join(folder, 'config.json');
      symlinkSync('/dev/zero', path);
      refused(() => openCheckpoint(folder), /it is a pipe or a device, a file is expected/);
      rmSync(path);
      execFileSync('sh', ['-c', 'mkfifo "$0"', path]);
      refused(() => openCheckpoint(folder), /it is a pipe or a device, a file is expected/);
      rmSync(path);
      mkdirSync(path);
      refused(() => openCheckpoint(folder), /it is a folder/);
      rmSync(path, { recursive: true });
      writeFileSync(path, Buffer.from([0x7b, 0xff, 0xfe, 0x7d]));
      refused(() => openCheckpoint(folder), /is no text in UTF-8/);
    },
  );
});

describe('init', () => {
  const make = (config: JsonObject, name = 'made') => {
    const path = join(dir, 'init.json');
    writeFileSync(path, JSON.stringify({ ...CONFIG, ...config }));
    return initCheckpoint(join(dir, name), path);
  };

  test('absurd sizes, and more than the disk holds', async () => {
    await expect(make({ num_hidden_layers: 1e9 })).rejects.toThrow(/num_hidden_layers is 1000000000/);
    const large = { num_hidden_layers: 4096, hidden_size: 65_536, intermediate_size: 65_536 };
    await expect(make(large)).rejects.toThrow(/the weights take .* GB, and the disk of .* has .* GB left/);
  });

  test('another configuration that is in the folder stays', async () => {
    const folder = join(dir, 'other');
    mkdirSync(folder);
    writeFileSync(join(folder, 'config.json'), '{}');
    await expect(make({}, 'other')).rejects.toThrow(/other has another config\.json in it/);
  });
});

describe('safetensors', () => {
  const file = (header: unknown, bytes = 8, length?: bigint) => {
    const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(length ?? BigInt(text.length));
    return () => {
      const path = join(dir, 'x.safetensors');
      writeFileSync(path, Buffer.concat([head, text, Buffer.alloc(bytes)]));
      return new SafetensorsFile(path);
    };
  };
  const entry = (begin: number, end: number, more: JsonObject = {}) => ({
    dtype: 'U8',
    shape: [end - begin],
    data_offsets: [begin, end],
    ...more,
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'a header of 2^63 bytes',
      file({}, 8, 2n ** 63n),
      /header length 9223372036854775808 is beyond the file/,
    ],
    ['a header of 100 MB and more', file({}, 8, 100_000_001n), /header length 100000001 is beyond/],
    [
      'a header nested 100,000 deep',
      file(`{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`),
      /nested deeper than 128/,
    ],
    [
      'overlapping tensors',
      file({ a: entry(0, 5), b: entry(4, 8) }),
      /'b' begins at byte .* and overlaps tensor 'a'/,
    ],
    ['the same bytes twice', file({ a: entry(0, 8), b: entry(0, 8) }), /overlaps tensor/],
    [
      'a hole',
      file({ a: entry(0, 4), b: entry(6, 8) }),
      /2 bytes between tensor 'a' and tensor 'b' belong to nothing/,
    ],
    [
      'a key twice, of other bytes',
      file(
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}',
      ),
      /belong to nothing/,
    ],
    ['an end before its begin', file({ a: entry(8, 0, { shape: [8] }) }), /hold -8/],
    ['offsets past the end', file({ a: entry(0, 2 ** 40) }), /is truncated: tensor 'a' ends at byte/],
    [
      'a shape that counts beyond numbers',
      file({ a: entry(0, 8, { shape: [2 ** 52, 2 ** 52, 2 ** 52] }) }),
      /takes .* bytes/,
    ],
    ['a shape of 0 and 2^53', file({ a: entry(0, 8, { shape: [0, 2 ** 53] }) }), /has shape/],
    [
      'a shape of 1,000,000 sizes',
      file({ a: entry(0, 8, { shape: new Array(1e6).fill(1) }) }),
      /expected a list of at most 8 sizes/,
    ],
    ['negative sizes', file({ a: entry(0, 8, { shape: [-2, -4] }) }), /has shape \[-2,-4\]/],
    ['an entry that is none', file({ a: 7 }), /has dtype missing/],
    ['an entry that is null', file({ a: null }), /has dtype missing/],
    [
      'a dtype of the prototype',
      file({ a: entry(0, 8, { dtype: 'constructor' }) }),
      /has dtype "constructor"/,
    ],
    [
      'metadata that are no texts',
      file({ __metadata__: { a: 1 } }, 0),
      /__metadata__ .* is not a map of strings/,
    ],
  ])('%s', (_, open, message) => refused(open, message));

  test('entries in any order are taken; a tensor called __proto__ is one', () => {
    const open = file(`{"b":${JSON.stringify(entry(4, 8))},"__proto__":${JSON.stringify(entry(0, 4))}}`);
    expect(open().names().sort()).toEqual(['__proto__', 'b']);
    expect(({} as JsonObject).dtype).toBeUndefined();
  });
});

describe('llama2.c', () => {
  test.each([
    [[2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 1, 1, 1, 2 ** 31 - 1, 2 ** 31 - 1], /is no llama2\.c model: width/],
    [[-4, 3, 2, 2, 1, 5, 3], /is no llama2\.c model: width/],
    [[0, 0, 0, 0, 0, 0, 0], /is no llama2\.c model: width/],
    [
      [2 ** 24 - 2, 2 ** 24 - 1, 999, 1, 1, -(2 ** 24 - 1), 2 ** 24 - 1],
      /asks for \d+ bytes, the file has 128/,
    ],
    [[0x616b3432, 1, 2 ** 31 - 1, 1, 1, 1, 1], /is truncated/],
    [[0x616b3432, 7, 4, 3, 2, 2, 1], /is of version 7/],
  ])('%j', (header, message) => {
    const path = join(dir, 'x.bin');
    writeFileSync(path, Buffer.concat([Buffer.from(new Int32Array(header).buffer), Buffer.alloc(100)]));
    refused(() => new Llama2cFile(path), message);
  });
});
