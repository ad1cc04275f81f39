/** The graph engine: record tensor operations, differentiate them, run them through ONNX Runtime. */
export { type RightBytes, ZERO_BYTE } from './bytes.ts';
export { denormalsAreZero, flushDenormals } from './denormals.ts';
export type { Dim, Shape } from './dim.ts';
export { addDims, mulDims, subDims } from './dim.ts';
export { evaluate } from './evaluate.ts';
export { grad, gradients } from './grad.ts';
export { type HandOver, handOver } from './hand-over.ts';
export { type Memory, memoryOf } from './memory.ts';
export { type NdArray, ndarray } from './ndarray.ts';
export { DEVICES, type ExternalWeight, writeOnnx } from './onnx.ts';
export type { ExternalData } from './onnx-proto.ts';
export { FAST_BLOCKS } from './onnxruntime.ts';
export * from './ops/constant.ts';
export * from './ops/convolution.ts';
export * from './ops/elementwise.ts';
export * from './ops/gates.ts';
export * from './ops/indexing.ts';
export * from './ops/integers.ts';
export { linear, matmul } from './ops/matmul.ts';
export * from './ops/places.ts';
export * from './ops/recurrence.ts';
export * from './ops/reduce.ts';
export * from './ops/rotary.ts';
export * from './ops/scan.ts';
export * from './ops/shape.ts';
export * from './ops/split.ts';
export * from './ops/triangular.ts';
export * from './program.ts';
export {
  type Bits,
  dequantize,
  hadamard,
  linearWeights,
  QUANTIZED_BLOCK,
  type Quantized,
  quantize,
  rotationSize,
} from './quantized.ts';
export { rightBytes } from './right-bytes.ts';
export { hadamardRows, roundedRows, SMALLEST_ROUNDED } from './rounded.ts';
export { RowQuantizer } from './row-quantized.ts';
export { swappedFrom } from './swapped-from.ts';
export { type DType, GraphError, isFloat, type Node, Tensor, topologicalOrder } from './tensor.ts';
