import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_SequenceSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import type { Shape } from './dim.ts';
import type { DType } from './tensor.ts';

/** The parts of an ONNX model as its protobuf has them. */

export const ELEMENT_TYPE: Record<DType, TensorProto_DataType> = {
  float32: TensorProto_DataType.FLOAT,
  float16: TensorProto_DataType.FLOAT16,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  bool: TensorProto_DataType.BOOL,
  uint8: TensorProto_DataType.UINT8,
  int8: TensorProto_DataType.INT8,
};

/** The domain of ONNX Runtime's own operators. */
export const CONTRIB = 'com.microsoft';

export type OnnxAttribute = number | string | readonly number[] | GraphProto;

/** Attributes that ONNX declares as float; whole numbers would otherwise be written as ints. */
const FLOATS = new Set(['alpha', 'epsilon', 'scale', 'softcap']);

export function attributeProto(name: string, value: OnnxAttribute): AttributeProto {
  if (typeof value === 'string') {
    const s = new TextEncoder().encode(value);
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.STRING, s });
  }
  if (typeof value === 'object') {
    if ('$typeName' in value) {
      return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g: value });
    }
    const ints = value.map((i) => BigInt(i));
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints });
  }
  return FLOATS.has(name)
    ? create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value })
    : create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
}

/** An input or output of a graph; symbols of the shape are named as they are. */
export function valueInfo(name: string, dtype: DType, shape: Shape): ValueInfoProto {
  const dim = shape.map((size) =>
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
          elemType: ELEMENT_TYPE[dtype],
          shape: create(TensorShapeProtoSchema, { dim }),
        }),
      },
    }),
  });
}

/** A list of tensors as input or output of a graph. */
export function sequenceInfo(name: string): ValueInfoProto {
  const elemType = create(TypeProtoSchema, {
    value: {
      case: 'tensorType',
      value: create(TypeProto_TensorSchema, { elemType: ELEMENT_TYPE.float32 }),
    },
  });
  const value = create(TypeProto_SequenceSchema, { elemType });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'sequenceType', value } }),
  });
}

/** Where data lies outside the model: from a byte of a file on. */
export interface ExternalData {
  location: string;
  /** 0 when absent. */
  offset?: number;
  bytes: number;
}

/** An initialiser whose data are given, or lie outside the model. */
export function initializer(
  name: string,
  dtype: DType,
  shape: readonly number[],
  data: Uint8Array<ArrayBuffer> | ExternalData,
): TensorProto {
  const common = { name, dataType: ELEMENT_TYPE[dtype], dims: shape.map(BigInt) };
  if (data instanceof Uint8Array) return create(TensorProtoSchema, { ...common, rawData: data });
  const { location, offset = 0, bytes } = data;
  const entries = { location, offset: String(offset), length: String(bytes) };
  return create(TensorProtoSchema, {
    ...common,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
  });
}

/** A model of opset 21 with ONNX Runtime's own operators. */
export function modelBytes(graph: GraphProto): Uint8Array<ArrayBuffer> {
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    producerName: 'postnas',
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: '', version: 21n }),
      create(OperatorSetIdProtoSchema, { domain: CONTRIB, version: 1n }),
    ],
    graph,
  });
  return toBinary(ModelProtoSchema, model) as Uint8Array<ArrayBuffer>;
}
