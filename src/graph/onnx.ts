import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf';
import { type RightBytes, ZERO_BYTE } from './bytes.ts';
import { type Dim, type Shape, sameShape, termsOf } from './dim.ts';
import { type NdArray, ndarray } from './ndarray.ts';

import {
  attributeProto,
  CONTRIB,
  ELEMENT_TYPE,
  type ExternalData,
  initializer,
  modelBytes,
  type OnnxAttribute,
  sequenceInfo,
  valueInfo,
} from './onnx-proto.ts';
import { type Bits, hadamard, QUANTIZED_BLOCK, rotationSize } from './quantized.ts';

import { type DType, GraphError, type Node, type Tensor, topologicalOrder } from './tensor.ts';

/** Writing a recorded graph as an ONNX model. */

export const DEVICES = ['cpu', 'webgpu'] as const;
export type Device = (typeof DEVICES)[number];

/** Collects ONNX nodes while ops emit themselves. */
export class Emitter {
  /** Names of weights that are float16 where the graph has float32: products with them are in float16. */
  readonly halves = new Set<string>();
  /** Names of other weights of floats. */
  readonly floats = new Set<string>();
  /** Weights of few bits, by their names. */
  readonly quantized = new Map<string, QuantizedWeight>();
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  /** What products of integers take of an input, by its name. */
  readonly integers = new Map<string, { values: string; sizes: string }>();
  private readonly constants = new Map<string, string>();
  private readonly shapes = new Map<string, string>();
  private count = 0;

  constructor(
    readonly device: Device,
    /** Where each symbol can be read at run time. */
    private readonly symbols: ReadonlyMap<string, Axis>,
    /** Products with weights have few rows. */
    readonly fewRows = false,
    /** Of what type right factors of bytes are to be. */
    readonly rightBytes: RightBytes = 'uint8',
    /** Of all names, in a graph within another. */
    private readonly prefix = '',
  ) {}

  /** A slash keeps these names apart from those of inputs and outputs. */
  private name(): string {
    return `${this.prefix}/${this.count++}`;
  }

  /** A graph within the model, such as the body of a loop. Of the model around it it sees what its inputs are given. */
  subgraph(inputs: readonly Tensor[], outputs: readonly Tensor[]): GraphProto {
    const prefix = `${this.name()}/body`;
    const names = new Map(inputs.map((x, i) => [x, `${prefix}_in${i}`]));
    const body = new Emitter(this.device, symbolsOf(names), this.fewRows, this.rightBytes, prefix);
    const fed = [...names].map(([x, name]) => valueInfo(name, x.dtype, x.shape));
    const results = emitGraph(
      body,
      Object.fromEntries(outputs.map((x, i) => [`${prefix}_out${i}`, x])),
      names,
    );
    return graphProto('body', body, fed, results);
  }

  /** Adds a node with one output and returns its name. Whole-number attributes named in FLOATS are floats. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Record<string, OnnxAttribute> = {},
    options: { domain?: string } = {},
  ): string {
    return this.nodeMany(type, inputs, 1, attributes, options)[0]!;
  }

  nodeMany(
    type: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, OnnxAttribute> = {},
    { domain = '' }: { domain?: string } = {},
  ): string[] {
    const names = Array.from({ length: outputs }, () => this.name());
    this.nodes.push(
      create(NodeProtoSchema, {
        opType: type,
        domain,
        name: `${type}_${this.nodes.length}`,
        input: [...inputs],
        output: names,
        attribute: Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
      }),
    );
    return names;
  }

  cast(name: string, to: DType): string {
    return this.node('Cast', [name], { to: ELEMENT_TYPE[to] });
  }

  /** Values written into the model; equal ones are written once. */
  constant(dtype: DType, { shape, data }: NdArray): string {
    const key = `${dtype}[${shape}]${data.length <= 64 ? Array.from(data, exact) : `#${this.count}`}`;
    const known = this.constants.get(key);
    if (known) return known;
    // ONNX Runtime folds the cast of a constant, so half-precision bits need not be made here.
    const stored = dtype === 'float16' ? 'float32' : dtype;
    let name = this.name();
    this.initializers.push(initializer(name, stored, shape, rawBytes(stored, data)));
    if (dtype === 'float16') name = this.cast(name, 'float16');
    this.constants.set(key, name);
    return name;
  }

  /** A one-dimensional int64 tensor that holds these sizes, computed at run time where they are symbolic. */
  shape(dims: Shape): string {
    if (dims.every((dim) => typeof dim === 'number')) {
      return this.constant('int64', ndarray([dims.length], dims as number[]));
    }
    const key = dims.join();
    const known = this.shapes.get(key);
    if (known) return known;
    const parts = dims.map((dim) => this.dim(dim));
    const name = parts.length === 1 ? parts[0]! : this.node('Concat', parts, { axis: 0 });
    this.shapes.set(key, name);
    return name;
  }

  private dim(dim: Dim): string {
    if (typeof dim === 'number') return this.constant('int64', ndarray([1], [dim]));
    const known = this.shapes.get(dim);
    if (known) return known;
    if (this.symbols.has(dim)) return this.symbol(dim);
    const terms = termsOf(dim).map(({ coefficient, symbols }) => {
      const factors = symbols.map((symbol) => this.symbol(symbol));
      if (coefficient !== 1 || factors.length === 0) factors.push(this.dim(coefficient));
      return factors.reduce((a, b) => this.node('Mul', [a, b]));
    });
    const name = terms.reduce((a, b) => this.node('Add', [a, b]));
    this.shapes.set(dim, name);
    return name;
  }

  private symbol(symbol: string): string {
    const known = this.shapes.get(symbol);
    if (known) return known;
    const source = this.symbols.get(symbol);
    if (!source) throw new GraphError(`dimension ${symbol} is the size of no axis of an input`);
    const name = this.node('Shape', [source.input], { start: source.axis, end: source.axis + 1 });
    this.shapes.set(symbol, name);
    return name;
  }

  /** Reshape, with a static target wherever ONNX's 0 (copy) and -1 (infer) can say it. */
  reshape(name: string, from: Shape, to: Shape): string {
    const target = to.map((dim, i) => (typeof dim === 'number' ? dim : dim === from[i] ? 0 : -1));
    const open = target.filter((dim) => dim === -1).length;
    const copied = to.some((dim, i) => typeof dim === 'string' && target[i] === 0);
    // -1 beside an axis of size 0 cannot be inferred, and symbols may be 0: an empty cache is.
    if (!to.includes(0) && (open === 0 || (open === 1 && !copied))) {
      return this.node('Reshape', [name, this.constant('int64', ndarray([target.length], target))]);
    }
    return this.node('Reshape', [name, this.shape(to)], { allowzero: 1 });
  }
}

/** A number as text that tells all values apart, -0, infinities and NaN included. */
function exact(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function rawBytes(dtype: DType, data: Float64Array): Uint8Array<ArrayBuffer> {
  switch (dtype) {
    case 'float32':
      return new Uint8Array(Float32Array.from(data).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(data, (x) => BigInt(x)).buffer);
    case 'int32':
      return new Uint8Array(Int32Array.from(data).buffer);
    default:
      return Uint8Array.from(data);
  }
}

/** An input that is an initialiser, whose data lies outside the model. */
export interface ExternalWeight extends ExternalData {
  /** Of few bits: the data are those of `Quantized` or `RowQuantized`, and its scales are beside them. */
  quantized?: { layout: WeightLayout; scales: ExternalData };
  /** Stored in half precision: computed with in the input's own, or (a weight of linear layers) in products of halves. */
  half?: 'stored' | 'multiplied';
}

/** How a weight of few bits lies there: in blocks of so many bits (`Quantized`), or by rows (`RowQuantized`). */
type WeightLayout = Bits | 'rows';

interface QuantizedWeight {
  layout: WeightLayout;
  /** Name of the scales. */
  scales: string;
}

/** Products of one x [..., K] with several weights [N, K], to be done as one. */
export interface JoinedProducts {
  /** What is wanted of them, in the order of the weight's rows: each result, the products that stand beside each other in it. */
  parts: readonly { result: Tensor; nodes: readonly Node[] }[];
  weight: ExternalWeight;
}

/**
 * Writes the graph that computes the outputs.
 *
 * With `fewRows`, products with weights have few rows, and are laid out for that on a device. `sequence` names an output
 * before all others, an empty list of tensors. Right factors of bytes become `rightBytes`: uint8, with which all machines
 * multiply exactly, unless int8 is asked for.
 *
 * @param inputs every `input` tensor that the outputs depend on, with its name in the model
 * @param weights the inputs that become initialisers; their shapes are static
 */
export function writeOnnx(
  outputs: Readonly<Record<string, Tensor>>,
  inputs: ReadonlyMap<Tensor, string>,
  weights: ReadonlyMap<Tensor, ExternalWeight>,
  device: Device,
  {
    joined = [],
    fewRows = false,
    sequence = null,
    rightBytes,
  }: {
    joined?: readonly JoinedProducts[];
    fewRows?: boolean;
    sequence?: string | null;
    rightBytes?: RightBytes;
  } = {},
): Uint8Array<ArrayBuffer> {
  const emitter = new Emitter(device, symbolsOf(inputs), fewRows, rightBytes);
  const names = new Map<Tensor, string>(inputs);
  const fed: ValueInfoProto[] = [];
  const partOf = new Set(productsOf(joined).map(({ inputs }) => inputs[1]!));
  for (const [x, name] of inputs) {
    const weight = weights.get(x);
    if (weight) names.set(x, addWeight(emitter, name, x.dtype, x.shape as number[], weight));
    else if (!partOf.has(x)) fed.push(valueInfo(name, x.dtype, x.shape));
  }
  const weighted = weights.size > 0;
  const results = emitGraph(emitter, outputs, names, joined, weighted);
  if (sequence !== null) {
    emitter.nodes.push(
      create(NodeProtoSchema, { opType: 'SequenceEmpty', output: [sequence], name: sequence }),
    );
    results.unshift(sequenceInfo(sequence));
  }
  return modelBytes(graphProto('postnas', emitter, fed, results));
}

/** An axis of an input, by its name. */
interface Axis {
  input: string;
  axis: number;
}

/** Where each symbol in the shapes of inputs can be read. */
function symbolsOf(inputs: ReadonlyMap<Tensor, string>): Map<string, Axis> {
  const symbols = new Map<string, Axis>();
  for (const [x, input] of inputs) {
    for (const [axis, dim] of x.shape.entries()) {
      if (typeof dim === 'string' && !symbols.has(dim)) symbols.set(dim, { input, axis });
    }
  }
  return symbols;
}

function graphProto(
  name: string,
  { nodes, initializers }: Emitter,
  input: ValueInfoProto[],
  output: ValueInfoProto[],
): GraphProto {
  return create(GraphProtoSchema, { name, node: nodes, initializer: initializers, input, output });
}

/**
 * Emits all that the outputs depend on and gives them their names.
 *
 * @param names of the inputs; those of all other tensors are added
 * @param weighted there are weights among them: this is for inference alone
 */
function emitGraph(
  emitter: Emitter,
  outputs: Readonly<Record<string, Tensor>>,
  names: Map<Tensor, string>,
  joined: readonly JoinedProducts[] = [],
  weighted = false,
): ValueInfoProto[] {
  const groupOf = new Map(
    joined.flatMap((group) => productsOf([group]).map((node) => [node, group] as const)),
  );
  const sums = weighted ? normalisedSums(Object.values(outputs)) : new Map<Node, Node>();
  // Value numbering: nodes of the same op on the same inputs are computed once.
  const numbered = new Map<string, string[]>();
  for (const node of topologicalOrder(Object.values(outputs))) {
    if (node.op.name === 'input') {
      if (!names.has(node.outputs[0]!)) {
        throw new GraphError(`input ${node.attributes.name} is used but not among the program's inputs`);
      }
      continue;
    }
    const group = groupOf.get(node);
    if (group) {
      if (!names.has(group.parts[0]!.result)) emitJoined(emitter, group, names, joined.indexOf(group));
      continue;
    }
    const ins = node.inputs.map((x) => names.get(x)!);
    const norm = sums.get(node);
    if (norm) {
      const [normed, , , sum] = emitter.nodeMany(
        'SkipSimplifiedLayerNormalization',
        [...ins, names.get(norm.inputs[1]!)!],
        4,
        { epsilon: norm.attributes.eps as number },
        { domain: CONTRIB },
      );
      names.set(node.outputs[0]!, sum!);
      names.set(norm.outputs[0]!, normed!);
      continue;
    }
    if (names.has(node.outputs[0]!)) continue;
    const key = node.data ? null : `${node.op.name}(${ins})${attributesKey(node)}`;
    const emitted = (key && numbered.get(key)) || node.op.emit(emitter, ins, node);
    if (key) numbered.set(key, emitted);
    for (const [i, x] of node.outputs.entries()) names.set(x, emitted[i]!);
  }
  return nameOutputs(emitter, outputs, names);
}

/** Gives outputs their names, by Identity where one is an input or a constant or appears twice. */
function nameOutputs(
  { nodes }: Emitter,
  outputs: Readonly<Record<string, Tensor>>,
  names: ReadonlyMap<Tensor, string>,
): ValueInfoProto[] {
  const computed = new Set(nodes.flatMap(({ output }) => output));
  const renamed = new Map<string, string>();
  const copied: [from: string, to: string][] = [];
  for (const [name, x] of Object.entries(outputs)) {
    const own = names.get(x)!;
    if (computed.has(own) && !renamed.has(own)) renamed.set(own, name);
    else copied.push([own, name]);
  }
  const called = (name: string) => renamed.get(name) ?? name;
  for (const node of nodes) {
    node.input = node.input.map(called);
    node.output = node.output.map(called);
  }
  for (const [from, to] of copied) {
    nodes.push(
      create(NodeProtoSchema, { opType: 'Identity', input: [called(from)], output: [to], name: `out_${to}` }),
    );
  }
  return Object.entries(outputs).map(([name, { dtype, shape }]) => valueInfo(name, dtype, shape));
}

/** Sums that are normalised, with the norm: one node does both. Its weight is an input, which is there by then. */
function normalisedSums(outputs: readonly Tensor[]): Map<Node, Node> {
  const found = new Map<Node, Node>();
  for (const node of topologicalOrder(outputs)) {
    const sum = node.inputs[0]?.node;
    if (node.op.name !== 'rmsNorm' || sum?.op.name !== 'add' || found.has(sum)) continue;
    const alike = sum.inputs.every((x) => sameShape(x.shape, sum.outputs[0]!.shape));
    const fits = sum.outputs[0]!.rank === 3 && sum.outputs[0]!.dtype === 'float32';
    if (alike && fits && node.inputs[1]!.node.op.name === 'input') found.set(sum, node);
  }
  return found;
}

/** JSON would write infinities and NaN alike. */
function attributesKey({ attributes }: Node): string {
  return JSON.stringify(attributes, (_, value) => (typeof value === 'number' ? exact(value) : value));
}

/** One product with all weights of a group, cut into what belongs to each. */
function emitJoined(
  emitter: Emitter,
  { parts, weight }: JoinedProducts,
  names: Map<Tensor, string>,
  index: number,
): void {
  const [x, first] = parts[0]!.nodes[0]!.inputs as [Tensor, Tensor];
  const widths = parts.map(({ result }) => result.shape[result.rank - 1] as number);
  const all = [widths.reduce((a, b) => a + b, 0), first.shape[1] as number];
  const name = `joined${index}`;
  addWeight(emitter, name, first.dtype, all, weight);
  const product = emitLinear(emitter, { name: names.get(x)!, rank: x.rank }, name, all);
  const pieces = parts.length > 1 ? emitSplit(emitter, product, -1, widths) : [product];
  for (const [i, { result }] of parts.entries()) names.set(result, pieces[i]!);
}

function productsOf(joined: readonly JoinedProducts[]): Node[] {
  return joined.flatMap(({ parts }) => parts.flatMap(({ nodes }) => nodes));
}

/** A kernel of WebGPU may have 8 buffers; ONNX Runtime leaves it at an error where a Split has more results. */
const MOST_PARTS = 7;

/** Pieces of these sizes along an axis, on a device perhaps pieces of pieces. */
export function emitSplit(emitter: Emitter, x: string, axis: number, sizes: readonly number[]): string[] {
  const cut = (name: string, parts: readonly number[]) =>
    emitter.nodeMany(
      'Split',
      [name, emitter.constant('int64', ndarray([parts.length], parts))],
      parts.length,
      {
        axis,
      },
    );
  if (emitter.device === 'cpu' || sizes.length <= MOST_PARTS) return cut(x, sizes);
  const perPart = Math.ceil(sizes.length / MOST_PARTS);
  const groups = Array.from({ length: Math.ceil(sizes.length / perPart) }, (_, i) =>
    sizes.slice(i * perPart, (i + 1) * perPart),
  );
  const wide = emitSplit(
    emitter,
    x,
    axis,
    groups.map((group) => group.reduce((a, b) => a + b, 0)),
  );
  return groups.flatMap((group, i) =>
    group.length === 1 ? [wide[i]!] : emitSplit(emitter, wide[i]!, axis, group),
  );
}

/** x W^T of x [..., K] for a weight [N, K] that is an initialiser: float32, of few bits, or on devices float16. */
export function emitLinear(
  emitter: Emitter,
  x: { name: string; rank: number },
  weight: string,
  shape: readonly number[],
): string {
  const { layout, scales } = emitter.quantized.get(weight) ?? {};
  if ((!layout || !scales) && emitter.device !== 'cpu') {
    return emitDeviceProduct(emitter, x, weight, shape as [number, number]);
  }
  if (!layout || !scales) {
    return emitter.node(
      'FusedMatMul',
      [x.name, weight],
      { transA: 0, transB: 1, alpha: 1 },
      { domain: CONTRIB },
    );
  }
  if (layout === 'rows') {
    const { values, sizes } = integers(emitter, x, shape[1]!);
    const b = { name: weight, type: 'int8' } as const;
    const product = emitByteProduct(emitter, values, b, [integerScale(emitter), scales], ZERO_BYTE);
    return emitter.node('Mul', [product, sizes]);
  }
  const [N, K] = shape as [number, number];
  // Level 4: products of 8 bits, of which ONNX Runtime has its fastest kernels.
  const attributes = { N, K, bits: layout, block_size: QUANTIZED_BLOCK, accuracy_level: 4 };
  return emitter.node('MatMulNBits', [x.name, weight, scales], attributes, { domain: CONTRIB });
}

/** Columns that a group of threads of a device's product works on, and groups that keep a device busy. */
const GROUP_COLUMNS = 32;
const GROUPS = 1024;

/**
 * A product on a device. Of few rows with a narrow weight there is too little to do at a time, as each group of threads goes
 * along all of a column: then parts of the columns are multiplied as a batch, and summed up.
 */
function emitDeviceProduct(
  emitter: Emitter,
  x: { name: string; rank: number },
  weight: string,
  [N, K]: readonly [number, number],
): string {
  const half = emitter.halves.has(weight);
  const from = half ? emitter.cast(x.name, 'float16') : x.name;
  const whole = (name: string) => (half ? emitter.cast(name, 'float32') : name);
  // Turned, and cut, when the program is compiled.
  const turned = emitter.node('Transpose', [weight], { perm: [1, 0] });
  const parts = emitter.fewRows ? partsOf(N, K) : 1;
  if (parts === 1) return whole(emitter.node('MatMul', [from, turned]));
  const ints = (...values: number[]) => emitter.constant('int64', ndarray([values.length], values));
  const cut = emitter.node('Reshape', [turned, ints(parts, K / parts, N)]);
  const rows = emitter.node('Reshape', [from, ints(-1, parts, K / parts)]);
  const batch = emitter.node('Transpose', [rows], { perm: [1, 0, 2] });
  const products = whole(emitter.node('MatMul', [batch, cut]));
  const sum = emitter.node('ReduceSum', [products, ints(0)], { keepdims: 0 });
  const front = emitter.node('Shape', [x.name], { start: 0, end: x.rank - 1 });
  return emitter.node('Reshape', [sum, emitter.node('Concat', [front, ints(N)], { axis: 0 })]);
}

/** Into how many parts a column is cut, each a multiple of 32 long. */
function partsOf(N: number, K: number): number {
  for (let parts = 16; parts > 1; parts /= 2) {
    const fits = K % (32 * parts) === 0 && parts * N <= GROUPS * GROUP_COLUMNS;
    if (fits) return parts;
  }
  return 1;
}

/** A row's largest value becomes 127. */
function integerScale(emitter: Emitter): string {
  return emitter.constant('float32', ndarray([], [1 / 127]));
}

function byte(emitter: Emitter, value: number): string {
  return emitter.constant('uint8', ndarray([], [value]));
}

/**
 * (a - zero) b for uint8 a, times a factor and one of each column. Of b as uint8, which is what it becomes where the machine
 * multiplies no int8 exactly, ZERO_BYTE stands for 0. (What does not change is turned when the program is compiled.)
 */
export function emitByteProduct(
  emitter: Emitter,
  a: string,
  b: { name: string; type: RightBytes },
  factors: readonly [scale: string, scales: string],
  zero: number,
): string {
  const turned = b.type === 'int8' && emitter.rightBytes === 'uint8';
  const right = turned
    ? // The sign bit is the other way round then.
      emitter.node('BitwiseXor', [emitter.cast(b.name, 'uint8'), byte(emitter, ZERO_BYTE)])
    : b.name;
  const zeros = [zero, turned || b.type === 'uint8' ? ZERO_BYTE : 0];
  const given = zeros[1] === 0 ? zeros.slice(0, 1) : zeros;
  const inputs = [a, right, ...factors, ...given.map((value) => byte(emitter, value))];
  return emitter.node('MatMulIntegerToFloat', inputs, {}, { domain: CONTRIB });
}

/** Rows of x [..., K], turned, as integers, each relative to its largest value, and those largest values [..., 1]. */
function integers(
  emitter: Emitter,
  { name, rank }: { name: string; rank: number },
  K: number,
): { values: string; sizes: string } {
  const known = emitter.integers.get(name);
  if (known) return known;
  const ints = (...values: number[]) => emitter.constant('int64', ndarray([values.length], values));
  const size = rotationSize(K);
  const front = new Array<number>(rank - 2).fill(0);
  const parts = emitter.node('Reshape', [name, ints(...front, -1, size)]);
  const turned = emitter.node('MatMul', [parts, emitter.constant('float32', hadamard(size))]);
  const rows = emitter.node('Reshape', [turned, ints(...front, -1, K)]);
  const most = emitter.node('ReduceMax', [emitter.node('Abs', [rows]), ints(-1)], { keepdims: 1 });
  const tiny = emitter.constant('float32', ndarray([], [1e-30]));
  const sizes = emitter.node('Max', [most, tiny]);
  const scaled = emitter.node('Mul', [rows, emitter.node('Reciprocal', [sizes])]);
  const values = emitter.node('QuantizeLinear', [scaled, integerScale(emitter), byte(emitter, ZERO_BYTE)]);
  emitter.integers.set(name, { values, sizes });
  return { values, sizes };
}

/** Adds a weight as initialiser; returns the name of its values. */
function addWeight(
  emitter: Emitter,
  name: string,
  dtype: DType,
  shape: readonly number[],
  weight: ExternalWeight,
): string {
  const { quantized, half } = weight;
  if (half && dtype !== 'float16') {
    emitter.initializers.push(initializer(name, 'float16', shape, weight));
    if (half === 'stored') return emitter.cast(name, dtype);
    emitter.halves.add(name);
    return name;
  }
  if (!quantized) {
    emitter.floats.add(name);
    emitter.initializers.push(initializer(name, dtype, shape, weight));
    return name;
  }
  const { layout, scales } = quantized;
  const [N, K] = shape as [number, number];
  if (layout === 'rows') {
    emitter.initializers.push(
      initializer(name, 'int8', [K, N], weight),
      initializer(`${name}_scales`, 'float32', [N], scales),
    );
  } else {
    const blocks = Math.ceil(K / QUANTIZED_BLOCK);
    const packed = [N, blocks, (QUANTIZED_BLOCK * layout) / 8];
    emitter.initializers.push(
      initializer(name, 'uint8', packed, weight),
      initializer(`${name}_scales`, 'float32', [N, blocks], scales),
    );
  }
  emitter.quantized.set(name, { layout, scales: `${name}_scales` });
  return name;
}
