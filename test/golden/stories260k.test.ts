/** A real pre-trained model: stories260K of llama2.c, imported, generating, and cut to windows. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Checkpoint, openCheckpoint } from '../../src/model/checkpoint.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { importCheckpoint } from '../../src/model/import/import-checkpoint.ts';
import { Model } from '../../src/runtime/model.ts';
import { logSumExp } from '../../src/runtime/sampler.ts';
import { FullSequence } from './full-sequence.ts';

const data = resolve(import.meta.dirname, '../../../shared/data');
const file = join(data, 'models/stories260K/stories260K.bin');

/** The first 40 tokens of greedy decoding, and their text, as llama2.c gives them. */
const IDS =
  '403 407 261 378 432 383 286 261 376 298 315 421 395 317 426 338 401 396 267 337 410 408 419 292 411 322 265 282 ' +
  '295 433 426 385 328 432 358 394 261 370 432 352';
const TEXT =
  'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a ' +
  'big, r';

describe.skipIf(!existsSync(file))('stories260K (needs ../shared/data)', () => {
  let folder: string;
  let model: Model;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postnas-stories-'));
    await importCheckpoint(file, folder);
    model = await Model.fromPretrained(folder, { threads: 1 });
  });
  afterAll(async () => {
    await model?.dispose();
    if (folder) rmSync(folder, { recursive: true });
  });

  test('writes the text of llama2.c, token by token', async () => {
    const ids: number[] = [];
    let text = '';
    for await (const token of model.generate('', { maxNewTokens: 40 })) {
      ids.push(token.id);
      text += token.text;
    }
    expect(ids.join(' ')).toBe(IDS);
    expect(text).toBe(TEXT);
  });

  test('goes on in the middle of a text, spaces included', async () => {
    const cut = 15;
    const start = 'Once upon a time, there was a little girl';
    let text = start;
    for await (const token of model.generate(start, { maxNewTokens: cut })) text += token.text;
    expect(text.length).toBeGreaterThan(start.length + cut);
    expect(TEXT.startsWith(text)).toBe(true);
  });

  describe('on stories of its kind', () => {
    let checkpoint: Checkpoint;
    let rows: number[][];
    beforeAll(() => {
      checkpoint = openCheckpoint(folder);
      // A line is a paragraph; stories follow each other without an empty line between them.
      const stories = readFileSync(join(data, 'text/tinystories-944k.txt'), 'utf8').split(/(?<!\n)\n(?!\n)/);
      const some = stories.filter((_, i) => i % 50 === 0).map((story) => model.tokenizer!.encode(story));
      rows = some.filter((ids) => ids.length > 200 && ids.length <= 512);
    });

    /** Mean loss in nats per token. */
    async function loss(config: ModelConfig): Promise<number> {
      const full = new FullSequence(config, checkpoint.weights);
      let [sum, count] = [0, 0];
      for (const ids of rows) {
        const logits = await full.logits(ids.slice(0, -1));
        for (const [t, row] of logits.entries()) sum += logSumExp(row) - row[ids[t + 1]!]!;
        count += logits.length;
      }
      await full.dispose();
      return sum / count;
    }

    test('the loss is that of a model that was trained on them', async () => {
      const nats = await loss(checkpoint.config);
      expect(nats).toBeGreaterThan(1.3);
      expect(nats).toBeLessThan(1.7);
    });

    test('cutting one layer to a window of 16 tokens costs most in the last layer, then in the third', async () => {
      const { config } = checkpoint;
      const whole = await loss(config);
      const costs: number[] = [];
      for (const cut of config.layers.keys()) {
        const layers = config.layers.map((spec, i) =>
          i === cut ? ({ kind: 'sliding_window', window: 16 } as const) : spec,
        );
        costs.push((await loss({ ...config, layers })) - whole);
      }
      const [first, second, third, fourth, last] = costs as [number, number, number, number, number];
      expect(last).toBeGreaterThan(0.1);
      expect(last).toBeLessThan(0.2);
      expect(third).toBeGreaterThan(0.01);
      expect(third).toBeLessThan(0.05);
      expect(last).toBeGreaterThan(3 * third);
      expect(third).toBeGreaterThan(Math.max(first, second, fourth));
      expect(second).toBeLessThan(Math.min(first, fourth));
      expect(Math.max(first, second, fourth)).toBeLessThan(0.03);
    });
  });
});
