/**
 * Choices inside the graph engine, each measured against its alternatives, on two threads or as many as THREADS
 * says: `npm run bench -- graph [section...]`.
 */
import { InferenceSession, type Tensor as Value } from 'onnxruntime-node';
import {
  add,
  cumsum,
  type DType,
  expand,
  fill,
  float32,
  grad,
  gradients,
  input,
  int64,
  linear,
  logSoftmax,
  matmul,
  mean,
  mul,
  pick,
  reciprocal,
  reshape,
  rmsNorm,
  type Shape,
  scatterAddRows,
  sigmoid,
  silu,
  softmax,
  sqrt,
  sub,
  sum,
  swapLast,
  type Tensor,
  unsqueeze,
} from '../src/graph/index.ts';
import { ndarray } from '../src/graph/ndarray.ts';
import { type Emitter, writeOnnx } from '../src/graph/onnx.ts';
import { type Node, record, topologicalOrder } from '../src/graph/tensor.ts';
import { compare, type Variant } from './compare.ts';

type SessionOptions = InferenceSession.SessionOptions;

const THREADS = Number(process.env.THREADS ?? 2);

/** A session with options of one's choice; inputs and outputs are called by their names. */
async function session(
  outputs: Record<string, Tensor>,
  options: SessionOptions = {},
  weights: ReadonlyMap<Tensor, Value> = new Map(),
): Promise<InferenceSession> {
  const inputs = topologicalOrder(Object.values(outputs))
    .filter((node) => node.op.name === 'input')
    .map((node) => node.outputs[0]!);
  const nameOf = (x: Tensor) => x.node.attributes.name as string;
  const external = new Map(
    [...weights].map(([x, value]) => [
      x,
      { location: nameOf(x), bytes: (value.data as Float32Array).byteLength },
    ]),
  );
  const model = writeOnnx(outputs, new Map(inputs.map((x) => [x, nameOf(x)])), external, 'cpu');
  return InferenceSession.create(model, {
    intraOpNumThreads: THREADS,
    extra: { session: { force_spinning_stop: '1' } },
    logSeverityLevel: 3,
    ...(weights.size > 0
      ? {
          externalData: [...weights].map(([x, value]) => ({
            path: nameOf(x),
            data: new Uint8Array((value.data as Float32Array).buffer),
          })),
        }
      : {}),
    ...options,
  });
}

function values(shape: readonly number[], scale = 1): Value {
  const size = shape.reduce((a, b) => a * b, 1);
  return float32(
    Float32Array.from({ length: size }, (_, i) => scale * Math.sin(i * 12.9898)),
    shape,
  );
}

/** A variant that runs one graph on fixed values; `weights` are initialisers instead. */
async function variant(
  name: string,
  outputs: Record<string, Tensor>,
  feeds: Record<string, Value>,
  weights?: ReadonlyMap<Tensor, Value>,
): Promise<Variant> {
  const s = await session(outputs, {}, weights);
  const given = Object.fromEntries(s.inputNames.map((input) => [input, feeds[input]!]));
  // Results go to the same memory each time, as in training.
  const into = await s.run(given);
  return { name, run: () => s.run(given, into) };
}

/** An op that emits what is given: alternatives that the engine does not use. */
function raw(
  inputs: Tensor[],
  dtype: DType,
  shape: Shape,
  emit: (emitter: Emitter, names: string[], node: Node) => string,
): Tensor {
  const evaluate = () => {
    throw new Error('only emitted');
  };
  const op = {
    name: `raw${Math.random()}`,
    emit: (e: Emitter, n: string[], node: Node) => [emit(e, n, node)],
  };
  return record({ ...op, evaluate }, inputs, {}, dtype, shape);
}

/** Spinning threads: several programs in turn, as layer by layer training calls them. */
async function spinning(): Promise<void> {
  const layer = (i: number) => {
    const x = input('x', 'float32', ['T', 576]);
    const [up, down] = [input('up', 'float32', [1536, 576]), input('down', 'float32', [576, 1536])];
    return { y: linear(silu(mul(linear(x, up), 1 + i / 10)), down) };
  };
  const feeds = { x: values([256, 576]), up: values([1536, 576], 0.05), down: values([576, 1536], 0.05) };
  const sessionOptions: Record<string, Record<string, string>> = {
    'stopped after 100 us and after a run (engine)': {
      force_spinning_stop: '1',
      'intra_op.spin_duration_us': '100',
    },
    'stopped after a run': { force_spinning_stop: '1' },
    'default of ONNX Runtime': {},
    'no spinning': { 'intra_op.allow_spinning': '0' },
    'spinning for 20 us, stopped at the end': { force_spinning_stop: '1', 'intra_op.spin_duration_us': '20' },
  };
  for (const count of [1, 8]) {
    const variants: Variant[] = [];
    for (const [name, options] of Object.entries(sessionOptions)) {
      const nested: Record<string, unknown> = {};
      for (const [key, value] of Object.entries(options)) {
        const [first, second] = key.split('.') as [string, string?];
        nested[first] = second ? { [second]: value } : value;
      }
      const programs = await Promise.all(
        Array.from({ length: count }, (_, i) => session(layer(i), { extra: { session: nested } })),
      );
      variants.push({
        name,
        run: async () => {
          for (let round = 0; round < 8 / count; round++) {
            for (const program of programs) await program.run(feeds);
          }
        },
      });
    }
    await compare(`spinning: 8 runs over ${count} programs`, variants);
  }
}

async function activation(): Promise<void> {
  const x = input('x', 'float32', [1024, 1536]);
  const quick = raw([x], 'float32', x.shape, (e, names) =>
    e.node('QuickGelu', names, { alpha: 1 }, { domain: 'com.microsoft' }),
  );
  const feeds = { x: values([1024, 1536], 3) };
  await compare('silu [1024, 1536]', [
    await variant('Mul and Sigmoid', { y: mul(x, sigmoid(x)) }, feeds),
    await variant('QuickGelu', { y: quick }, feeds),
    await variant('silu of the engine', { y: silu(x) }, feeds),
  ]);
}

async function norm(): Promise<void> {
  for (const [T, D] of [
    [1024, 576],
    [4096, 128],
  ] as const) {
    const [x, w, dy] = [
      input('x', 'float32', [T, D]),
      input('w', 'float32', [D]),
      input('dy', 'float32', [T, D]),
    ];
    const plain = mul(mul(x, reciprocal(sqrt(add(mean(mul(x, x), -1, true), 1e-6)))), w);
    const fused = rmsNorm(x, w, 1e-6);
    const feeds = { x: values([T, D]), w: values([D]), dy: values([T, D]) };
    const both = (output: Tensor) => {
      const [dx, dw] = gradients([{ output, seed: dy }], [x, w]) as [Tensor, Tensor];
      return { output, dx, dw };
    };
    await compare(`rmsNorm [${T}, ${D}]`, [
      await variant('primitives', { y: plain }, feeds),
      await variant('SimplifiedLayerNormalization', { y: fused }, feeds),
    ]);
    await compare(`rmsNorm [${T}, ${D}] and its gradients`, [
      await variant('primitives', both(plain), feeds),
      await variant('SimplifiedLayerNormalization', both(fused), feeds),
    ]);
  }
}

/** Does memory grow when one program meets ever other lengths? */
async function memory(): Promise<void> {
  const build = () => {
    const x = input('x', 'float32', ['T', 576]);
    const w = input('w', 'float32', [1536, 576]);
    const down = input('down', 'float32', [576, 1536]);
    const loss = mean(mul(linear(silu(linear(x, w)), down), x));
    const [dw, dx] = grad(loss, [w, x]) as [Tensor, Tensor];
    return { loss, dx, dw };
  };
  const weights = { w: values([1536, 576], 0.05), down: values([576, 1536], 0.05) };
  // Inputs and results are views of memory that is there from the start: what is added is ONNX Runtime's.
  const [x, dx] = [new Float32Array(2048 * 576).fill(0.1), new Float32Array(2048 * 576).fill(0.1)];
  const [loss, dw] = [values([]), values([1536, 576])];
  console.log('\nmemory over 60 runs of one program with lengths from 16 to 2048 (MB of resident set)');
  for (const [name, options] of [
    ['warm-up', {}],
    ['arena and pattern (default)', {}],
    ['arena, no pattern', { enableMemPattern: false }],
    ['no arena', { enableCpuMemArena: false }],
    ['no arena, no pattern', { enableCpuMemArena: false, enableMemPattern: false }],
  ] as const) {
    const s = await session(build(), options);
    const rss = () => Math.round(process.memoryUsage().rss / 1e6);
    const before = rss();
    const points: number[] = [];
    const cpu = process.cpuUsage();
    for (let i = 0; i < 60; i++) {
      const T = 16 + ((i * 677) % 2033);
      const part = (data: Float32Array) => float32(data.subarray(0, T * 576), [T, 576]);
      await s.run({ ...weights, x: part(x) }, { loss, dx: part(dx), dw });
      if (i % 12 === 11) points.push(rss() - before);
    }
    const { user, system } = process.cpuUsage(cpu);
    await s.release();
    console.log(
      `  ${name.padEnd(30)} ${points.map((p) => `+${p}`).join(' ')}, released +${rss() - before}, ` +
        `${Math.round((user + system) / 60_000)} ms of processor time a run`,
    );
  }
}

async function product(): Promise<void> {
  for (const [M, K, N] of [
    [1024, 576, 576],
    [1024, 576, 1536],
    [2048, 128, 384],
  ] as const) {
    const x = input('x', 'float32', [M, K]);
    const [w, wt] = [input('w', 'float32', [N, K]), input('wt', 'float32', [K, N])];
    const dy = input('dy', 'float32', [M, N]);
    const feeds = {
      x: values([M, K]),
      w: values([N, K]),
      wt: values([K, N]),
      dy: values([M, N]),
    };
    const gflop = (2 * M * K * N) / 1e9;
    const show = async (title: string, variants: Variant[]) => {
      const timings = await compare(`${title} [${M},${K}]x[${K},${N}]`, variants, 2);
      console.log(
        `  ${timings.map(({ median }) => ((1000 * gflop) / median).toFixed(0)).join(' / ')} GFLOP/s`,
      );
    };
    await show('y = x W^T', [
      await variant('W as stored, input, FusedMatMul', { y: linear(x, w) }, feeds),
      await variant('W as stored, input, Transpose', { y: matmul(x, swapLast(w)) }, feeds),
      await variant('W transposed, input', { y: matmul(x, wt) }, feeds),
      await variant('W as stored, initialiser', { y: linear(x, w) }, feeds, new Map([[w, feeds.w]])),
      await variant('W transposed, initialiser', { y: matmul(x, wt) }, feeds, new Map([[wt, feeds.wt]])),
    ]);
    await show('dx = dy W', [
      await variant('W as stored, input', { dx: matmul(dy, w) }, feeds),
      await variant('W transposed, input, FusedMatMul', { dx: matmul(dy, wt, { transB: true }) }, feeds),
      await variant('W as stored, initialiser', { dx: matmul(dy, w) }, feeds, new Map([[w, feeds.w]])),
    ]);
    await show('dW', [
      await variant('dW [N,K] = dy^T x, FusedMatMul', { dw: matmul(dy, x, { transA: true }) }, feeds),
      await variant('dW [N,K] = dy^T x, Transpose', { dw: matmul(swapLast(dy), x) }, feeds),
      await variant('dW^T [K,N] = x^T dy, FusedMatMul', { dw: matmul(x, dy, { transA: true }) }, feeds),
      await variant('dW^T [K,N] = x^T dy, Transpose', { dw: matmul(swapLast(x), dy) }, feeds),
    ]);
  }
}

async function runningSum(): Promise<void> {
  const C = 64;
  const triangle = (e: Emitter, upper: boolean) =>
    e.constant(
      'float32',
      ndarray(
        [C, C],
        Array.from({ length: C * C }, (_, n) =>
          Number(upper ? Math.floor(n / C) <= n % C : Math.floor(n / C) >= n % C),
        ),
      ),
    );
  const a = input('x', 'float32', [288, C]);
  const rows = raw([a], 'float32', a.shape, (e, [x]) => e.node('MatMul', [x!, triangle(e, true)]));
  await compare('running sum over the last axis of [288, 64]', [
    await variant('CumSum', { y: cumsum(a) }, { x: values([288, C]) }),
    await variant('product with a triangle of ones', { y: rows }, { x: values([288, C]) }),
  ]);
  const b = input('x', 'float32', [288, C, 64]);
  const columns = raw([b], 'float32', b.shape, (e, [x]) => e.node('MatMul', [triangle(e, false), x!]));
  await compare('running sum over the middle axis of [288, 64, 64]', [
    await variant('CumSum', { y: cumsum(b, 1) }, { x: values([288, C, 64]) }),
    await variant('product with a triangle of ones', { y: columns }, { x: values([288, C, 64]) }),
  ]);
}

/** The gradient of an embedding. */
async function scatter(): Promise<void> {
  const [N, D, V] = [4096, 128, 1024];
  const rows = input('rows', 'float32', [N, D]);
  const ids = input('ids', 'int64', [N]);
  const feeds = {
    rows: values([N, D]),
    ids: int64(
      Array.from({ length: N }, (_, i) => (i * 7919) % V),
      [N],
    ),
  };
  const zeros = fill(0, [V, D]);
  const nd = raw([zeros, unsqueeze(ids, 1), rows], 'float32', [V, D], (e, names) =>
    e.node('ScatterND', names, { reduction: 'add' }),
  );
  const hot = raw([ids, rows], 'float32', [V, D], (e, [i, r]) => {
    const classes = e.constant(
      'int64',
      ndarray(
        [V, 1],
        Array.from({ length: V }, (_, k) => k),
      ),
    );
    return e.node('MatMul', [e.cast(e.node('Equal', [classes, i!]), 'float32'), r!]);
  });
  await compare(`rows [${N}, ${D}] added into [${V}, ${D}]`, [
    await variant('ScatterElements (engine)', { y: scatterAddRows(rows, ids, [V, D]) }, feeds),
    await variant('ScatterND (loses rows on two threads)', { y: nd }, feeds),
    await variant('one-hot product', { y: hot }, feeds),
  ]);
}

async function attention(): Promise<void> {
  const [B, H, T, K] = [16, 4, 256, 32];
  const shape = [B, H, T, K];
  const [q, k, v, dy] = ['q', 'k', 'v', 'dy'].map((name) => input(name, 'float32', shape)) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  const [s, ds] = [input('s', 'float32', [B, H, T, T]), input('ds', 'float32', [B, H, T, T])];
  const feeds = {
    q: values(shape),
    k: values(shape),
    v: values(shape),
    dy: values(shape),
    s: values([B, H, T, T]),
    ds: values([B, H, T, T]),
  };
  const y = softmax(s);
  /** Row by row, as products of one row with one column. */
  const dot = (a: Tensor, b: Tensor) => matmul(unsqueeze(a, -2), unsqueeze(b, -2), { transB: true });
  await compare(`softmax of [${B}, ${H}, ${T}, ${T}]`, [
    await variant('forward', { y }, feeds),
    await variant('forward and gradient of the engine', { dx: grad(y, [s], ds)[0]! }, feeds),
    await variant(
      'forward and y (dy - dy . y)',
      { dx: mul(y, sub(ds, reshape(dot(ds, y), [B, H, T, 1]))) },
      feeds,
    ),
    await variant(
      'forward and y (dy - sum(dy y))',
      { dx: mul(y, sub(ds, sum(mul(ds, y), -1, true))) },
      feeds,
    ),
  ]);
  const scores = softmax(matmul(q, k, { transB: true, alpha: K ** -0.5 }));
  const output = matmul(scores, v);
  const [dq, dk, dv] = gradients([{ output, seed: dy }], [q, k, v]) as [Tensor, Tensor, Tensor];
  // sum_j dP_ij P_ij = sum_d dO_id O_id, a sum over the head instead of over the keys.
  const dp = matmul(dy, v, { transB: true });
  const dS = mul(scores, sub(dp, sum(mul(dy, output), -1, true)));
  const alpha = K ** -0.5;
  const byHead = {
    output,
    dq: matmul(dS, k, { alpha }),
    dk: matmul(dS, q, { transA: true, alpha }),
    dv: matmul(scores, dy, { transA: true }),
  };
  await compare(`attention [${shape}]`, [
    await variant('forward', { output }, feeds),
    await variant('forward and gradients of the engine', { output, dq, dk, dv }, feeds),
    await variant('with the row sums over the head', byHead, feeds),
  ]);
}

/** Cross entropy over a vocabulary: the gradient of a picked log-probability. */
async function crossEntropy(): Promise<void> {
  const [T, V] = [1024, 8192];
  const logits = input('logits', 'float32', [T, V]);
  const targets = input('targets', 'int64', [T, 1]);
  const feeds = {
    logits: values([T, V]),
    targets: int64(
      Array.from({ length: T }, (_, i) => (i * 31) % V),
      [T, 1],
    ),
  };
  const loss = mean(pick(logSoftmax(logits), targets));
  const hot = raw([targets], 'float32', [T, V], (e, [t]) => {
    const classes = e.constant(
      'int64',
      ndarray(
        [1, V],
        Array.from({ length: V }, (_, k) => k),
      ),
    );
    return e.cast(e.node('Equal', [classes, t!]), 'float32');
  });
  const direct = mul(sub(softmax(logits), hot), expand(fill(-1 / T, [1, 1]), [T, V]));
  await compare(`cross entropy [${T}, ${V}]`, [
    await variant('loss and gradient of the engine', { loss, dx: grad(loss, [logits])[0]! }, feeds),
    await variant('loss, softmax less one-hot', { loss, dx: direct }, feeds),
  ]);
}

const SECTIONS: Record<string, () => Promise<void>> = {
  spinning,
  activation,
  norm,
  memory,
  product,
  runningSum,
  scatter,
  attention,
  crossEntropy,
};

export async function main(args: string[]): Promise<void> {
  for (const name of args.length > 0 ? args : Object.keys(SECTIONS)) {
    const section = SECTIONS[name];
    if (!section) throw new Error(`no section ${name}; there are ${Object.keys(SECTIONS).join(', ')}`);
    await section();
  }
}
