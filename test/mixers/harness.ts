/** Running mixers in tests: drawn weights and inputs, float64 evaluation and float32 programs side by side. */
import { expect } from 'vitest';
import {
  evaluate,
  gradients,
  input,
  type NdArray,
  ndarray,
  Program,
  type Shape,
  type Tensor,
  Value,
  type Values,
} from '../../src/graph/index.ts';
import { elements } from '../../src/graph/ndarray.ts';
import { topologicalOrder } from '../../src/graph/tensor.ts';
import type { Form } from '../../src/mixers/mixer.ts';
import { mixerOf } from '../../src/mixers/registry.ts';
import type { MixerContext, MixerSpec } from '../../src/mixers/spec.ts';
import type { Random } from '../../src/util/random.ts';

export interface Setup {
  spec: MixerSpec;
  context: MixerContext;
}

/** Named arrays; those of parameters, states and gradients by the mixer's names. */
export type Arrays = Record<string, NdArray>;

export interface Result {
  y: NdArray;
  state: Arrays;
}

/** Normally distributed values, exact in float32. */
export function draw(random: Random, shape: readonly number[], deviation = 1): NdArray {
  return ndarray(
    shape,
    Array.from({ length: elements(shape) }, () => Math.fround(deviation * random.normal())),
  );
}

/** Fresh parameters, moved away from their start, where ones and zeros would hide mistakes. */
export function drawParameters({ spec, context }: Setup, random: Random): Arrays {
  const list = mixerOf(spec).parameters(spec, context);
  return Object.fromEntries(
    list.map(({ name, shape, init }) => {
      const deviation = shape.length === 2 ? shape[1]! ** -0.5 : 0.3;
      const noise = draw(random, shape, deviation);
      return [
        name,
        ndarray(
          shape,
          noise.data.map((x, i) => Math.fround(x + init(random)[i]!)),
        ),
      ];
    }),
  );
}

/** A state as earlier tokens might have left it, of B sequences with P tokens for caches that grow. */
export function drawState({ spec, context }: Setup, random: Random, B: number, P: number): Arrays {
  return mapState({ spec, context }, B, P, (name, shape) => {
    if (name.endsWith('valid')) return ndarray(shape, new Float64Array(elements(shape)).fill(1));
    return draw(random, shape, 0.5);
  });
}

/** The state at the start of a sequence. */
export function emptyState(setup: Setup, B: number): Arrays {
  return mapState(setup, B, 0, (_name, shape) => ndarray(shape));
}

function mapState(
  { spec, context }: Setup,
  B: number,
  P: number,
  f: (name: string, shape: number[]) => NdArray,
): Arrays {
  const sizes: Record<string, number> = { B, P };
  const parts = mixerOf(spec).state(spec, context);
  return Object.fromEntries(
    parts.map(({ name, shape }) => [
      name,
      f(
        name,
        shape.map((dim) => (typeof dim === 'number' ? dim : sizes[dim]!)),
      ),
    ]),
  );
}

/** What a call gets besides the parameters. */
export interface Call {
  x: NdArray;
  state?: Arrays | undefined;
  /** [B, T] */
  mask?: NdArray | undefined;
  /** [B, T] */
  positions?: NdArray | undefined;
}

/** A mixer recorded for calls of one kind. */
export interface Recorded {
  inputs: Record<string, Tensor>;
  y: Tensor;
  state: Record<string, Tensor>;
}

const MAX_POSITIONS = 1024;

/** Records a mixer for `tokens` tokens, any batch, and the inputs that the call has. */
export function recordMixer({ spec, context }: Setup, form: Form, tokens: number, call: Call): Recorded {
  const mixer = mixerOf(spec);
  const inputs: Record<string, Tensor> = {};
  const declare = (name: string, shape: Shape, dtype: 'float32' | 'int64' = 'float32') => {
    inputs[name] = input(name, dtype, shape);
    return inputs[name];
  };
  const params = Object.fromEntries(
    mixer.parameters(spec, context).map(({ name, shape }) => [name, declare(`parameter ${name}`, shape)]),
  );
  const x = declare('x', ['B', tokens, context.hiddenSize]);
  const state = call.state
    ? Object.fromEntries(
        mixer.state(spec, context).map(({ name, shape }) => [name, declare(`state ${name}`, shape)]),
      )
    : undefined;
  const mask = call.mask && declare('mask', ['B', tokens]);
  const positions = call.positions && declare('positions', ['B', tokens], 'int64');
  const result = mixer.forward(spec, context, {
    x,
    params,
    form,
    ...(state ? { state } : {}),
    ...(mask ? { mask } : {}),
    ...(positions ? { positions } : {}),
    maxPositions: MAX_POSITIONS,
  });
  return { inputs, ...result };
}

/** The values of a call by the names of the recorded inputs. */
export function named(parameters: Arrays, call: Call): Arrays {
  const prefixed = (prefix: string, arrays: Arrays = {}) =>
    Object.fromEntries(Object.entries(arrays).map(([name, value]) => [`${prefix} ${name}`, value]));
  return {
    ...prefixed('parameter', parameters),
    ...prefixed('state', call.state),
    x: call.x,
    ...(call.mask ? { mask: call.mask } : {}),
    ...(call.positions ? { positions: call.positions } : {}),
  };
}

function feed(inputs: Record<string, Tensor>, values: Arrays): Map<Tensor, NdArray> {
  return new Map(Object.entries(inputs).map(([name, tensor]) => [tensor, values[name]!]));
}

/** Outputs evaluated in float64. */
export function evaluateAll(
  outputs: Record<string, Tensor>,
  inputs: Record<string, Tensor>,
  values: Arrays,
): Arrays {
  const results = evaluate(Object.values(outputs), feed(inputs, values));
  return Object.fromEntries(Object.keys(outputs).map((name, i) => [name, results[i]!]));
}

/** A program with float64 arrays around it. */
export class Runner {
  private constructor(
    private readonly program: Program,
    private readonly dtypes: ReadonlyMap<string, string>,
  ) {}

  static async compile(outputs: Record<string, Tensor>): Promise<Runner> {
    const nodes = topologicalOrder(Object.values(outputs)).filter(({ op }) => op.name === 'input');
    const dtypes = new Map(
      nodes.map(({ attributes, outputs: [x] }) => [attributes.name as string, x!.dtype]),
    );
    return new Runner(await Program.compile(outputs, { threads: 1 }), dtypes);
  }

  async run(values: Arrays): Promise<Arrays> {
    const feeds: Values = {};
    for (const [name, dtype] of this.dtypes) {
      const { shape, data } = values[name]!;
      feeds[name] =
        dtype === 'int64'
          ? new Value(
              'int64',
              BigInt64Array.from(data, (x) => BigInt(x)),
              shape,
            )
          : new Value('float32', Float32Array.from(data), shape);
    }
    const results = await this.program.run(feeds);
    return Object.fromEntries(
      Object.entries(results).map(([name, { dims, data }]) => [name, ndarray(dims, data as Float32Array)]),
    );
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}

const outputsOf = ({ y, state }: Recorded): Record<string, Tensor> => ({
  y,
  ...Object.fromEntries(Object.entries(state).map(([name, x]) => [`new ${name}`, x])),
});

function resultOf({ y, ...rest }: Arrays): Result {
  return {
    y: y!,
    state: Object.fromEntries(Object.entries(rest).map(([name, x]) => [name.slice('new '.length), x])),
  };
}

/** One call in float64. */
export function exactly(setup: Setup, form: Form, parameters: Arrays, call: Call): Result {
  const recorded = recordMixer(setup, form, call.x.shape[1]!, call);
  return resultOf(evaluateAll(outputsOf(recorded), recorded.inputs, named(parameters, call)));
}

/** One call as a float32 program. */
export async function inFloat32(setup: Setup, form: Form, parameters: Arrays, call: Call): Promise<Result> {
  const recorded = recordMixer(setup, form, call.x.shape[1]!, call);
  const runner = await Runner.compile(outputsOf(recorded));
  const result = resultOf(await runner.run(named(parameters, call)));
  await runner.dispose();
  return result;
}

/** The decode step as a float32 program, token by token from a state on. Positions go on from `position`. */
export async function stepByStep(
  setup: Setup,
  parameters: Arrays,
  x: NdArray,
  state: Arrays,
  position: number | readonly number[],
): Promise<Result> {
  const [B, T, D] = x.shape as [number, number, number];
  const at = (b: number, t: number) => (typeof position === 'number' ? position : position[b]!) + t;
  const callAt = (t: number, from: Arrays): Call => ({
    x: slice(x, 1, t, t + 1),
    state: from,
    positions: ndarray(
      [B, 1],
      Array.from({ length: B }, (_, b) => at(b, t)),
    ),
  });
  const runner = await Runner.compile(outputsOf(recordMixer(setup, 'recurrent', 1, callAt(0, state))));
  const y = ndarray([B, T, D]);
  let current = state;
  for (let t = 0; t < T; t++) {
    const result = resultOf(await runner.run(named(parameters, callAt(t, current))));
    for (let b = 0; b < B; b++) {
      y.data.set(result.y.data.subarray(b * D, (b + 1) * D), (b * T + t) * D);
    }
    current = result.state;
  }
  await runner.dispose();
  return { y, state: current };
}

/** Gradients of the sum of the outputs times drawn weights, recorded: of the parameters, x and the state given. */
export function recordGradients(recorded: Recorded): {
  seeds: Record<string, Tensor>;
  gradients: Record<string, Tensor>;
} {
  // What is told of a cache, such as which places are taken, is no function of the weights.
  const outputs = Object.entries(outputsOf(recorded)).filter(([name]) => !name.endsWith('valid'));
  const seeds = Object.fromEntries(
    outputs.map(([name, output]) => [`seed ${name}`, input(`seed ${name}`, 'float32', output.shape)]),
  );
  const wanted = Object.entries(recorded.inputs).filter(
    ([name]) => !['mask', 'positions'].includes(name) && !name.endsWith('valid'),
  );
  const list = gradients(
    outputs.map(([name, output]) => ({ output, seed: seeds[`seed ${name}`]! })),
    wanted.map(([, tensor]) => tensor),
  );
  return { seeds, gradients: Object.fromEntries(wanted.map(([name], i) => [name, list[i]!])) };
}

/** Elements start <= i < end of one axis. */
export function slice(x: NdArray, axis: number, start: number, end: number): NdArray {
  const inner = elements(x.shape.slice(axis + 1));
  const outer = elements(x.shape.slice(0, axis));
  const size = x.shape[axis]!;
  const shape = x.shape.map((dim, i) => (i === axis ? end - start : dim));
  const data = new Float64Array(elements(shape));
  for (let o = 0; o < outer; o++) {
    const from = (o * size + start) * inner;
    data.set(x.data.subarray(from, from + (end - start) * inner), o * (end - start) * inner);
  }
  return ndarray(shape, data);
}

/** Largest difference in units of the largest expected value. */
function difference(actual: NdArray, expected: NdArray): number {
  const largest = expected.data.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30);
  let worst = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const error = Math.abs(actual.data[i]! - expected.data[i]!);
    if (Number.isNaN(error)) return Number.NaN;
    worst = Math.max(worst, error);
  }
  return worst / largest;
}

export function expectClose(what: string, actual: NdArray, expected: NdArray, tolerance: number): void {
  expect(actual.shape, `${what}: shape`).toEqual(expected.shape);
  expect(difference(actual, expected), what).toBeLessThanOrEqual(tolerance);
}

export function expectSame(what: string, actual: Result, expected: Result, tolerance: number): void {
  expectClose(`${what}: y`, actual.y, expected.y, tolerance);
  expect(Object.keys(actual.state).sort()).toEqual(Object.keys(expected.state).sort());
  for (const [name, value] of Object.entries(expected.state)) {
    expectClose(`${what}: state ${name}`, actual.state[name]!, value, tolerance);
  }
}
