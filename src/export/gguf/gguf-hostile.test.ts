import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileBytes } from '../../model/file-bytes.ts';
import { GgufFile } from '../../model/import/gguf.ts';
import { readGgufHeader } from '../../model/import/gguf-header.ts';
import { ggufParts, type MetadataValue } from './gguf-file.ts';

/** GGUF files that no one would write but to see what happens, for the reader of `import`; made by the writer of `export`. */

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-hostile-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const u32 = (n: number) => Buffer.from(new Uint32Array([n]).buffer);
const u64 = (n: number | bigint) => Buffer.from(new BigUint64Array([BigInt(n)]).buffer);
const text = (s: string) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);
const header = (tensors: number | bigint, entries: number | bigint, ...rest: Buffer[]) =>
  Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors), u64(entries), ...rest]);
const tensor = (name: string, dims: (number | bigint)[], type: number, offset: number | bigint) =>
  Buffer.concat([text(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset)]);

function file(bytes: Uint8Array): string {
  const path = join(dir, 'x.gguf');
  writeFileSync(path, bytes);
  return path;
}
const readHeader = (bytes: Uint8Array) => () => readGgufHeader(new FileBytes(file(bytes)));
const padding = Buffer.alloc(4096);

describe('headers', () => {
  const nested = Buffer.concat([
    text('k'),
    u32(9),
    ...Array.from({ length: 200_000 }, () => Buffer.concat([u32(9), u64(1)])),
  ]);
  test.each<[string, Buffer, RegExp]>([
    ['lists nested 200,000 deep', header(0, 1, nested), /x\.gguf: k is a list of lists/],
    [
      '2^63 tensors',
      header(2n ** 63n, 0, padding),
      /counts 9223372036854775808 tensors at byte 8, more than/,
    ],
    [
      '2^63 entries',
      header(0, 2n ** 63n, padding),
      /counts 9223372036854775808 entries of metadata at byte 16/,
    ],
    ['more tensors than fit', header(1000, 0, padding), /counts 1000 tensors/],
    [
      'a text longer than the file',
      header(0, 1, u64(10_000_000), padding),
      /counts 10000000 bytes at byte 24/,
    ],
    ['a text of 2^64 - 1', header(0, 1, u64(2n ** 64n - 1n), padding), /counts 18446744073709551615 bytes/],
    ['a text to the end', header(0, 1, u64(4000), Buffer.alloc(10)), /more than the file has room for/],
    [
      'a list of more texts than fit',
      header(0, 1, text('k'), u32(9), u32(8), u64(4000), padding),
      /counts 4000 texts/,
    ],
    [
      'a list of more numbers than fit',
      header(0, 1, text('k'), u32(9), u32(12), u64(600), padding),
      /counts 600 numbers/,
    ],
    [
      'a list of an unknown type',
      header(0, 1, text('k'), u32(9), u32(99), u64(1), padding),
      /k is of value type 99/,
    ],
    ['an unknown type', header(0, 1, text('k'), u32(77), padding), /k is of value type 77 .* none of GGUF's/],
    [
      'a key twice',
      header(0, 2, text('k'), u32(4), u32(1), text('k'), u32(4), u32(2)),
      /the key "k" is there twice/,
    ],
    [
      'a key of 70,000 bytes',
      header(0, 1, text('k'.repeat(70_000)), u32(4), u32(1)),
      /a name of 70000 bytes/,
    ],
    [
      'a tensor twice',
      header(2, 0, tensor('t', [1], 0, 0), tensor('t', [1], 0, 32), padding),
      /tensor 't' is there twice/,
    ],
    ['2^32 - 1 dimensions', header(1, 0, text('t'), u32(2 ** 32 - 1), padding), /has 4294967295 dimensions/],
    [
      'a dimension of 2^63',
      header(1, 0, tensor('t', [2n ** 63n], 0, 0), padding),
      /counts 9223372036854775808 values/,
    ],
    [
      'an offset past the end',
      header(1, 0, tensor('t', [1], 0, 2n ** 62n), padding),
      /counts 4611686018427387904 bytes/,
    ],
    [
      'an offset between',
      header(1, 0, tensor('t', [1], 0, 3), padding),
      /begins at offset 3, expected a multiple of 32/,
    ],
    ['an alignment of 0', header(0, 1, text('general.alignment'), u32(4), u32(0)), /general\.alignment is 0/],
    [
      'an alignment of a text',
      header(0, 1, text('general.alignment'), u32(8), text('x')),
      /general\.alignment is x/,
    ],
    ['nothing', Buffer.alloc(0), /is truncated/],
    ['the magic alone', Buffer.from('GGUF'), /is truncated/],
  ])('%s', (_, bytes, message) => {
    const started = performance.now();
    expect(readHeader(bytes)).toThrow(expect.objectContaining({ name: 'InputError' }));
    expect(readHeader(bytes)).toThrow(message);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test('cut off anywhere', () => {
    const whole = Buffer.concat([...ggufParts({ a: 'text', b: [1, 2], c: ['x'], d: { float: 2 } }, [])]);
    for (let length = 0; length < 90; length++) {
      expect(readHeader(whole.subarray(0, length)), `${length}`).toThrow(
        expect.objectContaining({ name: 'InputError' }),
      );
    }
  });

  test('numbers of a list take the memory that they take in the file', () => {
    const million = 4_000_000;
    const bytes = header(0, 1, text('k'), u32(9), u32(0), u64(million), Buffer.alloc(million));
    const path = file(bytes);
    const { metadata } = readGgufHeader(new FileBytes(path));
    expect((metadata.get('k') as Uint8Array).byteLength).toBe(million);
  });
});

describe('models', () => {
  const sizes: Record<string, MetadataValue> = {
    'general.architecture': 'llama',
    'llama.block_count': 1,
    'llama.context_length': 32,
    'llama.embedding_length': 4,
    'llama.feed_forward_length': 4,
    'llama.attention.head_count': 1,
    'llama.attention.layer_norm_rms_epsilon': { float: 1e-5 },
  };
  const embedding = (name = 'token_embd.weight') => ({
    name,
    dims: [4, 4],
    type: 'F32' as const,
    data: () => [new Uint8Array(64)],
  });
  const open = (metadata: Record<string, MetadataValue>, names: string[] = ['token_embd.weight']) => {
    const path = file(Buffer.concat([...ggufParts({ ...sizes, ...metadata }, names.map(embedding))]));
    return () => new GgufFile(path);
  };

  test('the sizes as they are', () => {
    expect(open({})().config.layers).toHaveLength(1);
  });

  test.each<[Record<string, MetadataValue>, RegExp]>([
    [
      { 'llama.block_count': 1_000_000_000 },
      /block_count is 1000000000, expected a size: a whole number from 1 to 4096/,
    ],
    [{ 'llama.block_count': 0 }, /block_count is 0/],
    [{ 'llama.block_count': { float: 1.5 } }, /block_count is 1\.5/],
    [{ 'llama.block_count': { float: Number.NaN } }, /block_count is NaN, expected a number/],
    [{ 'llama.block_count': 'many' }, /block_count is many, expected a number/],
    [{ 'llama.embedding_length': 4_000_000_000 }, /embedding_length is 4000000000/],
    [{ 'llama.attention.head_count': 3 }, /attention\.key_length is missing, expected a size/],
    [{ 'llama.attention.head_count': 4 }, /heads are 1 wide, expected an even width/],
    [{ 'llama.attention.head_count_kv': 3 }, /3 key-value heads, expected a divisor of the 1 query heads/],
    [{ 'llama.attention.head_count_kv': [1, 2] }, /head_count_kv is a list, expected a number/],
    [{ 'llama.rope.freq_base': { float: 0 } }, /freq_base is 0, expected a positive number/],
    [
      { 'llama.rope.freq_base': { float: Number.POSITIVE_INFINITY } },
      /freq_base is Infinity, expected a number/,
    ],
    [
      { 'llama.attention.layer_norm_rms_epsilon': { float: -1 } },
      /epsilon is -1, expected a positive number/,
    ],
    [{ 'llama.rope.scaling.type': 'yarn' }, /scaling\.type is yarn, expected 'none' or 'linear'/],
    [{ 'llama.attention.sliding_window': 128 }, /sliding_window is 128, expected 0: another value changes/],
    [{ 'llama.logit_scale': { float: 2 } }, /logit_scale is 2, expected 1/],
    [{ 'tokenizer.ggml.bos_token_id': 4 }, /bos_token_id is 4, expected an id below 4/],
    [{ 'tokenizer.ggml.eot_token_id': { float: 1.5 } }, /eot_token_id is 1\.5, expected an id below 4/],
    [{ 'general.sampling.top_p': { float: 7 } }, /general\.sampling\.top_p is 7/],
    [{ 'general.architecture': 'x'.repeat(5000) }, /architecture 'x+/],
  ])('%j', (metadata, message) => {
    expect(open(metadata)).toThrow(expect.objectContaining({ name: 'InputError' }));
    expect(open(metadata)).toThrow(message);
  });

  test.each([
    'constructor.weight',
    '__proto__.weight',
    'blk.0.toString.weight',
    'blk.0.weight',
    'x'.repeat(60_000),
  ])('a tensor %.30s', (name) => {
    expect(open({}, ['token_embd.weight', name])).toThrow(
      /tensor '.*' has no place in a Llama or Qwen2 model/,
    );
  });

  test('no embedding, one of another shape', () => {
    expect(open({}, [])).toThrow(/has no tensor 'model\.embed_tokens\.weight'/);
    const path = file(Buffer.concat([...ggufParts(sizes, [{ ...embedding(), dims: [16] }])]));
    expect(() => new GgufFile(path)).toThrow(/'token_embd\.weight' has shape \[16\], expected a matrix/);
  });

  test('tensors that overlap, that end beyond the file, and of more values than numbers count', () => {
    const bytes = (at: number) => {
      const head = Buffer.concat([...ggufParts(sizes, [embedding(), embedding('output.weight')])]);
      const where = head.indexOf(Buffer.from('output.weight')) + 13 + 4 + 16 + 4;
      head.writeBigUInt64LE(BigInt(at), where);
      return head;
    };
    expect(() => new GgufFile(file(bytes(64)))).not.toThrow();
    expect(() => new GgufFile(file(bytes(32)))).toThrow(
      /tensors 'token_embd\.weight' and 'output\.weight' overlap/,
    );
    expect(() => new GgufFile(file(bytes(96)))).toThrow(/is truncated: tensor 'output\.weight' ends at byte/);
    const many = header(
      1,
      1,
      text('general.architecture'),
      u32(8),
      text('llama'),
      tensor('token_embd.weight', [4000, 4000, 4000, 4000], 0, 0),
      padding,
    );
    expect(() => new GgufFile(file(many))).toThrow(/is truncated: tensor 'token_embd\.weight' ends at byte/);
  });
});
