import { expect, test } from 'vitest';
import { float32, input, memoryOf, mul, zeros } from './index.ts';

/** Memory on the host; that of a device is tested under test/extra/webgpu. */
const memory = memoryOf('cpu');

test('arrays are read and written where they are', async () => {
  const data = Float32Array.of(1, 2, 3, 4);
  const x = float32(data.subarray(2), [2]);
  const into = zeros([2]);
  expect((await memory.place({ x })).x).toBe(x);
  const program = await memory.compile({ y: mul(input('x', 'float32', [2]), 10) });
  await memory.run(program, { x }, { y: into });
  expect(into.data).toEqual(Float32Array.of(30, 40));
  await memory.release(program);
  await memory.accumulate({ x }, { x: into });
  expect(data).toEqual(Float32Array.of(1, 2, 33, 44));
  memory.clear(data);
  expect(data).toEqual(new Float32Array(4));
  expect(memory.held).toBe(0);
});

test('rows are views, and joined again', async () => {
  const x = float32(
    Float32Array.from({ length: 12 }, (_, i) => i),
    [2, 2, 3],
  );
  const [first, rest] = [await memory.rows(x, 0, 1), await memory.rows(x, 1, 4)];
  expect(rest.dims).toEqual([3, 3]);
  expect((rest.data as Float32Array).buffer).toBe((x.data as Float32Array).buffer);
  const joined = await memory.join([first, rest], x.dims);
  expect([joined.dims, joined.data]).toEqual([x.dims, x.data]);
  expect(await memory.numbers([float32(Float32Array.of(5), []), float32(Float32Array.of(6), [])])).toEqual([
    5, 6,
  ]);
});

test('a result that was given back makes room for one of its size, and for no other', async () => {
  const size = 1 << 15;
  const own = memoryOf('cpu');
  const program = await own.compile({ y: mul(input('x', 'float32', ['N']), 2) });
  const y = async (value: number, length = size) => {
    const x = float32(new Float32Array(length).fill(value), [length]);
    return (await own.run(program, { x })).y!;
  };
  const first = await y(1);
  const second = await y(2);
  expect(second.data).not.toBe(first.data);
  own.free(first);
  // Twice is once.
  own.free(first);
  expect((await y(3, 2 * size)).data).not.toBe(first.data);
  const third = await y(4);
  expect(third.data).toBe(first.data);
  expect((await y(5)).data).not.toBe(first.data);
  expect([third, second].map(({ data }) => (data as Float32Array)[size - 1])).toEqual([8, 4]);
  // What is not of this memory is not taken.
  const foreign = zeros([size]);
  own.free(foreign);
  expect((await y(6)).data).not.toBe(foreign.data);
  await own.release(program);
  await own.dispose();
});
