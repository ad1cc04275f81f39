import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MemoryTensors } from './memory-tensors.ts';
import { SafetensorsFile, writeSafetensors } from './safetensors.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-safetensors-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A file made by hand: any header, any values. */
function rawFile(name: string, header: unknown, data: Uint8Array, headerLength?: number): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(headerLength ?? json.length));
  const path = join(dir, name);
  writeFileSync(path, Buffer.concat([prefix, json, data]));
  return path;
}

test('what is written is read back, in each dtype', () => {
  const path = join(dir, 'all.safetensors');
  const values = new Float32Array([1, -2.25, Math.PI, 1e-7, 65504, 0]);
  writeSafetensors(path, [
    { name: 'a', dtype: 'F32', shape: [2, 3], data: values },
    { name: 'b', dtype: 'F16', shape: [6], data: () => values },
    { name: 'scalar', dtype: 'BF16', shape: [], data: new Float32Array([1.5]) },
    { name: 'none', dtype: 'F32', shape: [0, 4], data: new Float32Array(0) },
  ]);
  const file = new SafetensorsFile(path);
  expect(file.metadata).toEqual({ format: 'pt' });
  expect(file.names()).toEqual(['a', 'b', 'scalar', 'none']);
  expect(file.info('a')).toEqual({ name: 'a', dtype: 'F32', shape: [2, 3] });
  expect(file.info('b').dtype).toBe('F16');
  expect([...file.read('a')]).toEqual([...values]);
  expect([...file.read('b')]).toEqual([1, -2.25, 3.140625, 1.1920928955078125e-7, 65504, 0]);
  expect([...file.read('scalar')]).toEqual([1.5]);
  expect(file.read('none').length).toBe(0);
  // PyTorch maps the file: the values of a 4-byte type have to be aligned.
  expect(Number(readFileSync(path).readBigUInt64LE(0)) % 8).toBe(0);
  expect(() => file.read('z')).toThrow(/all\.safetensors has no tensor 'z'/);
});

test('integers, doubles and booleans become float32', () => {
  const i64 = new BigInt64Array([-3n, 9007199254740993n]);
  const f64 = new Float64Array([Math.PI]);
  const i32 = new Int32Array([-70000]);
  const i16 = new Int16Array([-300]);
  const bytes = new Uint8Array([250, 1, 0]);
  const data = Buffer.concat([i64, f64, i32, i16, bytes].map((a) => Buffer.from(a.buffer)));
  const path = rawFile(
    'ints',
    {
      i64: { dtype: 'I64', shape: [2], data_offsets: [0, 16] },
      f64: { dtype: 'F64', shape: [1], data_offsets: [16, 24] },
      i32: { dtype: 'I32', shape: [1], data_offsets: [24, 28] },
      i16: { dtype: 'I16', shape: [1], data_offsets: [28, 30] },
      i8: { dtype: 'I8', shape: [1], data_offsets: [30, 31] },
      bool: { dtype: 'BOOL', shape: [2], data_offsets: [31, 33] },
    },
    data,
  );
  const file = new SafetensorsFile(path);
  const all = Object.fromEntries(file.names().map((name) => [name, [...file.read(name)]]));
  expect(all).toEqual({
    i64: [-3, 9007199254740992],
    f64: [Math.fround(Math.PI)],
    i32: [-70000],
    i16: [-300],
    i8: [-6],
    bool: [1, 0],
  });
});

test('tensors longer than a chunk are converted whole', () => {
  const path = join(dir, 'long.safetensors');
  const count = (1 << 22) + 4099;
  const values = Float32Array.from({ length: count }, (_, i) => i % 257);
  writeSafetensors(path, [
    { name: 'x', dtype: 'F32', shape: [1], data: new Float32Array(1) },
    { name: 'long', dtype: 'BF16', shape: [count], data: values },
  ]);
  const back = new SafetensorsFile(path).read('long');
  expect(Buffer.from(back.buffer).equals(Buffer.from(values.buffer))).toBe(true);
});

describe('broken files are refused with file, tensor and expectation', () => {
  const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  });
  const cases: [string, unknown, number, RegExp, number?][] = [
    ['too short for its header', {}, 0, /header length 400 is beyond the file/, 400],
    ['not JSON', '{nonsense', 0, /header is not JSON/],
    ['not an object', '[1]', 0, /header holds no JSON object/],
    ['overlap', { a: f32(0, 8), b: f32(4, 12) }, 12, /tensor 'b' begins at byte .* overlaps tensor 'a'/],
    ['gap', { a: f32(0, 8), b: f32(12, 16) }, 16, /4 bytes between tensor 'a' and tensor 'b'/],
    ['truncated', { a: f32(0, 8), b: f32(8, 16) }, 12, /truncated: tensor 'b' ends at byte/],
    ['bytes left over', { a: f32(0, 8) }, 12, /4 bytes after tensor 'a'/],
    ['shape', { a: f32(0, 8, [3]) }, 8, /tensor 'a' of dtype F32 and shape \[3\] takes 12 bytes/],
    [
      'dtype',
      { a: { ...f32(0, 8), dtype: 'F8_E4M3' } },
      8,
      /tensor 'a' has dtype "F8_E4M3", expected one of/,
    ],
    ['negative size', { a: f32(0, 8, [-2]) }, 8, /tensor 'a' has shape \[-2\]/],
    ['offsets', { a: { ...f32(0, 8), data_offsets: [0] } }, 8, /tensor 'a' has data_offsets \[0\]/],
    ['null entry', { a: null }, 0, /tensor 'a' has dtype/],
    ['metadata', { __metadata__: { n: 1 } }, 0, /__metadata__/],
  ];
  test.each(cases)('%s', (name, header, bytes, message, headerLength) => {
    const path = rawFile(name, header, new Uint8Array(bytes), headerLength);
    const open = () => new SafetensorsFile(path);
    expect(open).toThrow(message);
    expect(open).toThrow(path);
    expect(open).toThrow(expect.objectContaining({ name: 'InputError' }));
  });

  test('empty, absent, folder', () => {
    writeFileSync(join(dir, 'empty'), '');
    expect(() => new SafetensorsFile(join(dir, 'empty'))).toThrow(/empty has 0 bytes/);
    expect(() => new SafetensorsFile(join(dir, 'absent'))).toThrow(/cannot read .*absent/);
    expect(() => new SafetensorsFile(dir)).toThrow(/is a folder/);
  });

  test('cut short after it was opened', () => {
    const path = join(dir, 'cut.safetensors');
    writeSafetensors(path, [{ name: 'a', dtype: 'F32', shape: [4], data: new Float32Array(4) }]);
    const file = new SafetensorsFile(path);
    truncateSync(path, 90);
    expect(() => file.read('a')).toThrow(/was changed/);
  });
});

describe('writing', () => {
  test('a failure leaves the last good file and nothing beside it', () => {
    const path = join(dir, 'keep', 'model.safetensors');
    writeSafetensors(path, [{ name: 'a', dtype: 'F32', shape: [1], data: new Float32Array([7]) }]);
    const failing = () => {
      throw new Error('no space left');
    };
    expect(() => writeSafetensors(path, [{ name: 'a', dtype: 'F32', shape: [1], data: failing }])).toThrow(
      'no space left',
    );
    expect([...new SafetensorsFile(path).read('a')]).toEqual([7]);
    expect(readdirSync(join(dir, 'keep'))).toEqual(['model.safetensors']);
  });

  test('wrong count and repeated name', () => {
    const one = { name: 'a', dtype: 'F32' as const, shape: [1], data: new Float32Array(1) };
    expect(() => writeSafetensors(join(dir, 'x'), [{ ...one, shape: [2] }])).toThrow(
      /tensor 'a' of shape \[2\] takes 2 values, got 1/,
    );
    expect(() => writeSafetensors(join(dir, 'x'), [one, one])).toThrow(/'a' is given twice/);
  });
});

test('tensors in memory', () => {
  const tensors = new MemoryTensors([['a', { shape: [2], data: new Float32Array([1, 2]) }]]);
  expect(tensors.names()).toEqual(['a']);
  expect(tensors.info('a')).toEqual({ name: 'a', dtype: 'F32', shape: [2] });
  expect([...tensors.read('a')]).toEqual([1, 2]);
  expect(() => tensors.read('b')).toThrow(/'b' is not among/);
  expect(() => tensors.set('b', { shape: [3], data: new Float32Array(2) })).toThrow(/takes 3 values, got 2/);
});
