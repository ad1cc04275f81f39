import { InferenceSession } from 'onnxruntime-node';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  add,
  cast,
  concat,
  div,
  evaluate,
  exp,
  fill,
  float32,
  GraphError,
  grad,
  gradients,
  greater,
  input,
  int64,
  linear,
  matmul,
  mul,
  neg,
  Program,
  rmsNorm,
  scatterAddRows,
  sqrt,
  sub,
  sum,
  type Tensor,
  take,
  tanh,
  Value,
  where,
  zeros,
} from './index.ts';
import { ndarray } from './ndarray.ts';
import { rightBytes } from './right-bytes.ts';
import { resultsStayUnread } from './unread-results.ts';

const numbers = (value: Value | undefined) => Array.from(value!.data as Float32Array);
const vector = (...values: number[]) => float32(Float32Array.from(values), [values.length]);

// Tried once by whoever compiles first, with a session of its own.
// What is tried once, before sessions are counted.
beforeAll(() => Promise.all([resultsStayUnread(), rightBytes()]));
afterEach(() => {
  vi.restoreAllMocks();
});

/** tanh(x w) of a batch, with names of one's choice. */
function layer(names: { x: string; w: string }): { x: Tensor; w: Tensor; y: Tensor } {
  const x = input(names.x, 'float32', ['T', 2]);
  const w = input(names.w, 'float32', [2, 2]);
  return { x, w, y: tanh(matmul(x, w)) };
}

describe('sessions', () => {
  test('are shared by programs of one structure, whatever the names, until the last is disposed of', async () => {
    const create = vi.spyOn(InferenceSession, 'create');
    const [a, b] = await Promise.all([
      Program.compile({ y: layer({ x: 'x', w: 'w' }).y }),
      Program.compile({ result: layer({ x: 'hidden', w: 'layers.3.weight' }).y }),
    ]);
    const c = await Program.compile({ y: layer({ x: 'x', w: 'w' }).y });
    expect(create).toHaveBeenCalledTimes(1);
    await a.dispose();
    await a.dispose();
    await c.dispose();
    const { result } = await b.run({
      hidden: float32(Float32Array.of(1, 2), [1, 2]),
      'layers.3.weight': float32(Float32Array.of(1, 0, 0, 0), [2, 2]),
    });
    expect(numbers(result)).toEqual([Math.fround(Math.tanh(1)), 0]);
    await b.dispose();
    const again = await Program.compile({ y: layer({ x: 'x', w: 'w' }).y });
    expect(create).toHaveBeenCalledTimes(2);
    await again.dispose();
  });

  test('are not shared by other graphs, constants or options', async () => {
    const create = vi.spyOn(InferenceSession, 'create');
    const x = input('x', 'float32', [2]);
    const graphs = [add(x, 1), add(x, 2), sub(x, 1), add(input('x', 'float32', ['T']), 1)];
    const programs = await Promise.all(graphs.map((y) => Program.compile({ y })));
    programs.push(await Program.compile({ y: graphs[0]! }, { threads: 1 }));
    expect(create).toHaveBeenCalledTimes(5);
    await Promise.all(programs.map((program) => program.dispose()));
  });

  test('a compilation that fails can be tried again', async () => {
    const x = input('x', 'float32', [3]);
    vi.spyOn(InferenceSession, 'create').mockRejectedValueOnce(new Error('no memory'));
    await expect(Program.compile({ y: neg(x) })).rejects.toThrow('no memory');
    await using program = await Program.compile({ y: neg(x) });
    expect(numbers((await program.run({ x: vector(1, 2, 3) })).y)).toEqual([-1, -2, -3]);
  });

  test('a program that was disposed of does not run; runs under way end first', async () => {
    const x = input('x', 'float32', ['T']);
    const program = await Program.compile({ y: exp(x) });
    const running = program.run({ x: zeros([1000]) });
    await program.dispose();
    expect(numbers((await running).y).every((y) => y === 1)).toBe(true);
    await expect(program.run({ x: zeros([1]) })).rejects.toThrow('has been disposed of');
  });
});

describe('what is run', () => {
  test('an input as an output, one tensor under two names, an output named as an input, names of all kinds', async () => {
    const x = input('/0', 'float32', [2]);
    const y = mul(x, 2);
    await using program = await Program.compile({ '/0': y, i0: x, o1: y, '': add(y, x) });
    const results = await program.run({ '/0': vector(1, 3) });
    expect(Object.keys(results)).toEqual(['/0', 'i0', 'o1', '']);
    expect(Object.values(results).map(numbers)).toEqual([
      [2, 6],
      [1, 3],
      [2, 6],
      [3, 9],
    ]);
  });

  test('a graph without inputs', async () => {
    await using program = await Program.compile({ y: fill(3, [2, 2]) });
    expect(numbers((await program.run({})).y)).toEqual([3, 3, 3, 3]);
  });

  test('other sizes of the symbols at each run', async () => {
    const past = input('past', 'float32', ['P', 2]);
    const x = input('x', 'float32', ['T', 2]);
    await using program = await Program.compile({ y: sum(concat([past, x], 0), 0) });
    for (const [p, t] of [
      [0, 1],
      [3, 2],
      [1, 0],
    ] as const) {
      const ones = (n: number) => float32(new Float32Array(2 * n).fill(1), [n, 2]);
      const { y } = await program.run({ past: ones(p), x: ones(t) });
      expect(numbers(y)).toEqual([p + t, p + t]);
    }
  });

  test('the same nodes once, others apart: infinities, NaN and signs of zero in attributes', async () => {
    const x = input('x', 'float32', ['T']);
    const fills = [Infinity, -Infinity, Number.NaN, -0, 0, 1].map((value) => fill(value, ['T']));
    const outputs = Object.fromEntries(fills.map((y, i) => [`y${i}`, add(mul(x, 0), y)]));
    const constants = [Infinity, -Infinity].map((value) => mul(x, value));
    await using program = await Program.compile({ ...outputs, a: constants[0]!, b: constants[1]! });
    const results = await program.run({ x: vector(1) });
    expect(fills.map((_, i) => (results[`y${i}`]!.data as Float32Array)[0])).toEqual([
      Infinity,
      -Infinity,
      Number.NaN,
      0,
      0,
      1,
    ]);
    expect([...numbers(results.a), ...numbers(results.b)]).toEqual([Infinity, -Infinity]);
    await using zero = await Program.compile({
      y: div(fill(1, ['T']), mul(x, -0)),
      z: div(fill(1, ['T']), mul(x, 0)),
    });
    const { y, z } = await zero.run({ x: vector(1) });
    expect([...numbers(y), ...numbers(z)]).toEqual([-Infinity, Infinity]);
  });

  test('several runs at once', async () => {
    const x = input('x', 'float32', []);
    await using program = await Program.compile({ y: mul(x, x) });
    const results = await Promise.all(
      [1, 2, 3, 4].map((v) => program.run({ x: float32(Float32Array.of(v), []) })),
    );
    expect(results.map(({ y }) => numbers(y)[0])).toEqual([1, 4, 9, 16]);
  });

  test('rows added at few indices from many threads, the same at every run', async () => {
    // Many rows meet in each of two: additions that raced would lose some.
    const rows = input('rows', 'float32', ['N', 64]);
    const at = input('at', 'int64', ['N']);
    await using program = await Program.compile({ y: scatterAddRows(rows, at, [2, 64]) }, { threads: 4 });
    const N = 4096;
    const values = Float32Array.from({ length: N * 64 }, (_, i) => i % 7);
    const feeds = {
      rows: float32(values, [N, 64]),
      at: int64(
        Array.from({ length: N }, (_, i) => i % 2),
        [N],
      ),
    };
    const expected = new Float32Array(128);
    for (let i = 0; i < values.length; i++) expected[(Math.floor(i / 64) % 2) * 64 + (i % 64)]! += values[i]!;
    for (let run = 0; run < 30; run++) {
      expect(numbers((await program.run(feeds)).y)).toEqual([...expected]);
    }
  });
});

describe('mistakes', () => {
  const x = input('x', 'float32', ['B', 2]);
  const n = input('n', 'int64', ['B']);
  const y = mul(x, 2);
  const compile = () => Program.compile({ y, m: add(n, 1) });
  const good = { x: zeros([3, 2]), n: int64([1, 2, 3], [3]) };

  test('feeds that are missing, unknown, of another dtype or shape', async () => {
    await using program = await compile();
    const run = (feeds: Record<string, Value>) => () => program.run({ ...good, ...feeds });
    await expect(() => program.run({ x: good.x })).rejects.toThrow('input n is missing; expected int64[B]');
    await expect(run({ z: good.x })).rejects.toThrow('no input is called z; there are x, n');
    await expect(run({ n: zeros([3]) })).rejects.toThrow('input n: dtype float32, expected int64');
    await expect(run({ x: zeros([3, 3]) })).rejects.toThrow('input x: shape [3, 3], expected [B, 2]');
    await expect(run({ x: zeros([6]) })).rejects.toThrow('input x: shape [6], expected [B, 2]');
    await expect(run({ x: zeros([4, 2]) })).rejects.toThrow('input n: B is 3 here and 4 in another axis');
    await expect(run({ x: zeros([4, 2]) })).rejects.toThrow(GraphError);
    expect(numbers((await program.run(good)).y)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('output buffers that are unknown, of another dtype or shape', async () => {
    await using program = await compile();
    const into = (name: string, value: Value) => () => program.run(good, { [name]: value });
    await expect(into('z', zeros([3, 2]))).rejects.toThrow('no output is called z; there are y, m');
    await expect(into('y', zeros([2, 3]))).rejects.toThrow(
      'output y is float32[3, 2], the given buffer float32[2, 3]',
    );
    await expect(into('m', zeros([3]))).rejects.toThrow('output m is int64[3], the given buffer float32[3]');
  });

  test('two inputs of one name', async () => {
    const other = input('x', 'float32', ['B', 2]);
    await expect(Program.compile({ y: add(x, other) })).rejects.toThrow('two different inputs are called x');
  });

  test('a size that no input tells', async () => {
    await expect(Program.compile({ y: fill(1, ['Q']) })).rejects.toThrow(
      /dimension Q is the size of no axis/,
    );
  });

  test('an empty inner dimension of a batched product, where ONNX Runtime leaves memory unset', async () => {
    const [a, b] = [input('a', 'float32', [2, 3, 'T']), input('b', 'float32', [2, 'T', 3])];
    await using program = await Program.compile({ y: matmul(a, b) });
    await expect(program.run({ a: zeros([2, 3, 0]), b: zeros([2, 0, 3]) })).rejects.toThrow(
      'matmul: dimension T is 0',
    );
  });

  test('outputs to be kept that there are not', async () => {
    await expect(Program.compile({ y }, { device: 'webgpu', keepOnDevice: ['z'] })).rejects.toThrow(
      'keepOnDevice: no output is called z; there are y',
    );
  });

  test('weights that do not fit', async () => {
    const w = input('w', 'float32', [2, 2]);
    const program = (value: Value) =>
      Program.compile({ y: matmul(x, w) }, { weights: new Map([[w, value]]) });
    await expect(program(zeros([2, 3]))).rejects.toThrow('weight w is float32[2, 3], expected float32[2, 2]');
    await expect(program(int64([1, 2, 3, 4], [2, 2]))).rejects.toThrow('weight w is int64[2, 2]');
    await expect(Program.compile({ y }, { weights: new Map([[x, zeros([1, 2])]]) })).rejects.toThrow(
      'weight x is float32[1, 2], expected float32[B, 2]',
    );
    await expect(Program.compile({ y }, { weights: new Map([[y, zeros([1, 2])]]) })).rejects.toThrow(
      /weights: .* is computed, not an input/,
    );
  });
});

describe('outputs written into given memory', () => {
  test('whole, and as a view of a larger array', async () => {
    const x = input('x', 'float32', ['T']);
    await using program = await Program.compile({ y: mul(x, 2), z: neg(x) });
    const memory = new Float32Array(10).fill(9);
    const y = float32(memory.subarray(4, 7), [3]);
    const results = await program.run({ x: vector(1, 2, 3) }, { y });
    expect(results.y).toBe(y);
    expect([...memory]).toEqual([9, 9, 9, 9, 2, 4, 6, 9, 9, 9]);
    expect(numbers(results.z)).toEqual([-1, -2, -3]);
  });

  test('inputs that are views', async () => {
    const x = input('x', 'float32', ['T']);
    await using program = await Program.compile({ y: mul(x, 2) });
    const memory = Float32Array.from([1, 2, 3, 4, 5]);
    const { y } = await program.run({ x: float32(memory.subarray(1, 4), [3]) });
    expect(numbers(y)).toEqual([4, 6, 8]);
  });

  test('an output that is an input, into other memory', async () => {
    const x = input('x', 'float32', [3]);
    await using program = await Program.compile({ y: x });
    const y = zeros([3]);
    await program.run({ x: vector(1, 2, 3) }, { y });
    expect(numbers(y)).toEqual([1, 2, 3]);
  });

  test('AdamW in place: parameter and moments are inputs and outputs, as views of larger arrays', async () => {
    const [p, g, m, v] = ['p', 'g', 'm', 'v'].map((name) => input(name, 'float32', ['N'])) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const [rate, b1, b2] = [0.01, 0.9, 0.99];
    const m1 = add(mul(m, b1), mul(g, 1 - b1));
    const v1 = add(mul(v, b2), mul(mul(g, g), 1 - b2));
    const step = div(m1, add(sqrt(v1), 1e-8));
    // Where a parameter has decayed to zero it stays: comparison and selection in an update.
    const decayed = where(greater(mul(p, p), 0), mul(p, 0.999), 0);
    const outputs = { p: sub(decayed, mul(step, rate)), m: m1, v: v1 };
    await using program = await Program.compile(outputs);

    const N = 1000;
    const memory = new Float32Array(4 * N + 5);
    const part = (i: number) => float32(memory.subarray(i * N + 5, (i + 1) * N + 5), [N]);
    const values = { p: part(0), m: part(1), v: part(2), g: part(3) };
    for (let i = 0; i < N; i++) {
      memory[5 + i] = i % 10 === 0 ? 0 : Math.sin(i);
      memory[5 + 3 * N + i] = Math.cos(3 * i);
    }
    let expected = [p, m, v].map((_, i) => ndarray([N], memory.slice(5 + i * N, 5 + (i + 1) * N)));
    const gradient = ndarray([N], memory.slice(5 + 3 * N));
    const { g: _g, ...into } = values;
    for (let i = 0; i < 5; i++) {
      await program.run(values, into);
      const feeds = new Map([
        [p, expected[0]!],
        [m, expected[1]!],
        [v, expected[2]!],
        [g, gradient],
      ]);
      expected = evaluate(Object.values(outputs), feeds);
    }
    const wrong = [0, 1, 2].map((i) =>
      expected[i]!.data.reduce((top, x, k) => Math.max(top, Math.abs(x - memory[5 + i * N + k]!)), 0),
    );
    expect(Math.max(...wrong)).toBeLessThan(2e-6);
    expect(memory.subarray(0, 5)).toEqual(new Float32Array(5));
  });
});

describe('results in given memory', () => {
  test('are not copied as well', async () => {
    const x = input('x', 'float32', ['N']);
    await using program = await Program.compile({ y: neg(x), z: add(x, 1) }, { threads: 1 });
    const size = 1 << 16;
    const run = program.prepare({ x: zeros([size]) }, { y: zeros([size]), z: zeros([size]) });
    await run();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 10; i++) await run();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size);
  });

  test('are told of when the run fails', async () => {
    const [x, rows] = [input('x', 'float32', [3]), input('rows', 'int64', ['N'])];
    await using program = await Program.compile({ y: take(x, rows) }, { threads: 1 });
    const y = zeros([2]);
    await expect(program.run({ x: vector(1, 2, 3), rows: int64([0, 7], [2]) }, { y })).rejects.toThrow(
      'Gather',
    );
    await program.run({ x: vector(1, 2, 3), rows: int64([0, 2], [2]) }, { y });
    expect(numbers(y)).toEqual([1, 3]);
  });
});

describe('weights as initialisers', () => {
  test('equal the same program with inputs, gradients included; views are fine', async () => {
    const x = input('x', 'float32', ['T', 8]);
    const norm = input('layers.0/norm.weight', 'float32', [8]);
    const w = input('../w', 'float32', [16, 8]);
    const head = input('head', 'float32', [5, 16]);
    const y = linear(tanh(linear(rmsNorm(x, norm, 1e-6), w)), head);
    const seed = input('seed', 'float32', ['T', 5]);
    const outputs = { y, dx: grad(y, [x], seed)[0]!, dw: gradients([{ output: y, seed }], [w])[0]! };
    const memory = Float32Array.from({ length: 8 + 128 + 80 + 3 }, (_, i) => Math.sin(i * 0.7));
    const weights = new Map([
      [norm, float32(memory.subarray(3, 11), [8])],
      [w, float32(memory.subarray(11, 139), [16, 8])],
      [head, float32(memory.subarray(139), [5, 16])],
    ]);
    await using fixed = await Program.compile(outputs, { weights });
    await using fed = await Program.compile(outputs);
    expect(fixed.inputNames).toEqual(['x', 'seed']);
    // The session keeps its own copy.
    const before = new Map(
      [...weights].map(([t, value]) => [t, Float32Array.from(value.data as Float32Array)]),
    );
    memory.fill(Number.NaN);
    for (const T of [1, 7]) {
      const feeds = {
        x: float32(
          Float32Array.from({ length: T * 8 }, (_, i) => Math.cos(i)),
          [T, 8],
        ),
        seed: float32(
          Float32Array.from({ length: T * 5 }, (_, i) => Math.sin(i * i)),
          [T, 5],
        ),
      };
      const a = await fixed.run(feeds);
      const b = await fed.run({
        ...feeds,
        'layers.0/norm.weight': float32(before.get(norm)!, [8]),
        '../w': float32(before.get(w)!, [16, 8]),
        head: float32(before.get(head)!, [5, 16]),
      });
      for (const name of Object.keys(outputs)) {
        expect(a[name]!.dims).toEqual(b[name]!.dims);
        for (const [i, value] of numbers(a[name]).entries())
          expect(value).toBeCloseTo(numbers(b[name])[i]!, 5);
      }
    }
  });

  test('weights of other parts of a model are ignored', async () => {
    const [x, w, other] = ['x', 'w', 'other'].map((name) => input(name, 'float32', [2])) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const weights = new Map([
      [w, vector(2, 3)],
      [other, vector(4, 5)],
    ]);
    await using program = await Program.compile({ y: mul(x, w) }, { weights });
    expect(numbers((await program.run({ x: vector(1, 1) })).y)).toEqual([2, 3]);
  });

  test('half precision and integers', async () => {
    const x = input('x', 'float16', [2]);
    const w = input('w', 'float16', [2]);
    const k = input('k', 'int64', [2]);
    const y = add(cast(mul(x, w), 'float32'), cast(k, 'float32'));
    const weights = new Map([
      // 1 and 2 in half precision.
      [w, new Value('float16', Uint16Array.of(0x3c00, 0x4000), [2])],
      [k, int64([10, 20], [2])],
    ]);
    await using program = await Program.compile({ y }, { weights });
    const { y: result } = await program.run({ x: new Value('float16', Uint16Array.of(0x4000, 0x4000), [2]) });
    expect(numbers(result)).toEqual([12, 24]);
  });
});
