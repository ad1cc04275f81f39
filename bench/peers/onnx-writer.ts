import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { repeated } from './noise.ts';

/**
 * ONNX models with inputs and outputs of given names and their weights in a file beside, as other runtimes load them.
 * (src/graph writes models for this project's own sessions.)
 */

export type OnnxType = 'float32' | 'int64' | 'int32' | 'uint8';
const ELEMENT: Record<OnnxType, TensorProto_DataType> = {
  float32: TensorProto_DataType.FLOAT,
  int64: TensorProto_DataType.INT64,
  int32: TensorProto_DataType.INT32,
  uint8: TensorProto_DataType.UINT8,
};
const BYTES: Record<OnnxType, number> = { float32: 4, int64: 8, int32: 4, uint8: 1 };

type Dims = readonly (number | string)[];
type Attribute = number | string | readonly number[];
const FLOATS = new Set(['epsilon', 'scale']);
const CONTRIB = 'com.microsoft';

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

  node(type: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.nodeMany(type, inputs, 1, attributes)[0]!;
  }

  contrib(
    type: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, Attribute>,
  ): string[] {
    return this.nodeMany(type, inputs, outputs, attributes, CONTRIB);
  }

  nodeMany(
    type: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, Attribute> = {},
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
    this.initializers.push(
      create(TensorProtoSchema, {
        name,
        dataType: ELEMENT[type],
        dims: dims.map(BigInt),
        rawData: new Uint8Array(data.buffer),
      }),
    );
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
    const entries = {
      location: `${basename(this.path)}_data`,
      offset: String(start),
      length: String(bytes),
    };
    this.initializers.push(
      create(TensorProtoSchema, {
        name,
        dataType: ELEMENT[type],
        dims: dims.map(BigInt),
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries(entries).map(([key, value]) =>
          create(StringStringEntryProtoSchema, { key, value }),
        ),
      }),
    );
    return name;
  }

  finish(): void {
    closeSync(this.data);
    const model = create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: 'postnas bench',
      opsetImport: [
        create(OperatorSetIdProtoSchema, { domain: '', version: 21n }),
        create(OperatorSetIdProtoSchema, { domain: CONTRIB, version: 1n }),
      ],
      graph: create(GraphProtoSchema, {
        name: 'decoder',
        node: this.nodes,
        initializer: this.initializers,
        input: this.inputs,
        output: this.outputs,
      }),
    });
    writeFileSync(this.path, toBinary(ModelProtoSchema, model));
  }
}

function attributeProto(name: string, value: Attribute) {
  if (typeof value === 'string') {
    const s = new TextEncoder().encode(value);
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.STRING, s });
  }
  if (typeof value === 'object') {
    return create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.INTS,
      ints: value.map((i) => BigInt(i)),
    });
  }
  return FLOATS.has(name)
    ? create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value })
    : create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
}

function valueInfo(name: string, type: OnnxType, dims: Dims): ValueInfoProto {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof size === 'number'
          ? { case: 'dimValue', value: BigInt(size) }
          : { case: 'dimParam', value: size },
    }),
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, {
      value: {
        case: 'tensorType',
        value: create(TypeProto_TensorSchema, {
          elemType: ELEMENT[type],
          shape: create(TensorShapeProtoSchema, { dim }),
        }),
      },
    }),
  });
}
