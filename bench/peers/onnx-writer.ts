import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf';
import {
  attributeProto,
  CONTRIB,
  initializer,
  modelBytes,
  type OnnxAttribute,
  valueInfo,
} from '../../src/graph/onnx-proto.ts';
import { repeated } from './noise.ts';

/**
 * ONNX models with inputs and outputs of given names and their weights in a file beside, as other runtimes load them.
 * (src/graph writes models for this project's own sessions.)
 */

export type OnnxType = 'float32' | 'int64' | 'int32' | 'uint8';
const BYTES: Record<OnnxType, number> = { float32: 4, int64: 8, int32: 4, uint8: 1 };

type Dims = readonly (number | string)[];

export class OnnxWriter {
  private readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [];
  private readonly inputs: ValueInfoProto[] = [];
  private readonly outputs: ValueInfoProto[] = [];
  private readonly data: number;
  private offset = 0;

  constructor(private readonly path: string) {
    this.data = openSync(`${path}_data`, 'w');
  }

  input(name: string, type: OnnxType, dims: Dims): string {
    this.inputs.push(valueInfo(name, type, dims));
    return name;
  }

  /** Gives a value of the graph its name as an output. */
  output(name: string, type: OnnxType, dims: Dims, value: string): void {
    this.outputs.push(valueInfo(name, type, dims));
    this.nodes.push(create(NodeProtoSchema, { opType: 'Identity', input: [value], output: [name] }));
  }

  node(type: string, inputs: readonly string[], attributes: Record<string, OnnxAttribute> = {}): string {
    return this.nodeMany(type, inputs, 1, attributes)[0]!;
  }

  contrib(
    type: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, OnnxAttribute>,
  ): string[] {
    return this.nodeMany(type, inputs, outputs, attributes, CONTRIB);
  }

  nodeMany(
    type: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, OnnxAttribute> = {},
    domain = '',
  ): string[] {
    const name = `/${this.nodes.length}/${type}`;
    const names = Array.from({ length: outputs }, (_, i) => `${name}/${i}`);
    this.nodes.push(
      create(NodeProtoSchema, {
        opType: type,
        domain,
        name,
        input: [...inputs],
        output: names,
        attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
      }),
    );
    return names;
  }

  /** A constant within the model. */
  constant(type: OnnxType, dims: readonly number[], values: readonly number[]): string {
    const name = `constant_${this.initializers.length}`;
    const data =
      type === 'int64'
        ? BigInt64Array.from(values, BigInt)
        : type === 'int32'
          ? Int32Array.from(values)
          : Float32Array.from(values);
    this.initializers.push(initializer(name, type, dims, new Uint8Array(data.buffer)));
    return name;
  }

  /** A weight in the file beside: `block` over and over. */
  weight(name: string, type: OnnxType, dims: readonly number[], block: Uint8Array<ArrayBuffer>): string {
    const bytes = BYTES[type] * dims.reduce((a, b) => a * b, 1);
    // On whole pages, so that ONNX Runtime can map the file.
    const start = Math.ceil(this.offset / 4096) * 4096;
    let at = start;
    for (const part of repeated(block, bytes)) at += writeSync(this.data, part, 0, part.length, at);
    this.offset = start + bytes;
    const location = `${basename(this.path)}_data`;
    this.initializers.push(initializer(name, type, dims, { location, offset: start, bytes }));
    return name;
  }

  finish(): void {
    closeSync(this.data);
    const graph = create(GraphProtoSchema, {
      name: 'decoder',
      node: this.nodes,
      initializer: this.initializers,
      input: this.inputs,
      output: this.outputs,
    });
    writeFileSync(this.path, modelBytes(graph));
  }
}
