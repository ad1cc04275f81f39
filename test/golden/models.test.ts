/**
 * Tiny models of every family against PyTorch: make_models.py wrote weights and logits with `transformers` in float32,
 * make_jet_nemotron.py with parts of it and of flash-linear-attention in float64.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { Model } from '../../src/runtime/model.ts';
import { FullSequence, relativeError } from './full-sequence.ts';

interface Golden {
  /** [rows, T] */
  ids: number[][];
  /** [rows, T, vocabulary] */
  logits: number[][][];
  /** What greedy decoding adds to each row, end-of-text tokens included. */
  greedy: number[][];
}

const folder = join(import.meta.dirname, 'models');

describe.each(readdirSync(folder))('%s', (name) => {
  const dir = join(folder, name);
  const golden = JSON.parse(readFileSync(join(dir, 'logits.json'), 'utf8')) as Golden;
  let model: Model;
  beforeAll(async () => {
    model = await Model.fromPretrained(dir, { threads: 1 });
  });
  afterAll(() => model?.dispose());

  test('logits of whole sequences', async () => {
    const { config, weights } = openCheckpoint(dir);
    const full = new FullSequence(config, weights);
    for (const [row, ids] of golden.ids.entries()) {
      const logits = await full.logits(ids);
      for (const [t, expected] of golden.logits[row]!.entries()) {
        expect(relativeError(logits[t]!, expected)).toBeLessThan(1e-4);
      }
    }
    await full.dispose();
  });

  test.each([1, 7, 19])(
    'logits when %i tokens are read at once and the others one by one',
    async (prefill) => {
      const { engine } = model;
      for (const [row, ids] of golden.ids.entries()) {
        using sequence = engine.start();
        let logits = await engine.append(sequence, ids.slice(0, prefill));
        for (let t = prefill; ; t++) {
          expect(relativeError(logits, golden.logits[row]![t - 1]!)).toBeLessThan(1e-4);
          if (t === ids.length) break;
          logits = await engine.append(sequence, [ids[t]!]);
        }
        expect(sequence.length).toBe(ids.length);
      }
    },
  );

  test('greedy tokens', async () => {
    for (const [row, ids] of golden.ids.entries()) {
      const expected = golden.greedy[row]!;
      const found: number[] = [];
      for await (const { id } of model.generate(ids, { maxNewTokens: expected.length, eosTokenIds: [] })) {
        found.push(id);
      }
      expect(found).toEqual(expected);
    }
  });
});
