/**
 * The models of the package against their definition: make_greedy.ts wrote 200 greedy tokens of each, computed in float64
 * token by token. So every clone has a text of trained weights to hold the engine to.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Model } from '../../src/runtime/model.ts';
import { argMaxOf } from '../../src/runtime/sampler.ts';
import type { Sequence } from '../../src/runtime/sequence.ts';

interface Golden {
  prompt: number[];
  ids: number[];
  text: string;
  /** How far the second logit is behind the first, everywhere. */
  margin: number;
}

const golden = JSON.parse(readFileSync(new URL('./greedy.json', import.meta.url), 'utf8')) as Record<
  string,
  Golden
>;

describe.each(['base', 'hybrid'])('models/%s', (name) => {
  const { prompt, ids, text, margin } = golden[name]!;
  const all = [...prompt, ...ids];
  let model: Model;
  beforeAll(async () => {
    model = await Model.fromPretrained(`models/${name}`, { threads: 1 });
  });
  afterAll(() => model?.dispose());

  test('the text is long, and no token of it a matter of rounding', () => {
    expect(ids).toHaveLength(200);
    expect(new Set(ids).size).toBeGreaterThanOrEqual(20);
    expect(margin).toBeGreaterThanOrEqual(0.004);
    expect(model.tokenizer!.decode(all)).toBe(text);
  });

  test('generated: the prompt read at once, then step by step', async () => {
    const found: number[] = [];
    for await (const { id } of model.generate(prompt, {
      maxNewTokens: 200,
      temperature: 0,
      eosTokenIds: [],
    })) {
      found.push(id);
    }
    expect(found).toEqual(ids);
  });

  test.each([1, 3, 64, 237])('read in pieces of %i tokens', async (size) => {
    const { engine } = model;
    const sequence = engine.start();
    const found: number[] = [];
    for (let at = 0; at < all.length; at += size) {
      const piece = all.slice(at, at + size);
      if (size === 1) found.push(argMaxOf(await engine.append(sequence, piece)));
      else await engine.append(sequence, piece, { each: (_, logits) => void found.push(argMaxOf(logits)) });
    }
    sequence.dispose();
    expect(found.slice(prompt.length - 1, -1)).toEqual(ids);
  });

  test('in a batch with others that are elsewhere in the text, some of which leave', async () => {
    const { engine } = model;
    const batch = engine.batch();
    const given = new Map<Sequence, number>();
    for (const start of [1, 30, 77, 150]) {
      const sequence = engine.start();
      await engine.append(sequence, all.slice(0, prompt.length + start - 1));
      batch.add(sequence);
      given.set(sequence, start);
    }
    while (given.size > 0) {
      const step = new Map([...given].map(([sequence, at]) => [sequence, ids[at - 1]!]));
      for (const [sequence, logits] of await batch.step(step)) {
        const at = given.get(sequence)!;
        expect(argMaxOf(logits), `token ${at} of ${given.size} sequences`).toBe(ids[at]);
        given.set(sequence, at + 1);
        if (at + 1 < ids.length) continue;
        batch.remove(sequence);
        given.delete(sequence);
        sequence.dispose();
      }
    }
  });
});
