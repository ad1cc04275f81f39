import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { tinyBatches, tinyParent } from '../../../../test/support/tiny-network.ts';
import { evaluate, input, logSoftmax, type Value, zeros } from '../../../graph/index.ts';
import { ndarray } from '../../../graph/ndarray.ts';
import { head } from '../../../model/decoder.ts';
import { LayerPrograms } from '../../../model/layer-programs.ts';
import { Random } from '../../../util/random.ts';
import { TeacherCache } from './teacher-cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'postnas-cache-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the most probable tokens, falling, as the head gives them; asked once', async () => {
  const teacher = tinyParent(undefined, { vocabSize: 100, tieWordEmbeddings: true });
  const { config } = teacher;
  const shape = { batch: 2, length: 3 };
  const ids = new Int32Array(6);
  tinyBatches(100).fill(ids, 3, new Random(1));
  const x: Value = zeros([2, 3, config.hiddenSize]);
  const random = new Random(2);
  const hidden = x.data as Float32Array;
  for (let i = 0; i < hidden.length; i++) hidden[i] = random.normal();

  const programs = new LayerPrograms(config, shape, undefined, 1);
  // Two rows of logits at a time.
  const options = { folder, teacher, programs, temperature: 2, logits: 200 };
  let asked = 0;
  const teach = async () => {
    asked++;
    return x;
  };
  const top = await new TeacherCache(options).top(ids, teach);
  const again = await new TeacherCache(options).top(ids, teach);
  expect(again).toEqual(top);
  expect(asked).toBe(1);
  // Another temperature, or teacher, is another cache.
  await new TeacherCache({ ...options, temperature: 1 }).top(ids, teach);
  const other = tinyParent(undefined, { vocabSize: 100, tieWordEmbeddings: true, rmsNormEps: 1e-5 });
  await new TeacherCache({ ...options, teacher: other }).top(ids, teach);
  expect(asked).toBe(3);
  // So are the same tokens as one row: others stand before the fourth.
  const single = new LayerPrograms(config, { batch: 1, length: 6 }, undefined, 1);
  await new TeacherCache({ ...options, programs: single }).top(ids, teach);
  expect(asked).toBe(4);
  await single.dispose();
  await programs.dispose();

  const rows = input('x', 'float32', [6, config.hiddenSize]);
  const inputs = Object.fromEntries(
    Object.entries(teacher.outer).map(([name, { dims }]) => [name, input(name, 'float32', dims)]),
  );
  const feeds = new Map([
    [rows, ndarray([6, config.hiddenSize], hidden)],
    ...Object.entries(teacher.outer).map(
      ([name, { dims, data }]) => [inputs[name]!, ndarray(dims, data as Float32Array)] as const,
    ),
  ]);
  const [logits] = evaluate([head(config, rows, inputs)], feeds);
  const z = input('z', 'float32', [6, 100]);
  const [all] = evaluate(
    [logSoftmax(z)],
    new Map([
      [
        z,
        ndarray(
          [6, 100],
          [...logits!.data].map((value) => value / 2),
        ),
      ],
    ]),
  );
  expect(top.k).toBe(64);
  for (let row = 0; row < 6; row++) {
    const said = [...all!.data.slice(100 * row, 100 * (row + 1))];
    const order = said.map((_, i) => i).sort((a, b) => said[b]! - said[a]!);
    const found = [...top.ids.subarray(64 * row, 64 * (row + 1))];
    expect(found.slice(0, 8)).toEqual(order.slice(0, 8));
    for (const [i, id] of found.entries()) {
      expect(top.logProbs[64 * row + i]).toBeCloseTo(said[id]!, 4);
      expect(said[id]).toBeCloseTo(said[order[i]!]!, 4);
    }
  }
});
