import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { expect, test } from 'vitest';
import { concat, input, split } from './index.ts';
import { writeOnnx } from './onnx.ts';

test('on a device no Split has more results than a kernel has buffers', () => {
  const x = input('x', 'float32', [2, 120]);
  const sizes = Array.from({ length: 60 }, () => 2);
  const y = concat(split(x, 1, sizes), 1);
  const largest = (device: 'cpu' | 'webgpu') => {
    const model = fromBinary(ModelProtoSchema, writeOnnx({ y }, new Map([[x, 'x']]), new Map(), device));
    const splits = model.graph!.node.filter(({ opType }) => opType === 'Split');
    return Math.max(...splits.map(({ output }) => output.length));
  };
  expect(largest('cpu')).toBe(60);
  expect(largest('webgpu')).toBeLessThanOrEqual(7);
});
