import { createHash } from 'node:crypto';
import { env, InferenceSession, Tensor as Value } from 'onnxruntime-node';
import { bindDim, bindShape, type Dim, showShape } from './dim.ts';
import { bindInputs } from './evaluate.ts';
import { type Device, type ExternalWeight, writeOnnx } from './onnx.ts';
import { type DType, GraphError, type Tensor, topologicalOrder } from './tensor.ts';
import { requireWebGpu } from './webgpu.ts';

/**
 * Compiled graphs. A program is compiled once, cached by the structure of its graph, run any number of times
 * and disposed of explicitly.
 */

export { Value };

/** Of ONNX Runtime. */
export const ENGINE_VERSION = env.versions.node ?? 'unknown';
export type Values = Record<string, Value>;

export interface CompileOptions {
  device?: Device;
  /**
   * Inputs whose values are fixed: they become initialisers, which ONNX Runtime pre-packs for its kernels. Held
   * as external data, so that all together may exceed the 2 GB of a protobuf; a single one may not. A program with initialisers is not
   * shared.
   */
  weights?: ReadonlyMap<Tensor, Value>;
  /** Threads of one op; 0 lets ONNX Runtime take all cores. */
  threads?: number;
  /**
   * Outputs left on the device, for webgpu: 'all' or their names. Such a value is an input of other runs, and is
   * freed by its `dispose()`. To read it, run a program that passes it through: onnxruntime-node's `getData()`
   * ends the process.
   */
  keepOnDevice?: 'all' | readonly string[];
  /** Writes a profile per op to a file with this prefix when the program is disposed of. */
  profile?: string;
}

interface Shared {
  session: Promise<InferenceSession>;
  users: number;
}

const sessions = new Map<string, Shared>();

/** In the model, inputs and outputs are named by position: names do not matter to which programs are alike. */
const inputName = (i: number) => `i${i}`;
const outputName = (i: number) => `o${i}`;

export class Program {
  private disposed = false;
  private readonly running = new Set<Promise<unknown>>();

  private constructor(
    private readonly session: InferenceSession,
    /** By name: the tensor, and what the session calls it. */
    private readonly inputs: ReadonlyMap<string, Port>,
    private readonly outputs: ReadonlyMap<string, Port>,
    /** Dimensions that must not be 0, with the op that needs them. */
    private readonly nonEmpty: ReadonlyMap<Dim, string>,
    private readonly free: () => Promise<void>,
  ) {}

  /**
   * Compiles the graph of the outputs. Programs without weights share a session when their graphs and options
   * are alike, whatever their inputs and outputs are called.
   *
   * @throws GraphError where two inputs have one name, a weight does not fit its input, or the device is not to
   *   be had: there is no falling back to another one
   */
  static async compile(outputs: Record<string, Tensor>, options: CompileOptions = {}): Promise<Program> {
    const { device = 'cpu', weights = new Map(), threads = 0, keepOnDevice, profile } = options;
    const names = Object.keys(outputs);
    for (const name of keepOnDevice === 'all' ? [] : (keepOnDevice ?? [])) {
      if (!outputs[name]) throw new GraphError(`keepOnDevice: no output is called ${name}; ${among(names)}`);
    }
    const inputs = inputsOf(Object.values(outputs));
    const external = externalWeights(inputs, weights);
    const model = writeOnnx(
      Object.fromEntries(names.map((name, i) => [outputName(i), outputs[name]!])),
      new Map(inputs.map((x, i) => [x, inputName(i)])),
      external,
      device,
    );
    const nonEmpty = new Map<Dim, string>();
    for (const node of topologicalOrder(Object.values(outputs))) {
      for (const dim of node.op.nonEmpty?.(node, device) ?? []) {
        if (dim === 0) throw new GraphError(`${node.op.name}: a dimension is 0 that must not be`);
        if (typeof dim === 'string') nonEmpty.set(dim, node.op.name);
      }
    }
    const kept = names.map((name) => keepOnDevice === 'all' || !!keepOnDevice?.includes(name));
    const sessionOptions: InferenceSession.SessionOptions = {
      executionProviders: [device],
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
      // Many programs live side by side: threads that wait must not keep a core busy, least of all after a run.
      extra: {
        session: { force_spinning_stop: '1', intra_op: { spin_duration_us: '100' } },
        optimization: {
          // It would undo what matmul's emission chose.
          disable_specified_optimizers: 'MatmulTransposeFusion',
          // Large fills are made when they are needed; the folded transpose of a weight is worth its memory.
          ...(external.size === 0 ? { constant_folding_max_output_size_in_bytes: '1000000' } : {}),
        },
      },
      ...(external.size > 0
        ? {
            externalData: [...external].map(([x, { location }]) => ({
              path: location,
              data: bytesOf(weights.get(x)!),
            })),
          }
        : {}),
      ...(keepOnDevice
        ? {
            preferredOutputLocation: Object.fromEntries(
              kept.map((keep, i) => [outputName(i), keep ? 'gpu-buffer' : 'cpu']),
            ),
          }
        : {}),
      ...(profile ? { enableProfiling: true, profileFilePrefix: profile } : {}),
      logSeverityLevel: 3,
    };
    if (device === 'webgpu') await requireWebGpu();
    const build = () => InferenceSession.create(model, sessionOptions);
    const fed = new Map<string, Port>();
    for (const [i, tensor] of inputs.entries()) {
      if (!external.has(tensor)) fed.set(nameOf(tensor), { tensor, port: inputName(i) });
    }
    const results = new Map(names.map((name, i) => [name, { tensor: outputs[name]!, port: outputName(i) }]));
    if (external.size > 0 || profile) {
      const session = await build();
      return new Program(session, fed, results, nonEmpty, release(session, profile !== undefined));
    }
    const key = createHash('sha256')
      .update(model)
      .update(JSON.stringify({ device, threads, kept }))
      .digest('hex');
    const shared = sessions.get(key) ?? { session: build(), users: 0 };
    shared.users++;
    sessions.set(key, shared);
    const forget = () => {
      if (sessions.get(key) === shared) sessions.delete(key);
    };
    try {
      return new Program(await shared.session, fed, results, nonEmpty, async () => {
        if (--shared.users > 0) return;
        forget();
        await (await shared.session).release();
      });
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** The inputs that each run must give, in order of recording. */
  get inputNames(): string[] {
    return [...this.inputs.keys()];
  }

  /**
   * Runs the program.
   *
   * @param feeds a value for each input
   * @param into host values whose memory receives outputs; one may be the memory of an input if no other node of the
   *   graph still reads that input when the output is written
   * @throws GraphError naming an input that is missing, unknown, or of the wrong dtype or shape
   */
  async run(feeds: Values, into: Values = {}): Promise<Values> {
    if (this.disposed) throw new GraphError('this program has been disposed of');
    this.check(feeds, into);
    const given: Values = {};
    for (const [name, { port }] of this.inputs) given[port] = feeds[name]!;
    const fetches: Record<string, Value | null> = {};
    for (const [name, { port }] of this.outputs) fetches[port] = into[name] ?? null;
    const running = this.session.run(given, fetches);
    this.running.add(running);
    try {
      const values = (await running) as Values;
      const result: Values = {};
      for (const [name, { port }] of this.outputs) result[name] = into[name] ?? values[port]!;
      return result;
    } finally {
      this.running.delete(running);
    }
  }

  private check(feeds: Values, into: Values): void {
    const given: { tensor: Tensor; shape: readonly number[] }[] = [];
    for (const [name, { tensor }] of this.inputs) {
      const value = feeds[name];
      if (!value) throw new GraphError(`input ${name} is missing; expected ${show(tensor)}`);
      if (value.type !== tensor.dtype) {
        throw new GraphError(`input ${name}: dtype ${value.type}, expected ${tensor.dtype}`);
      }
      given.push({ tensor, shape: value.dims });
    }
    for (const name of Object.keys(feeds)) {
      if (!this.inputs.has(name)) {
        throw new GraphError(`no input is called ${name}; ${among([...this.inputs.keys()])}`);
      }
    }
    const bindings = bindInputs(given);
    for (const [dim, op] of this.nonEmpty) {
      if (bindDim(dim, bindings) === 0) throw new GraphError(`${op}: dimension ${dim} is 0`);
    }
    for (const [name, value] of Object.entries(into)) {
      const output = this.outputs.get(name);
      if (!output) throw new GraphError(`no output is called ${name}; ${among([...this.outputs.keys()])}`);
      if (value.location !== 'cpu') {
        throw new GraphError(`output ${name}: ONNX Runtime does not write into a value on a device`);
      }
      const { dtype } = output.tensor;
      const shape = bindShape(output.tensor.shape, bindings);
      if (value.type !== dtype || value.dims.join() !== shape.join()) {
        throw new GraphError(
          `output ${name} is ${dtype}${showShape(shape)}, the given buffer ${value.type}${showShape(value.dims)}`,
        );
      }
    }
  }

  /** Frees the session, after runs under way, once no other program of the same structure uses it. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await Promise.allSettled(this.running);
    await this.free();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/** A function of its own: made in `compile`, whose scope holds the weights, it would keep them from being freed. */
function release(session: InferenceSession, profiled: boolean): () => Promise<void> {
  return async () => {
    if (profiled) session.endProfiling();
    await session.release();
  };
}

interface Port {
  tensor: Tensor;
  port: string;
}

function nameOf(x: Tensor): string {
  return x.node.attributes.name as string;
}

function show({ dtype, shape }: Tensor): string {
  return `${dtype}${showShape(shape)}`;
}

function among(names: readonly string[]): string {
  return names.length > 0 ? `there are ${names.join(', ')}` : 'there are none';
}

/** Where the weights lie outside the model. Throws GraphError for one that does not fit its input. */
function externalWeights(
  inputs: readonly Tensor[],
  weights: ReadonlyMap<Tensor, Value>,
): Map<Tensor, ExternalWeight> {
  const external = new Map<Tensor, ExternalWeight>();
  for (const [x, value] of weights) {
    if (x.node.op.name !== 'input') throw new GraphError(`weights: ${x} is computed, not an input`);
    if (value.type !== x.dtype || value.dims.join() !== x.shape.join()) {
      throw new GraphError(
        `weight ${nameOf(x)} is ${value.type}${showShape(value.dims)}, expected ${show(x)}`,
      );
    }
    const bytes = bytesOf(value).byteLength;
    if (bytes >= 2 ** 31) {
      throw new GraphError(
        `weight ${nameOf(x)} of ${show(x)} has ${bytes} bytes, ONNX Runtime takes less than 2 GiB for one: ` +
          'give it as an input',
      );
    }
    // Weights of other programs may be given: a part of a model is compiled with the weights of the whole.
    if (inputs.includes(x)) {
      external.set(x, { location: `w${external.size}`, bytes });
    }
  }
  return external;
}

/** The inputs that the outputs depend on, by order of recording. Throws GraphError for two of one name. */
function inputsOf(outputs: readonly Tensor[]): Tensor[] {
  const inputs = topologicalOrder(outputs)
    .filter((node) => node.op.name === 'input')
    .sort((a, b) => a.id - b.id)
    .map((node) => node.outputs[0]!);
  const names = inputs.map(nameOf);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new GraphError(`two different inputs are called ${twice}`);
  return inputs;
}

function bytesOf(value: Value): Uint8Array {
  const data = value.data as Float32Array;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** float32 values over this memory, which is not copied. */
export function float32(data: Float32Array, shape: readonly number[]): Value {
  return new Value('float32', data, shape);
}

/** int64 values from ordinary numbers. */
export function int64(data: ArrayLike<number>, shape: readonly number[]): Value {
  return new Value(
    'int64',
    BigInt64Array.from(data, (x) => BigInt(x)),
    shape,
  );
}

/** A zeroed float32 value. */
export function zeros(shape: readonly number[]): Value {
  return float32(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
}

export type { Device, DType };
