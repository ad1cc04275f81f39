/** SmolLM2-135M-Instruct running: against `transformers` on the same weights (test/golden/make_smollm2.py). */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Model } from '../../../src/runtime/model.ts';
import { logSumExp } from '../../../src/runtime/sampler.ts';

interface Golden {
  text: string;
  ids: number[];
  /** Of each position, the 20 largest logits with their tokens, largest first. */
  top: [number, number][][];
  logsumexp: number[];
  sum_squares: number[];
  mean_nll: number;
  greedy: number[];
  greedy_text: string;
}

const root = resolve(import.meta.dirname, '../../..');
const folder = join(process.env.POSTNAS_CACHE ?? join(root, '.cache'), 'smollm2/hf');
const golden = JSON.parse(readFileSync(join(root, 'test/golden/smollm2.json'), 'utf8')) as Golden;

let model: Model;
beforeAll(async () => {
  model = await Model.fromPretrained(folder);
});
afterAll(() => model?.dispose());

/** Relative to the largest logit, as for the small models. */
function expectLogits(logits: Float32Array, t: number): void {
  const top = golden.top[t]!;
  const largest = top[0]![1];
  for (const [id, value] of top) expect(Math.abs(logits[id]! - value) / largest).toBeLessThan(1e-4);
  expect(Math.abs(logSumExp(logits) - golden.logsumexp[t]!) / largest).toBeLessThan(1e-4);
  const squares = logits.reduce((sum, x) => sum + x * x, 0);
  expect(Math.abs(squares / golden.sum_squares[t]! - 1)).toBeLessThan(1e-4);
}

test('logits, token by token', async () => {
  const { engine } = model;
  using sequence = engine.start();
  let nll = 0;
  for (const [t, id] of golden.ids.entries()) {
    const logits = await engine.append(sequence, [id]);
    expectLogits(logits, t);
    const next = golden.ids[t + 1];
    if (next !== undefined) nll += logSumExp(logits) - logits[next]!;
  }
  expect(nll / (golden.ids.length - 1)).toBeCloseTo(golden.mean_nll, 4);
});

test('logits after a prompt that is read at once', async () => {
  const { engine } = model;
  for (const length of [2, 20, golden.ids.length]) {
    const logits = await engine.append(engine.start(), golden.ids.slice(0, length));
    expectLogits(logits, length - 1);
  }
});

test('greedy tokens and their text', async () => {
  const ids: number[] = [];
  let text = '';
  const options = {
    maxNewTokens: golden.greedy.length,
    temperature: 0,
    repetitionPenalty: 1,
    eosTokenIds: [],
  };
  for await (const token of model.generate(golden.text, options)) {
    ids.push(token.id);
    text += token.text;
  }
  expect(ids).toEqual(golden.greedy);
  expect(text).toBe(golden.greedy_text);
});

test('an answer to a question ends by itself', async () => {
  let text = '';
  let finish: string | undefined;
  const messages = [{ role: 'user', content: 'What is the capital of France? Answer in one sentence.' }];
  for await (const token of model.chat(messages, { maxNewTokens: 60, temperature: 0 })) {
    text += token.text;
    finish = token.finish;
  }
  expect(text).toContain('Paris');
  expect(finish).toBe('stop');
});

test('the weights are held once, the embedding twice: it is also the head', () => {
  const [weights, embedding] = [4 * 134_515_008, 4 * 49_152 * 576];
  // With blocks returned to the system when they are freed, what remains is what is held, to within a few MB.
  const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_ARENA_MAX: '1' };
  const script = join(import.meta.dirname, 'memory.mjs');
  const printed = execFileSync(process.execPath, ['--expose-gc', script, folder], { env, encoding: 'utf8' });
  const added = JSON.parse(printed) as { rss: number; arrayBuffers: number };
  // 735 to 741 MB in several runs; a second copy would take 538 MB more.
  expect(added.rss).toBeLessThan(weights + embedding + 250e6);
  // The embedding is looked up here, the rest is ONNX Runtime's.
  expect(added.arrayBuffers).toBeGreaterThan(embedding);
  expect(added.arrayBuffers).toBeLessThan(embedding + 20e6);
});
