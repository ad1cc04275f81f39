import {
  add,
  argMax,
  cast,
  concat,
  type DType,
  expand,
  float16,
  float32,
  input,
  linear,
  type Memory,
  matmul,
  max,
  memoryOf,
  Program,
  quantize,
  reshape,
  softmax,
  sum,
  type Tensor,
  transpose,
  type Value,
  type Weight,
} from '../../src/graph/index.ts';
import { encodeF16 } from '../../src/model/float-bits.ts';
import { kernelTimes } from './kernel-times.ts';
import type { Section } from './section.ts';

/** What a step is made of, each by itself: reading keys and values, products with weights, the choice of a token. */

const RUNS = 6;

/** A value of this shape on the device, all of one number. */
async function filled(memory: Memory, shape: readonly number[], dtype: DType = 'float32'): Promise<Value> {
  const ones = shape.map(() => 1);
  const program = await memory.compile({ y: cast(expand(input('x', 'float32', ones), shape), dtype) });
  const one = float32(Float32Array.of(0.01), ones);
  return (await memory.run(program, { x: one })).y!;
}

/** What is measured: a graph over inputs, and how many bytes have to be read at least. */
interface Case {
  what: string;
  bytes: number;
  inputs: Record<string, readonly [DType, ...number[]]>;
  outputs: (of: Record<string, Tensor>) => Record<string, Tensor>;
  weights?: Record<string, Weight>;
}

/** Milliseconds of the kernels of a run, the mean of several. */
async function measured({ what, bytes, inputs, outputs, weights = {} }: Case): Promise<readonly string[]> {
  const memory = memoryOf('webgpu');
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, [dtype, ...shape]]) => [name, input(name, dtype, shape)]),
  );
  const feeds: Record<string, Value> = {};
  for (const [name, [dtype, ...shape]] of Object.entries(inputs)) {
    if (!weights[name]) feeds[name] = await filled(memory, shape, dtype);
  }
  const given = new Map(Object.entries(weights).map(([name, value]) => [tensors[name]!, value]));
  const times = await kernelTimes(async (profile) => {
    const options = { device: 'webgpu', keepOnDevice: 'all', profile, weights: given } as const;
    await using program = await Program.compile(outputs(tensors), options);
    for (let i = 0; i < RUNS; i++) memory.free(...Object.values(await memory.run(program, feeds)));
  });
  await memory.dispose();
  const list = [...times].map(([name, { ms }]) => [name.split(' ')[0]!, ms / RUNS] as const);
  const ms = list.reduce((total, [, each]) => total + each, 0);
  const parts = list.map(([name, each]) => `${name} ${each.toFixed(3)}`).join(', ');
  return [what, ms.toFixed(3), (bytes / ms / 1e6).toFixed(0), parts];
}

export const kernels: Section = {
  title: 'Kernels of a step by themselves',
  options: { rows: 8, places: 65536, width: 1536, wide: 8960, vocabulary: 151936 },
  columns: ['ms', 'GB/s of what has to be read', 'of it'],
  async *rows(options) {
    const { rows, places, width, wide, vocabulary } = options as typeof kernels.options &
      Record<string, number>;
    for (const each of attention(rows!, places!)) yield await measured(each);
    for (const [N, K] of [
      [wide!, width!],
      [width!, wide!],
      [width!, width!],
    ] as const) {
      for (const each of products(N, K)) yield await measured(each);
    }
    for (const B of [1, 256]) for (const each of choices(B, vocabulary!)) yield await measured(each);
  },
};

/** A token of each of B sequences over P places, heads as in Qwen2.5-1.5B. */
function* attention(B: number, P: number): Iterable<Case> {
  const [KV, G, d] = [2, 6, 128];
  const heads = B * KV * d * P * 4;
  const scores = B * KV * G * P * 4;
  const label = `${B} rows, ${P} places`;
  const s = ['float32', B, KV, G, P] as const;
  for (const dtype of ['float32', 'float16'] as const) {
    yield {
      what: `queries by keys, ${dtype}, ${label}`,
      bytes: heads / (dtype === 'float16' ? 2 : 1),
      inputs: { q: [dtype, B, KV, G, d], k: [dtype, B, KV, d, P] },
      outputs: ({ q, k }) => ({ y: matmul(q!, k!) }),
    };
  }
  yield {
    what: `weights by values, ${label}`,
    bytes: heads,
    inputs: { s, v: ['float32', B, KV, P, d] },
    outputs: ({ s, v }) => ({ y: matmul(s!, v!) }),
  };
  for (const [C, dtype] of [
    [128, 'float32'],
    [512, 'float32'],
    [2048, 'float32'],
    [128, 'float16'],
  ] as const) {
    yield {
      what: `weights by values, ${dtype}, blocks of ${C}, ${label}`,
      bytes: heads / (dtype === 'float16' ? 2 : 1),
      inputs: { s: [dtype, B, KV, G, P], v: [dtype, B, KV, P, d] },
      outputs: ({ s, v }) => {
        const weights = transpose(reshape(s!, [B, KV, G, P / C, C]), [0, 1, 3, 2, 4]);
        return { y: sum(matmul(weights, reshape(v!, [B, KV, P / C, C, d])), 2) };
      },
    };
  }
  yield {
    what: `softmax, ${label}`,
    bytes: scores,
    inputs: { s },
    outputs: ({ s }) => ({ y: softmax(s!) }),
  };
  for (const C of [128, 512, 2048]) {
    yield {
      what: `softmax in blocks of ${C}, ${label}`,
      bytes: scores,
      inputs: { s },
      outputs: ({ s }) => {
        const parts = reshape(s!, [B, KV, G, P / C, C]);
        const weights = softmax(parts);
        return { y: weights, m: max(parts, -1, true), l: max(weights, -1, true) };
      },
    };
  }
  yield {
    what: `bias and tail, ${label}`,
    bytes: scores,
    inputs: { s, tail: ['float32', B, KV, G, 64], bias: ['float32', B, 1, 1, P] },
    outputs: ({ s, tail, bias }) => ({ y: concat([add(s!, bias!), tail!], 3) }),
  };
}

/** x [rows, K] by a weight [N, K], also in parts of K that are summed up. */
function* products(N: number, K: number): Iterable<Case> {
  const data = Float32Array.from({ length: N * K }, (_, i) => 0.01 * ((i * 7919) % 13));
  const kinds: [string, number, Weight][] = [
    ['f32', 4, float32(data, [N, K])],
    ['f16', 2, float16(encodeF16(data), [N, K])],
    ['q8', 1.125, quantize(data, [N, K], 8)],
    ['q4', 0.625, quantize(data, [N, K], 4)],
  ];
  for (const rows of [1, 8, 64, 256]) {
    for (const [dtype, bytes, weight] of kinds) {
      yield {
        what: `${dtype} product, ${rows} rows, ${K} to ${N}`,
        bytes: bytes * N * K,
        inputs: { x: ['float32', rows, K], w: ['float32', N, K] },
        outputs: ({ x, w }) => ({ y: linear(x!, w!) }),
        weights: { w: weight },
      };
    }
    for (const S of [4, 8, 16]) {
      yield {
        what: `f16 product in ${S} parts, ${rows} rows, ${K} to ${N}`,
        bytes: 2 * N * K,
        inputs: { x: ['float32', rows, K], w: ['float16', S, K / S, N] },
        outputs: ({ x, w }) => {
          const parts = transpose(reshape(cast(x!, 'float16'), [rows, S, K / S]), [1, 0, 2]);
          return { y: sum(cast(matmul(parts, w!), 'float32'), 0) };
        },
      };
    }
  }
}

/** The most probable of V tokens, for each of B rows. */
function* choices(B: number, V: number): Iterable<Case> {
  const of = {
    what: `argmax of ${V}, ${B} rows`,
    bytes: 4 * B * V,
    inputs: { x: ['float32', B, V] as const },
  };
  yield { ...of, outputs: ({ x }) => ({ y: argMax(x!) }) };
  const rows = (x: Tensor) => reshape(x, [B, 128, V / 128]);
  yield {
    ...of,
    what: `${of.what}, in 128 parts`,
    outputs: ({ x }) => ({ y: argMax(rows(x!)), top: argMax(max(rows(x!), -1, false)) }),
  };
}
