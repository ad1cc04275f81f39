import { type Bindings, type Dim, type Shape, showShape } from './dim.ts';
import type { NdArray } from './ndarray.ts';
import type { Device, Emitter } from './onnx.ts';

export { GraphError } from './errors.ts';

/**
 * Symbolic tensors. Calling an op records a node; nothing is computed until a program made of the wanted
 * outputs runs (program.ts), or the graph is evaluated in float64 by plain loops (evaluate.ts).
 */
export type DType = 'float32' | 'float16' | 'int32' | 'int64' | 'bool' | 'uint8' | 'int8';

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16';
}

/** A graph within a node, told apart from others by its id. */
export interface Body {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  toJSON(): number;
}

type AttributeValue = number | string | boolean | null | readonly Dim[] | DType | Body;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** What the graph knows of one operation. Its shape rule is the recording function, which calls `record`. */
export interface Op<A extends Attributes = Attributes> {
  readonly name: string;
  /** Adds ONNX nodes; returns the names of the outputs. `inputs` are the names of the node's inputs. */
  emit(emitter: Emitter, inputs: string[], node: Node<A>): string[];
  /**
   * Vector-Jacobian product: for the gradient of each output (null where nothing flows), the gradient of each
   * input, or null where there is none. Absent for ops that are never differentiated.
   */
  vjp?(node: Node<A>, gradients: (Tensor | null)[]): (Tensor | null)[];
  /** Dimensions that must not be 0 at run time, because ONNX Runtime goes wrong then. */
  nonEmpty?(node: Node<A>, device: Device): readonly Dim[];
  /** The plain definition, in float64. */
  evaluate(inputs: NdArray[], node: Node<A>, bindings: Bindings): NdArray[];
}

export interface Node<A extends Attributes = Attributes> {
  readonly id: number;
  readonly op: Op<A>;
  readonly inputs: readonly Tensor[];
  readonly attributes: A;
  /** Constant data, for nodes of op `constant` only. */
  readonly data?: NdArray;
  readonly outputs: readonly Tensor[];
}

export class Tensor {
  constructor(
    readonly node: Node,
    /** Which output of the node this is. */
    readonly index: number,
    readonly dtype: DType,
    readonly shape: Shape,
  ) {}

  get rank(): number {
    return this.shape.length;
  }

  toString(): string {
    return `${this.node.op.name}:${this.dtype}${showShape(this.shape)}`;
  }
}

let nextId = 0;

/** Records a node with any number of outputs. */
export function recordMany<A extends Attributes>(
  op: Op<A>,
  inputs: readonly Tensor[],
  attributes: A,
  results: readonly { dtype: DType; shape: Shape }[],
  data?: NdArray,
): Tensor[] {
  const outputs: Tensor[] = [];
  const node: Node<A> = { id: nextId++, op, inputs, attributes, outputs, ...(data ? { data } : {}) };
  for (const [i, { dtype, shape }] of results.entries()) {
    // The attribute type is known to the op alone; outside it every node is a Node<Attributes>.
    outputs.push(new Tensor(node as unknown as Node, i, dtype, shape));
  }
  return [...outputs];
}

/** Records a node with one output. */
export function record<A extends Attributes>(
  op: Op<A>,
  inputs: readonly Tensor[],
  attributes: A,
  dtype: DType,
  shape: Shape,
): Tensor {
  return recordMany(op, inputs, attributes, [{ dtype, shape }])[0]!;
}

/** All nodes that the outputs depend on, each after its inputs. */
export function topologicalOrder(outputs: readonly Tensor[]): Node[] {
  const order: Node[] = [];
  const done = new Set<Node>();
  // An explicit stack: unrolled recurrences are deeper than the call stack.
  const stack: { node: Node; next: number }[] = [];
  for (const { node } of outputs) {
    if (done.has(node)) continue;
    stack.push({ node, next: 0 });
    done.add(node);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (top.next < top.node.inputs.length) {
        const input = top.node.inputs[top.next++]!.node;
        if (!done.has(input)) {
          done.add(input);
          stack.push({ node: input, next: 0 });
        }
      } else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}
