import { denormalOptions } from './denormals.ts';
import { type Bindings, bindDim, bindShape, type Dim, showShape } from './dim.ts';
import { bindInputs } from './evaluate.ts';
import { type Device, type ExternalWeight, type JoinedProducts, writeOnnx } from './onnx.ts';

import {
  createSession,
  ENGINE_VERSION,
  type InferenceSession,
  runSession,
  UNREADABLE_RESULT,
  Value,
} from './onnxruntime.ts';
import { linearWeights, type Quantized, type RowQuantized, stackQuantized } from './quantized.ts';
import { rightBytes } from './right-bytes.ts';
import { type DType, GraphError, type Node, type Tensor, topologicalOrder } from './tensor.ts';
import { resultsStayUnread } from './unread-results.ts';
import { requireWebGpu } from './webgpu.ts';

/**
 * Compiled graphs. A program is compiled once, cached by the structure of its graph, run any number of times
 * and disposed of explicitly.
 */

export { ENGINE_VERSION, Value };
export type Values = Record<string, Value>;

export interface CompileOptions {
  device?: Device;
  /**
   * Inputs whose values are fixed: they become initialisers, which ONNX Runtime pre-packs for its kernels; those of
   * several linear layers on one x are joined. Weights of linear layers (`linearWeights`) may be of few bits, and on
   * devices float16 for a float32 input, which are multiplied as such. Held
   * as external data, so that all together may exceed the 2 GB of a protobuf; a single one may not. A program with initialisers is not
   * shared.
   */
  weights?: ReadonlyMap<Tensor, Weight>;
  /** Products with weights have few rows, as those of steps: on a device they are laid out for that. */
  fewRows?: boolean;
  /** Threads of one op; 0 lets ONNX Runtime take all cores. */
  threads?: number;
  /**
   * What a run takes beside its results is given back after it, and not kept for the next one: where many programs work on
   * much at a time one after the other.
   */
  givesBack?: boolean;
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

/** Results that are brought to JavaScript in the 12 microseconds that preventing it takes: how many, and numbers in all. */
const FEW_RESULTS = 8;
const SMALL_RESULTS = 1 << 14;

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
    /** Every result is given memory to be written to: see UNREADABLE_RESULT. */
    private readonly placesResults: boolean,
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
    const { device = 'cpu', weights = new Map(), fewRows, threads = 0, givesBack = false } = options;
    const { keepOnDevice, profile } = options;
    const names = Object.keys(outputs);
    for (const name of keepOnDevice === 'all' ? [] : (keepOnDevice ?? [])) {
      if (!outputs[name]) throw new GraphError(`keepOnDevice: no output is called ${name}; ${among(names)}`);
    }
    const inputs = inputsOf(Object.values(outputs));
    const store = new ExternalStore();
    const given = externalWeights(inputs, weights, Object.values(outputs), device);
    const joined = joinProducts(Object.values(outputs), given, store);
    const parts = new Set(
      joined.flatMap(({ parts }) => parts.flatMap(({ nodes }) => nodes.map(({ inputs }) => inputs[1]!))),
    );
    const external = new Map(
      [...given].filter(([x]) => !parts.has(x)).map(([x, value]) => [x, store.add(value)]),
    );
    const cpu = device === 'cpu';
    const places = cpu && (await resultsStayUnread());
    const model = writeOnnx(
      Object.fromEntries(names.map((name, i) => [outputName(i), outputs[name]!])),
      new Map(inputs.map((x, i) => [x, inputName(i)])),
      external,
      device,
      {
        joined,
        fewRows,
        sequence: places ? UNREADABLE_RESULT : null,
        rightBytes: cpu ? await rightBytes() : undefined,
      },
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
      ...(givesBack ? { enableCpuMemArena: false } : {}),
      // A plan is made for every shape that comes, and takes memory of its own, in place of that of runs before.
      enableMemPattern: inputs.every(({ shape }) => shape.every((dim) => typeof dim === 'number')),
      // Many programs live side by side: threads that wait must not keep a core busy, least of all after a run.
      extra: {
        session: { ...denormalOptions(), force_spinning_stop: '1', intra_op: { spin_duration_us: '1000' } },
        optimization: {
          // They would undo what matmul's emission chose; of products with a factor all keys are copied.
          disable_specified_optimizers: 'MatmulTransposeFusion;MatMulScaleFusion',
          // Large fills are made when they are needed; the folded transpose of a weight is worth its memory.
          ...(given.size === 0 ? { constant_folding_max_output_size_in_bytes: '1000000' } : {}),
        },
      },
      ...(given.size > 0 ? { externalData: store.files } : {}),
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
    const build = () => createSession(model, sessionOptions);
    const fed = new Map<string, Port>();
    for (const [i, tensor] of inputs.entries()) {
      if (!given.has(tensor)) fed.set(nameOf(tensor), { tensor, port: inputName(i) });
    }
    const results = new Map(names.map((name, i) => [name, { tensor: outputs[name]!, port: outputName(i) }]));
    if (given.size > 0 || profile) {
      const session = await build();
      return new Program(session, fed, results, nonEmpty, places, release(session, profile !== undefined));
    }
    const key =
      JSON.stringify({ device, threads, givesBack, kept }) + new TextDecoder('latin1').decode(model);
    const shared = sessions.get(key) ?? { session: build(), users: 0 };
    shared.users++;
    sessions.set(key, shared);
    const forget = () => {
      if (sessions.get(key) === shared) sessions.delete(key);
    };
    try {
      return new Program(await shared.session, fed, results, nonEmpty, places, async () => {
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

  get outputNames(): string[] {
    return [...this.outputs.keys()];
  }

  /**
   * Runs the program.
   *
   * @param feeds a value for each input
   * @param into host values whose memory receives outputs; one may be the memory of an input if no other node of the
   *   graph still reads that input when the output is written
   * @param room gives a value for a float32 result that has no place, whatever its numbers; may be asked for none
   * @throws GraphError naming an input that is missing, unknown, or of the wrong dtype or shape
   */
  async run(feeds: Values, into: Values = {}, room?: (shape: readonly number[]) => Value): Promise<Values> {
    if (this.disposed) throw new GraphError('this program has been disposed of');
    return this.prepare(feeds, into, room)();
  }

  /**
   * A run that is repeated on the same values, whose memory changes in between: it is checked now and no more.
   *
   * @throws GraphError as `run` does
   */
  prepare(
    feeds: Values,
    into: Values = {},
    room?: (shape: readonly number[]) => Value,
  ): () => Promise<Values> {
    const bindings = this.check(feeds, into);
    const given: Values = {};
    for (const [name, { port }] of this.inputs) given[port] = feeds[name]!;
    const results = [...this.outputs].map(([name, { port, tensor }]) => {
      return { place: into[name], port, dtype: tensor.dtype, shape: bindShape(tensor.shape, bindings) };
    });
    const placed = this.placesResults && isMuch(results.map(({ shape }) => shape));
    const places = Object.fromEntries(results.map(({ port, place }) => [port, place ?? null]));
    const fresh = placed ? results.filter(({ place }) => !place) : [];
    return async () => {
      if (this.disposed) throw new GraphError('this program has been disposed of');
      const fetches = fresh.length > 0 ? { ...places } : places;
      for (const { port, dtype, shape } of fresh) {
        fetches[port] = room && dtype === 'float32' ? room(shape) : blank(dtype, shape);
      }
      const running = runSession(this.session, given, fetches, placed);
      this.running.add(running);
      try {
        const values = (await running) as Values;
        const result: Values = {};
        for (const [name, { port }] of this.outputs) result[name] = fetches[port] ?? values[port]!;
        return result;
      } finally {
        this.running.delete(running);
      }
    };
  }

  private check(feeds: Values, into: Values): Bindings {
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
    return bindings;
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

/** Weights outside the model, as ONNX Runtime is given them. */
class ExternalStore {
  readonly files: { path: string; data: Uint8Array }[] = [];

  add(value: Weight): ExternalWeight {
    if (!isQuantized(value)) {
      const file = this.file(bytesOf(value));
      return value.type === 'float16' ? { ...file, half: 'multiplied' } : file;
    }
    const { data, scales } = value;
    const bytes = (x: Int8Array | Uint8Array | Float32Array) =>
      new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
    const layout = 'bits' in value ? value.bits : 'rows';
    return { ...this.file(bytes(data)), quantized: { layout, scales: this.file(bytes(scales)) } };
  }

  private file(data: Uint8Array): { location: string; bytes: number } {
    const location = `w${this.files.length}`;
    this.files.push({ path: location, data });
    return { location, bytes: data.byteLength };
  }
}

/** A weight's values, those of a linear layer perhaps of few bits. */
export type Weight = Value | Quantized | RowQuantized;

function isQuantized(weight: Weight): weight is Quantized | RowQuantized {
  return 'scales' in weight;
}

/** The products of each x with weights that are used for nothing else, where there are several of a kind. */
function joinProducts(
  outputs: readonly Tensor[],
  weights: ReadonlyMap<Tensor, Weight>,
  store: ExternalStore,
): JoinedProducts[] {
  const linear = linearWeights(outputs);
  const uses = new Map<Tensor, number>();
  const nodes = topologicalOrder(outputs);
  for (const { inputs } of nodes) for (const x of inputs) uses.set(x, (uses.get(x) ?? 0) + 1);
  const groups = new Map<string, Node[]>();
  for (const node of nodes) {
    const [x, weight] = node.inputs;
    const value = weight && weights.get(weight);
    if (node.op.name !== 'matmul' || !value || !linear.has(weight) || uses.get(weight) !== 1) continue;
    if (weight.dtype !== 'float32') continue;
    // Of many rows, cutting the product costs more than a product for each.
    if (isQuantized(value) && !('bits' in value)) continue;
    const key = `${x!.node.id} ${x!.index} ${isQuantized(value) ? value.bits : value.type}`;
    groups.set(key, [...(groups.get(key) ?? []), node]);
  }
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => {
      const parts = partsOf(group, nodes, (x) => uses.get(x) === 1 && !outputs.includes(x));
      const ordered = parts.flatMap((part) => part.nodes);
      const values = ordered.map(({ inputs }) => weights.get(inputs[1]!) as Value | Quantized);
      return { parts, weight: store.add(stacked(values)) };
    });
}

/** The results of a group's products in an order in which those that are only put beside each other are so already. */
function partsOf(
  group: readonly Node[],
  nodes: readonly Node[],
  usedOnce: (x: Tensor) => boolean,
): JoinedProducts['parts'] {
  const rest = new Set(group);
  const parts: { result: Tensor; nodes: readonly Node[] }[] = [];
  for (const { op, attributes, inputs, outputs } of nodes) {
    const [result] = outputs as [Tensor];
    if (op.name !== 'concat' || attributes.axis !== result.rank - 1) continue;
    const own = inputs.map(({ node }) => node);
    if (!inputs.every(usedOnce) || !own.every((node) => rest.has(node))) continue;
    parts.push({ result, nodes: own });
    for (const node of own) rest.delete(node);
  }
  for (const node of rest) parts.push({ result: node.outputs[0]!, nodes: [node] });
  return parts;
}

/** Matrices of one kind and width, one below the other. */
function stacked(parts: readonly (Value | Quantized)[]): Value | Quantized {
  const values = parts.filter((part): part is Value => !('bits' in part));
  if (values.length === 0) return stackQuantized(parts as Quantized[]);
  const [rows, columns] = [values.reduce((sum, { dims }) => sum + dims[0]!, 0), values[0]!.dims[1]!];
  const bytes = values.map(bytesOf);
  const all = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of bytes) {
    all.set(part, at);
    at += part.length;
  }
  const half = values[0]!.type === 'float16';
  return (half ? float16 : float32)(new (half ? Uint16Array : Float32Array)(all.buffer) as never, [
    rows,
    columns,
  ]);
}

/** The weights among the inputs. Throws GraphError for one that does not fit its input. */
function externalWeights(
  inputs: readonly Tensor[],
  weights: ReadonlyMap<Tensor, Weight>,
  outputs: readonly Tensor[],
  device: Device,
): Map<Tensor, Weight> {
  const external = new Map<Tensor, Weight>();
  const linear = linearWeights(outputs);
  for (const [x, value] of weights) {
    if (x.node.op.name !== 'input') throw new GraphError(`weights: ${x} is computed, not an input`);
    if (isQuantized(value)) {
      if (value.shape.join() !== x.shape.join() || (inputs.includes(x) && !linear.has(x))) {
        throw new GraphError(
          `weight ${nameOf(x)} of ${'bits' in value ? value.bits : 8} bits is ${showShape(value.shape)}, expected ${show(x)} of a linear layer`,
        );
      }
      if (inputs.includes(x)) external.set(x, value);
      continue;
    }
    const half = value.type === 'float16' && device !== 'cpu' && linear.has(x);
    if ((value.type !== x.dtype && !half) || value.dims.join() !== x.shape.join()) {
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
    if (inputs.includes(x)) external.set(x, value);
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

/** float16 values by their bits. */
export function float16(bits: Uint16Array<ArrayBuffer>, shape: readonly number[]): Value {
  // Where JavaScript has an array of its own for them, ONNX Runtime takes no other.
  const { Float16Array } = globalThis as { Float16Array?: new (buffer: ArrayBuffer) => Uint16Array };
  return new Value('float16', Float16Array ? new Float16Array(bits.buffer) : bits, shape);
}

/** int64 values from ordinary numbers. */
export function int64(data: ArrayLike<number>, shape: readonly number[]): Value {
  return new Value(
    'int64',
    BigInt64Array.from(data, (x) => BigInt(x)),
    shape,
  );
}

/** Whether bringing results of these shapes to JavaScript costs more than preventing it. */
function isMuch(shapes: readonly (readonly number[])[]): boolean {
  const size = shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return shapes.length >= FEW_RESULTS || size >= SMALL_RESULTS;
}

/** A value whose numbers are yet to be written. */
function blank(dtype: DType, shape: readonly number[]): Value {
  const size = shape.reduce((a, b) => a * b, 1);
  switch (dtype) {
    case 'float32':
      return float32(new Float32Array(size), shape);
    case 'float16':
      return float16(new Uint16Array(size), shape);
    case 'int64':
      return new Value('int64', new BigInt64Array(size), shape);
    case 'int32':
      return new Value('int32', new Int32Array(size), shape);
    case 'int8':
      return new Value('int8', new Int8Array(size), shape);
    default:
      return new Value(dtype, new Uint8Array(size), shape);
  }
}

/** A zeroed float32 value. */
export function zeros(shape: readonly number[]): Value {
  return float32(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
}

export type { Device, DType };
