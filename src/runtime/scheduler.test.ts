import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../test/support/tiny-tokenizer.ts';
import { releasedJetBlock } from '../mixers/jet-block.ts';
import { saveCheckpoint } from '../model/checkpoint.ts';
import { Random } from '../util/random.ts';
import { HostBatch } from './batch.ts';
import { Engine } from './engine.ts';
import { KvCache } from './kv/cache.ts';
import { Model } from './model.ts';
import { Overloaded, type ScheduledRequest, type ScheduledToken, Scheduler } from './scheduler.ts';

const config = tinyConfig(
  [
    { kind: 'gated_deltanet', heads: 3, keyDim: 8, valueDim: 8, convSize: 4, rope: false },
    { kind: 'attention' },
    releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 }),
  ],
  { maxPositionEmbeddings: 4096 },
);

let dir: string;
let model: Model;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-scheduler-'));
  await saveCheckpoint(dir, config, randomWeights(config, 3), {
    dtype: 'F32',
    files: tinyTokenizerFiles,
    generation: { bosTokenId: 1, eosTokenIds: [2] },
  });
  model = await Model.fromPretrained(dir, { threads: 1 });
});
afterAll(async () => {
  await model?.dispose();
  rmSync(dir, { recursive: true });
});
afterEach(() => vi.restoreAllMocks());

const endless = { eosTokenIds: [] };
const ids = (count: number, seed: number) => {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.below(64));
};

async function collect(tokens: AsyncIterable<ScheduledToken>): Promise<ScheduledToken[]> {
  const all: ScheduledToken[] = [];
  for await (const token of tokens) all.push(token);
  return all;
}

const tick = () => new Promise((done) => setImmediate(done));

describe('each answer is the one it would be alone', () => {
  const requests = Array.from(
    { length: 24 },
    (_, i): ScheduledRequest => ({
      prompt: ids(1 + ((i * 37) % 150), i),
      maxNewTokens: 1 + ((i * 5) % 17),
      topLogProbs: i % 3,
      ...(i % 2 ? { temperature: 1.5, seed: i } : {}),
      ...endless,
    }),
  );
  let alone: ScheduledToken[][];
  beforeAll(async () => {
    const scheduler = new Scheduler(model, { pieceTokens: 16 });
    alone = [];
    for (const request of requests) alone.push(await collect(scheduler.submit(request)));
  });

  test.each([1, 2, 3, 8])('%i at once', async (maxBatch) => {
    const scheduler = new Scheduler(model, { maxBatch, pieceTokens: 16 });
    const random = new Random(maxBatch);
    const answers = await Promise.all(
      requests.map(async (request) => {
        for (let wait = random.below(200); wait > 0; wait--) await tick();
        return collect(scheduler.submit(request));
      }),
    );
    expect(answers).toEqual(alone);
    expect([scheduler.running, scheduler.waiting]).toEqual([0, 0]);
  });

  test('and the one of Model.generate', async () => {
    for (const [i, { prompt, ...options }] of requests.entries()) {
      const text: number[] = [];
      for await (const { id } of model.generate(prompt, options)) text.push(id);
      expect(alone[i]!.map(({ id }) => id)).toEqual(text);
    }
  });
});

test('a long prompt is read between the steps of the others', async () => {
  const scheduler = new Scheduler(model, { pieceTokens: 64 });
  const written: string[] = [];
  const first = (async () => {
    for await (const _ of scheduler.submit({ prompt: [5], maxNewTokens: 60, ...endless })) written.push('a');
  })();
  while (written.length < 3) await tick();
  for await (const _ of scheduler.submit({ prompt: ids(1500, 1), maxNewTokens: 1, ...endless })) {
    written.push('b');
  }
  // 24 pieces, a step after each.
  expect(written.indexOf('b')).toBeGreaterThanOrEqual(3 + 23);
  expect(written.indexOf('b')).toBeLessThanOrEqual(3 + 26);
  await first;
});

describe('formats that take long to look up', () => {
  /** Takes longer for each token than steps of this model do, and allows all of them. */
  const slow = (called: () => void): ScheduledRequest['constraint'] => {
    return () => ({
      mask(logits) {
        called();
        const end = performance.now() + 60;
        while (performance.now() < end);
        return logits;
      },
      push() {},
      complete: false,
    });
  };
  const request = (i: number, more: Partial<ScheduledRequest> = {}): ScheduledRequest => ({
    prompt: ids(5 + i, i),
    maxNewTokens: 5,
    ...endless,
    ...more,
  });

  test('hold up no other text, and get what they would get alone', async () => {
    const scheduler = new Scheduler(model);
    const alone = [];
    for (let i = 0; i < 6; i++) alone.push(await collect(scheduler.submit(request(i))));
    let looked = 0;
    const constraint = slow(() => looked++);
    const slowOnes = [0, 1, 2, 3, 4].map((i) => collect(scheduler.submit(request(i, { constraint }))));
    const between: number[] = [];
    let before = 0;
    for await (const _ of scheduler.submit(request(5, { maxNewTokens: 24 }))) {
      between.push(looked - before);
      before = looked;
    }
    // One look takes longer than a step: more than one would be more than their share.
    expect(Math.max(...between.slice(1))).toBeLessThanOrEqual(2);
    expect(await Promise.all(slowOnes)).toEqual(alone.slice(0, 5));
    expect(looked).toBe(5 * 5);
    expect(scheduler.running).toBe(0);
  });

  test('several texts of one of them, an abort, and the end of all', async () => {
    const scheduler = new Scheduler(model);
    const plain = await collect(scheduler.submit(request(0, { choices: 3 })));
    const constraint = slow(() => {});
    const byChoice = (tokens: ScheduledToken[]) =>
      [0, 1, 2].map((choice) => tokens.filter((token) => token.choice === choice).map(({ id }) => id));
    expect(byChoice(await collect(scheduler.submit(request(0, { choices: 3, constraint }))))).toEqual(
      byChoice(plain),
    );
    const stop = new AbortController();
    const others = [1, 2, 3].map((i) =>
      collect(scheduler.submit(request(i, { constraint, signal: stop.signal }))).catch(
        (error: Error) => error,
      ),
    );
    for await (const _ of scheduler.submit(request(4, { maxNewTokens: 3 })));
    stop.abort(new Error('enough'));
    for (const outcome of await Promise.all(others)) expect(outcome).toMatchObject({ message: 'enough' });
    const open = [1, 2, 3].map((i) =>
      collect(scheduler.submit(request(i, { constraint }))).catch((error: Error) => error),
    );
    for await (const _ of scheduler.submit(request(4, { maxNewTokens: 3 })));
    scheduler.close(new Error('closed'));
    for (const outcome of await Promise.all(open)) expect(outcome).toMatchObject({ message: 'closed' });
    await vi.waitFor(() => expect(scheduler.running).toBe(0));
  });
});

test('prompts take turns: a short one is not held up by a long one', async () => {
  const scheduler = new Scheduler(model, { pieceTokens: 32 });
  const order: string[] = [];
  const ask = async (name: string, prompt: number[]) => {
    for await (const _ of scheduler.submit({ prompt, maxNewTokens: 1, ...endless })) order.push(name);
  };
  await Promise.all([ask('long', ids(2000, 1)), ask('short', ids(20, 2))]);
  expect(order).toEqual(['short', 'long']);
});

test('an abort frees the place within a step', async () => {
  const scheduler = new Scheduler(model, { maxBatch: 1 });
  const steps = vi.spyOn(HostBatch.prototype, 'step');
  const controller = new AbortController();
  const first = scheduler.submit({
    prompt: [5, 6],
    maxNewTokens: 4000,
    signal: controller.signal,
    ...endless,
  });
  const second = collect(scheduler.submit({ prompt: [7, 8], maxNewTokens: 1, ...endless }));
  let count = 0;
  let before = 0;
  const reading = (async () => {
    for await (const _ of first) {
      if (++count !== 5) continue;
      before = steps.mock.calls.length;
      controller.abort(new Error('gone'));
    }
  })();
  await expect(reading).rejects.toThrow('gone');
  expect((await second).length).toBe(1);
  expect(steps.mock.calls.length - before).toBeLessThanOrEqual(1);
  expect(scheduler.running).toBe(0);
});

test('a reader that stops frees the place, too', async () => {
  const scheduler = new Scheduler(model, { maxBatch: 1 });
  for await (const _ of scheduler.submit({ prompt: [5, 6], maxNewTokens: 4000, ...endless })) break;
  expect((await collect(scheduler.submit({ prompt: [5], maxNewTokens: 2, ...endless }))).length).toBe(2);
  await tick();
  expect(scheduler.running).toBe(0);
});

test('an abort while waiting or while the prompt is read', async () => {
  const scheduler = new Scheduler(model, { maxBatch: 1, pieceTokens: 16 });
  const [reading, waiting] = [new AbortController(), new AbortController()];
  const long = collect(scheduler.submit({ prompt: ids(3000, 1), signal: reading.signal }));
  const queued = collect(scheduler.submit({ prompt: [1], signal: waiting.signal }));
  expect([scheduler.running, scheduler.waiting]).toEqual([1, 1]);
  waiting.abort(new Error('no longer'));
  await expect(queued).rejects.toThrow('no longer');
  for (let i = 0; i < 20; i++) await tick();
  expect([scheduler.running, scheduler.waiting]).toEqual([1, 0]);
  reading.abort(new Error('enough'));
  await expect(long).rejects.toThrow('enough');
  for (let i = 0; i < 50; i++) await tick();
  expect(scheduler.running).toBe(0);
});

test('clients share the places: many requests of one do not hold up another', async () => {
  const scheduler = new Scheduler(model, { maxBatch: 1 });
  const order: string[] = [];
  const ask = async (client: string) => {
    await collect(scheduler.submit({ prompt: [5, 6], maxNewTokens: 2, client, ...endless }));
    order.push(client);
  };
  await Promise.all([...'aaaaabbc'].map(ask));
  expect(order.join('')).toBe('abcabaaa');
});

test('a full queue refuses, with a time to come back', async () => {
  const scheduler = new Scheduler(model, { maxBatch: 1, maxQueue: 2 });
  const ask = () => scheduler.submit({ prompt: [5, 6], maxNewTokens: 3, ...endless });
  const taken = [ask()];
  await tick();
  taken.push(ask(), ask());
  expect(ask).toThrow(Overloaded);
  expect(ask).toThrow(/too many requests are waiting; try again in \d+ s/);
  for (const tokens of taken) expect((await collect(tokens)).length).toBe(3);
  expect((await collect(ask())).length).toBe(3);
});

test('several texts after one prompt, which is read once', async () => {
  const scheduler = new Scheduler(model);
  const append = vi.spyOn(Engine.prototype, 'append');
  const options = { prompt: ids(30, 1), maxNewTokens: 8, temperature: 2, ...endless };
  const tokens = await collect(scheduler.submit({ ...options, choices: 3, seed: 7 }));
  expect(append).toHaveBeenCalledTimes(1);
  for (const choice of [0, 1, 2]) {
    const single = await collect(scheduler.submit({ ...options, seed: 7 + choice }));
    const own = tokens.filter((token) => token.choice === choice);
    expect(own.map(({ id }) => id)).toEqual(single.map(({ id }) => id));
    expect(own.at(-1)!.usage).toEqual({ promptTokens: 30, cachedTokens: 0, completionTokens: 8 });
  }
});

test('a prompt alone, with the logits after each of its tokens', async () => {
  const scheduler = new Scheduler(model, { pieceTokens: 16 });
  const prompt = ids(50, 1);
  const seen: number[] = [];
  const each = (place: number, logits: Float32Array) => {
    expect(logits.length).toBe(64);
    seen.push(place);
  };
  expect(await collect(scheduler.submit({ prompt, maxNewTokens: 0, each }))).toEqual([]);
  expect(seen).toEqual(prompt.map((_, i) => i));
  await tick();
  expect(scheduler.running).toBe(0);
});

test('prompts that begin alike are read once; the answers stay the same', async () => {
  await using caching = await Model.fromPretrained(dir, { threads: 1, prefixCacheBytes: 1e8 });
  const start = ids(200, 1);
  const turns = [start, [...start, ...ids(40, 2)], [...start, ...ids(40, 2), ...ids(10, 3)]];
  const ask = (scheduler: Scheduler, prompt: number[]) =>
    collect(
      scheduler.submit({ prompt, boundaries: [200, 240], maxNewTokens: 10, topLogProbs: 2, ...endless }),
    );
  const cold = new Scheduler(model, { pieceTokens: 64 });
  const warm = new Scheduler(caching, { pieceTokens: 64 });
  for (const [i, prompt] of turns.entries()) {
    const [expected, found] = [await ask(cold, prompt), await ask(warm, prompt)];
    expect(found.at(-1)!.usage!.cachedTokens).toBe([0, 200, 240][i]);
    const without = (tokens: ScheduledToken[]) => tokens.map(({ usage: _, ...token }) => token);
    expect(without(found)).toEqual(without(expected));
  }
});

test('where memory runs short one request fails, and the others go on', async () => {
  const scheduler = new Scheduler(model);
  const alone = await collect(scheduler.submit({ prompt: [5, 6], maxNewTokens: 12, ...endless }));
  const short = collect(scheduler.submit({ prompt: [5, 6], maxNewTokens: 12, ...endless }));
  const long = collect(scheduler.submit({ prompt: ids(100, 1), maxNewTokens: 500, ...endless }));
  const reserve = KvCache.prototype.reserve;
  vi.spyOn(KvCache.prototype, 'reserve').mockImplementation(function (this: KvCache, tokens) {
    if (this.length === 105) throw new RangeError('Array buffer allocation failed');
    reserve.call(this, tokens);
  });
  await expect(long).rejects.toThrow('allocation failed');
  expect(await short).toEqual(alone);
});

test('what cannot be asked for is refused at once', () => {
  const scheduler = new Scheduler(model, { maxBatch: 2 });
  const refuse = (request: ScheduledRequest, why: string) =>
    expect(() => scheduler.submit(request)).toThrow(why);
  refuse({ prompt: [] }, 'the prompt is empty');
  refuse({ prompt: [64] }, 'token id 64 is not in the vocabulary');
  refuse({ prompt: ids(4096, 1) }, 'no room for another');
  refuse({ prompt: [1], choices: 3 }, '3 texts were asked for at once, at most 2 are written');
  refuse({ prompt: [1], temperature: -1 }, 'temperature is -1');
  expect(() => new Scheduler(model, { maxBatch: 0 })).toThrow('maxBatch is 0');
  expect(() => new Scheduler(model, { contextLength: 4097 })).toThrow("the model's is 4096");
});

test('a shorter context ends texts, and refuses prompts', async () => {
  const scheduler = new Scheduler(model, { contextLength: 10 });
  const tokens = await collect(scheduler.submit({ prompt: ids(6, 1), maxNewTokens: 50, ...endless }));
  expect(tokens.length).toBe(4);
  expect(tokens.at(-1)!.finish).toBe('length');
  expect(() => scheduler.submit({ prompt: ids(10, 1) })).toThrow('context of 10');
});

test('closing ends all answers', async () => {
  const scheduler = new Scheduler(model, { maxBatch: 1 });
  const ask = async () => collect(scheduler.submit({ prompt: [5, 6], maxNewTokens: 4000, ...endless }));
  const answers = Promise.allSettled([ask(), ask()]);
  await tick();
  scheduler.close(new Error('the server stops'));
  for (const answer of await answers) {
    expect(answer).toMatchObject({ status: 'rejected', reason: { message: 'the server stops' } });
  }
  await expect(ask).rejects.toThrow('closed');
});
