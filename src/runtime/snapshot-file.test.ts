import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EVERY_MIXER } from '../../test/support/every-mixer.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { Engine } from './engine.ts';
import { loadSequence, saveSequence } from './snapshot-file.ts';

/** A sequence's file, changed field by field. */

/** Larger than those that are kept as a ring. */
const WINDOW = 2100;
const config = tinyConfig(
  [
    { kind: 'attention' },
    EVERY_MIXER.gated_deltanet,
    { kind: 'sliding_window', window: WINDOW },
    EVERY_MIXER.head_attention,
    { kind: 'sliding_window', window: 300, sinks: 4 },
    EVERY_MIXER.window_linear,
  ],
  { maxPositionEmbeddings: 8000 },
);
const ids = Array.from({ length: 4600 }, (_, i) => i % config.vocabSize);

let dir: string;
let path: string;
let engine: Engine;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-sequence-'));
  path = join(dir, 'whole.safetensors');
  engine = await Engine.create(config, randomWeights(config), { threads: 1 });
  using sequence = engine.start();
  await engine.append(sequence, ids);
  await saveSequence(path, engine, sequence, ids);
});
afterAll(async () => {
  await engine?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
type Header = Record<string, Entry> & { __metadata__: Record<string, string> };

/** The file after a change to its header and bytes; hashes are made anew where `rehash` says so. */
function changed(change: (header: Header, bytes: Buffer) => void, rehash = false): string {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Header;
  const bytes = Buffer.from(file.subarray(8 + length));
  change(header, bytes);
  const { __metadata__: metadata, ...tensors } = header;
  for (const [name, { data_offsets: at }] of rehash ? Object.entries(tensors as Record<string, Entry>) : []) {
    metadata[`sha256 ${name}`] = createHash('sha256')
      .update(bytes.subarray(...at))
      .digest('hex');
  }
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  const to = join(dir, 'changed.safetensors');
  writeFileSync(to, Buffer.concat([head, json, bytes]));
  return to;
}
const metadata = (field: string, value: (old: string) => string) => (header: Header) => {
  header.__metadata__[field] = value(header.__metadata__[field]!);
};
const exchange = (a: string, b: string) => (header: Header) => {
  [header[a], header[b]] = [header[b]!, header[a]!];
};
const write = (name: string, value: number) => (header: Header, bytes: Buffer) => {
  bytes.writeFloatLE(value, header[name]!.data_offsets[0] + 8);
};
const state = 'state.1.recurrent';

test('as it was written it goes on alike', async () => {
  const { sequence, ids: again } = await loadSequence(
    changed(() => {}),
    engine,
  );
  using _ = sequence;
  expect(again).toEqual(ids);
  using plain = engine.start();
  await engine.append(plain, ids);
  const expected = (await engine.append(plain, [3])).slice();
  expect(await engine.append(sequence, [3])).toEqual(expected);
});

test.each<[string, (header: Header, bytes: Buffer) => void, RegExp]>([
  ['starts of -5', metadata('starts', () => '-5 2304 0'), /starts has "-5", expected whole numbers/],
  ['starts NaN', metadata('starts', () => 'NaN 2304 0'), /starts has "NaN"/],
  ['starts of one layer', metadata('starts', () => '0'), /starts has 1 numbers, expected 3/],
  [
    'a start behind what is seen',
    metadata('starts', () => '0 2600 0'),
    /starts has 2600 for k\.1, expected a place from 0 to 2501/,
  ],
  [
    'a start of full attention',
    metadata('starts', () => '1 2304 0'),
    /starts has 1 for k\.0, expected a place from 0 to 0/,
  ],
  [
    'a start that does not fit the keys',
    metadata('starts', () => '0 10 0'),
    /tensor 'k\.1' is F32 \[.*\], expected F32 \[2,4590,8\]/,
  ],
  ['no starts', (header) => delete header.__metadata__.starts, /starts is missing/],
  ['ids NaN', metadata('ids', (old) => `NaN${old.slice(1)}`), /ids has "NaN"/],
  ['ids of a fraction', metadata('ids', (old) => `1.5${old.slice(1)}`), /ids has "1\.5"/],
  [
    'ids beyond the vocabulary',
    metadata('ids', (old) => `9999${old.slice(1)}`),
    /ids has 9999, expected token ids from 0/,
  ],
  ['fewer ids', metadata('ids', () => '1 2 3'), /starts has 2304 for k\.1, expected a place from 0 to 0/],
  [
    'more ids than the context',
    metadata('ids', () => '1 '.repeat(8001).trim()),
    /ids has 8001 tokens, .* holds 8000/,
  ],
  ['no ids', (header) => delete header.__metadata__.ids, /ids is missing/],
  ['another architecture', metadata('architecture', () => 'x'), /another architecture/],
  ['another format', metadata('format', () => 'pt'), /format is 'pt'/],
  ['keys and values exchanged', exchange('k.0', 'v.0'), /tensor 'k\.0' is not what was written: its SHA-256/],
  ['keys of two layers exchanged', exchange('k.0', 'k.1'), /tensor 'k\.0' is F32 \[.*\], expected F32/],
  [
    'dimensions exchanged',
    (header) => header['k.0']!.shape.reverse(),
    /tensor 'k\.0' is F32 \[8,4600,2\], expected F32 \[2,4600,8\]/,
  ],
  ['a byte changed', write('v.1', 3), /tensor 'v\.1' is not what was written/],
  [
    'I32',
    (header) => {
      header['k.0']!.dtype = 'I32';
    },
    /tensor 'k\.0' is I32 .*, expected F32/,
  ],
  [
    'a tensor under another name',
    (header) => {
      header['k.7'] = header['k.1']!;
      delete header['k.1'];
    },
    /'k\.1' is missing/,
  ],
  [
    'a state under another name',
    (header) => {
      header['state.9.recurrent'] = header[state]!;
      delete header[state];
    },
    /'state\.1\.recurrent' is missing/,
  ],
  [
    'keys of a head that sees everything, of all heads',
    (header) => {
      header['k.2']!.shape[0] = 2;
    },
    /tensor 'k\.2' is F32 \[2,4600,8\], expected F32 \[1,4600,8\]|bytes/,
  ],
  [
    'a ring of another window',
    (header) => {
      header['state.4.window_k']!.shape.splice(1, 2, 1, 608);
    },
    /tensor 'state\.4\.window_k' is F32 \[1,1,608,8\], expected F32 \[1,2,304,8\]/,
  ],
  [
    'windows in caches, as files once had them',
    (header) => delete header.__metadata__.windows,
    /windows is missing, expected 'rings': the file was written by another version of postnas/,
  ],
  [
    'a hash left out',
    (header) => delete header.__metadata__['sha256 k.0'],
    /tensor 'k\.0' is not what was written/,
  ],
])('%s', async (_, change, message) => {
  const loading = loadSequence(changed(change), engine);
  await expect(loading).rejects.toThrow(expect.objectContaining({ name: 'InputError' }));
  await expect(loading).rejects.toThrow(message);
  await expect(loading).rejects.toThrow(join(dir, 'changed.safetensors'));
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('%s in a state or a key, with its hash', async (value) => {
  for (const name of [state, 'state.3.window_v', 'k.0', 'v.1']) {
    await expect(loadSequence(changed(write(name, value), true), engine)).rejects.toThrow(
      `tensor '${name}' holds ${value} at index 2, expected finite values`,
    );
  }
});

test('a file cut off anywhere', async () => {
  const file = readFileSync(path);
  const cut = join(dir, 'cut.safetensors');
  for (const length of [0, 7, 8, 100, file.length >> 1, file.length - 1]) {
    writeFileSync(cut, file.subarray(0, length));
    await expect(loadSequence(cut, engine)).rejects.toThrow(expect.objectContaining({ name: 'InputError' }));
  }
});

test('windows with sinks, and heads with windows, go on from a file as they were', async () => {
  for (const length of [1, 4, 300, 310, 1000]) {
    using plain = engine.start();
    const text = ids.slice(0, length);
    await engine.append(plain, text);
    const to = join(dir, 'short.safetensors');
    await saveSequence(to, engine, plain, text);
    const { sequence } = await loadSequence(to, engine);
    for (const id of [3, 4, 5]) {
      const expected = (await engine.append(plain, [id])).slice();
      expect(await engine.append(sequence, [id])).toEqual(expected);
    }
  }
});

test('windows in a cache with sinks are refused by layer', async () => {
  const sinks = tinyConfig([{ kind: 'attention' }, { kind: 'sliding_window', window: 2049, sinks: 4 }]);
  await using engine = await Engine.create(sinks, randomWeights(sinks), { threads: 1 });
  using sequence = engine.start();
  await engine.append(sequence, [1, 2, 3]);
  const message = /layer 1 has a window of 2049 with sinks \(4\): .* hold sinks of smaller windows only/;
  await expect(saveSequence(join(dir, 'sinks'), engine, sequence, [1, 2, 3])).rejects.toThrow(message);
  await expect(loadSequence(path, engine)).rejects.toThrow(message);
});
