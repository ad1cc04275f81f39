import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onnxFolder } from './onnx-models.ts';
import { TINY } from './tiny-shape.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-bench-onnx-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const ids = [3, 14, 15, 92, 65, 35];

const int64 = (values: number[], dims: number[]) =>
  new Tensor('int64', BigInt64Array.from(values, BigInt), dims);

async function run(session: InferenceSession, piece: number[], past: Record<string, Tensor>, length: number) {
  const results = await session.run({
    ...past,
    input_ids: int64(piece, [1, piece.length]),
    attention_mask: int64(Array(length).fill(1), [1, length]),
    num_logits_to_keep: int64([1], []),
  });
  const { logits, ...present } = results;
  const state = Object.entries(present).map(([name, value]) => [
    name.startsWith('present.')
      ? name.replace('present', 'past_key_values')
      : name.replace('present', 'past'),
    value as Tensor,
  ]);
  return { logits: logits!, state: Object.fromEntries(state) as Record<string, Tensor> };
}

test.each([
  ['full', 'q8'],
  ['hybrid', 'q8'],
  ['hybrid', 'q4'],
] as const)('%s in %s: a prompt at once gives what its tokens one by one give', async (model, dtype) => {
  const folder = onnxFolder(dir, TINY, model, dtype);
  const file = join(folder, 'onnx', dtype === 'q8' ? 'model_quantized.onnx' : 'model_q4.onnx');
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
  const empty = Object.fromEntries(
    session.inputMetadata
      .filter(({ name }) => name.startsWith('past_'))
      .map((meta) => {
        const { shape } = meta as { shape: readonly (number | string)[] };
        const dims = shape.map((dim) => (typeof dim === 'number' ? dim : dim === 'batch_size' ? 1 : 0));
        return [meta.name, new Tensor('float32', new Float32Array(dims.reduce((a, b) => a * b, 1)), dims)];
      }),
  );
  const whole = await run(session, ids, empty, ids.length);
  expect(whole.logits.dims).toEqual([1, 1, TINY.config.vocabSize]);
  let { logits, state } = await run(session, ids.slice(0, 1), empty, 1);
  for (let i = 1; i < ids.length; i++) ({ logits, state } = await run(session, [ids[i]!], state, i + 1));
  const largest = Math.max(...(whole.logits.data as Float32Array).map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  for (const [i, value] of (whole.logits.data as Float32Array).entries()) {
    // Activations are quantised on the way: a rounding may fall the other way.
    expect(Math.abs(value - (logits.data as Float32Array)[i]!)).toBeLessThan(0.05 * largest);
  }
  await session.release();
});

test("config.json has the layers under qwen3_next's names", () => {
  const folder = onnxFolder(dir, TINY, 'hybrid', 'q8');
  expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))).toMatchObject({
    model_type: 'qwen3_next',
    layer_types: ['linear_attention', 'full_attention', 'linear_attention'],
  });
});
