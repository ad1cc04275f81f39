/**
 * The three checks of the op suite: `evaluate` against the case's expectation, the gradients against central
 * finite differences in float64, and the program of outputs and gradients against `evaluate`.
 */
import { expect } from 'vitest';
import { bindShape } from '../../src/graph/dim.ts';
import { bindInputs } from '../../src/graph/evaluate.ts';
import {
  type DType,
  evaluate,
  gradients,
  input,
  isFloat,
  type NdArray,
  ndarray,
  Program,
  type Tensor,
  Value,
} from '../../src/graph/index.ts';
import { elements } from '../../src/graph/ndarray.ts';
import { encodeF16, halfToFloat } from '../../src/model/float-bits.ts';
import { Random } from '../../src/util/random.ts';
import { at, indices, type OpCase, type Sizes } from './op-case.ts';

/** A case recorded: the result, a seed of its shape, and the gradients of the inputs that take one. */
interface Recorded {
  inputs: Record<string, Tensor>;
  result: Tensor;
  seed: Tensor | null;
  gradients: Record<string, Tensor>;
}

function recordCase(opCase: OpCase, float: 'float32' | 'float16' = 'float32'): Recorded {
  const inputs: Record<string, Tensor> = {};
  for (const [name, { dtype = 'float32', shape }] of Object.entries(opCase.inputs)) {
    inputs[name] = input(name, dtype === 'float32' ? float : dtype, shape);
  }
  const result = opCase.build(inputs);
  const wanted = Object.keys(inputs).filter((name) => opCase.inputs[name]!.gradient !== false);
  if (wanted.length === 0 || !isFloat(result.dtype)) return { inputs, result, seed: null, gradients: {} };
  const seed = input('seed', result.dtype, result.shape);
  const list = gradients(
    [{ output: result, seed }],
    wanted.map((name) => inputs[name]!),
  );
  const named = Object.fromEntries(wanted.map((name, i) => [name, list[i]!]));
  return { inputs, result, seed, gradients: named };
}

type Feeds = Map<Tensor, NdArray>;

/** Values for the inputs and the seed, exact in the inputs' types. */
function drawFeeds(opCase: OpCase, { inputs, result, seed }: Recorded, sizes: Sizes): Feeds {
  const random = new Random(7);
  const bindings = new Map(Object.entries(sizes));
  const draw = (x: Tensor, value: (i: number) => number) => {
    const shape = bindShape(x.shape, bindings);
    return ndarray(
      shape,
      Array.from({ length: elements(shape) }, (_, i) => rounded(value(i), x.dtype)),
    );
  };
  const feeds: Feeds = new Map();
  for (const [name, x] of Object.entries(inputs)) {
    const { draw: value = () => random.normal() } = opCase.inputs[name]!;
    feeds.set(
      x,
      draw(x, (i) => value(random, i, sizes)),
    );
  }
  if (seed) {
    // The sizes of the result may be known by the inputs alone.
    const known = bindInputs([...feeds].map(([tensor, { shape }]) => ({ tensor, shape })));
    const shape = bindShape(result.shape, known);
    const data = Array.from({ length: elements(shape) }, () => rounded(random.normal(), seed.dtype));
    feeds.set(seed, ndarray(shape, data));
  }
  return feeds;
}

function rounded(value: number, dtype: DType): number {
  if (dtype === 'float32') return Math.fround(value);
  return dtype === 'float16' ? halfToFloat(encodeF16(Float32Array.of(value))[0]!) : value;
}

/** (a) The float64 evaluation against the expectation of the case. */
export function checkDefinition(opCase: OpCase, sizes: Sizes): void {
  const recorded = recordCase(opCase);
  const feeds = drawFeeds(opCase, recorded, sizes);
  const [result] = evaluate([recorded.result], feeds) as [NdArray];
  const known = bindInputs([...feeds].map(([tensor, { shape }]) => ({ tensor, shape })));
  expect(result.shape, 'shape').toEqual(bindShape(recorded.result.shape, known));
  if (!opCase.expect) return;
  const values = Object.fromEntries(
    Object.entries(recorded.inputs).map(([name, x]) => [name, feeds.get(x)!]),
  );
  const expected = indices(result.shape).map((index) => opCase.expect!(values, index, sizes));
  expectClose('evaluate', result, ndarray(result.shape, expected), 1e-12);
}

/** (b) The gradients in float64 against central finite differences. */
export function checkGradient(opCase: OpCase, sizes: Sizes): void {
  const recorded = recordCase(opCase);
  const { inputs, result, seed } = recorded;
  if (!seed) return;
  const feeds = drawFeeds(opCase, recorded, sizes);
  const objective = (changed: Feeds) => {
    const [value] = evaluate([result], changed) as [NdArray];
    return value.data.reduce((sum, v, i) => sum + v * feeds.get(seed)!.data[i]!, 0);
  };
  const names = Object.keys(recorded.gradients);
  const analytic = evaluate(Object.values(recorded.gradients), feeds);
  const step = 1e-5;
  for (const [k, name] of names.entries()) {
    const x = inputs[name]!;
    const value = feeds.get(x)!;
    const numeric = value.data.map((_, i) => {
      const moved = (by: number) => {
        const copy = ndarray(value.shape, value.data);
        copy.data[i]! += by;
        return objective(new Map(feeds).set(x, copy));
      };
      return (moved(step) - moved(-step)) / (2 * step);
    });
    expect(analytic[k]!.shape, `shape of the gradient of ${name}`).toEqual(value.shape);
    expectClose(`gradient of ${name}`, analytic[k]!, { shape: value.shape, data: numeric }, 1e-6);
  }
}

interface ProgramOptions {
  device?: 'cpu' | 'webgpu';
  float?: 'float32' | 'float16';
  profile?: string;
}

/** (c) The program against the float64 evaluation, gradients included, for each of the case's sizes. */
export async function checkProgram(
  opCase: OpCase,
  { device = 'cpu', float = 'float32', profile }: ProgramOptions = {},
): Promise<void> {
  const recorded = recordCase(opCase, float);
  const outputs: Record<string, Tensor> = { result: recorded.result };
  for (const [name, gradient] of Object.entries(recorded.gradients)) outputs[`d${name}`] = gradient;
  const program = await Program.compile(outputs, { device, threads: 1, profile });
  try {
    for (const sizes of opCase.sizes ?? [{}]) {
      const feeds = drawFeeds(opCase, recorded, sizes);
      const expected = evaluate(Object.values(outputs), feeds);
      const given = Object.fromEntries(
        program.inputNames.map((name) => {
          const x = name === 'seed' ? recorded.seed! : recorded.inputs[name]!;
          return [name, ortValue(feeds.get(x)!, x.dtype)];
        }),
      );
      const results = await program.run(given);
      for (const [i, name] of Object.keys(outputs).entries()) {
        const title = `${name} for ${JSON.stringify(sizes)}`;
        expect(results[name]!.type, title).toBe(outputs[name]!.dtype);
        expectClose(
          title,
          arrayOf(results[name]!),
          expected[i]!,
          float === 'float32' ? (opCase.tolerance ?? 1e-5) : 6e-3,
        );
      }
    }
  } finally {
    await program.dispose();
  }
}

/** An array as ONNX Runtime takes it. */
function ortValue({ shape, data }: NdArray, dtype: DType): Value {
  switch (dtype) {
    case 'float32':
      return new Value(dtype, Float32Array.from(data), shape);
    case 'float16':
      return new Value(dtype, encodeF16(Float32Array.from(data)), shape);
    case 'int32':
      return new Value(dtype, Int32Array.from(data), shape);
    case 'int64':
      return new Value(
        dtype,
        BigInt64Array.from(data, (x) => BigInt(x)),
        shape,
      );
    case 'bool':
    case 'uint8':
      return new Value(dtype, Uint8Array.from(data), shape);
    case 'int8':
      return new Value(dtype, Int8Array.from(data), shape);
    default:
      return dtype satisfies never;
  }
}

function arrayOf(value: Value): NdArray {
  const data = value.data as ArrayLike<number | bigint>;
  const numbers =
    value.type === 'float16' ? Array.from(data as Uint16Array, halfToFloat) : Array.from(data, Number);
  return ndarray(value.dims, numbers);
}

/** Equal shapes, and no difference above the tolerance times the larger of 1 and the largest element. */
export function expectClose(what: string, actual: NdArray, expected: NdArray, tolerance: number): void {
  expect(actual.shape, `shape of ${what}`).toEqual(expected.shape);
  const scale = expected.data.reduce((top, x) => Math.max(top, Math.abs(x)), 1);
  for (const index of indices(expected.shape)) {
    const [a, b] = [at(actual, index), at(expected, index)];
    if (!(Math.abs(a - b) <= tolerance * scale)) {
      expect.fail(`${what}: ${a} at [${index}], expected ${b} within ${tolerance * scale}`);
    }
  }
}
