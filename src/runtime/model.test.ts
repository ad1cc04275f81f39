import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../test/support/tiny-tokenizer.ts';
import { openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import type { GenerationConfig } from '../model/generation-config.ts';
import { writePlacement } from '../model/placed-folder.ts';
import { placementOf } from '../model/placement.ts';
import { weightsHash } from '../model/weights-hash.ts';
import { InputError } from '../util/errors.ts';
import type { GeneratedToken } from './continuation.ts';
import { Engine } from './engine.ts';
import { type LoadOptions, Model } from './model.ts';

const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }], { maxPositionEmbeddings: 64 });

const weights = randomWeights(config, 3);

async function folder(name: string, generation: Partial<GenerationConfig> = {}): Promise<string> {
  const dir = join(root, name);
  await saveCheckpoint(dir, config, randomWeights(config, 3), {
    dtype: 'F32',
    files: tinyTokenizerFiles,
    generation: { bosTokenId: 1, eosTokenIds: [2], ...generation },
  });
  return dir;
}

async function collect(tokens: AsyncIterable<GeneratedToken>): Promise<GeneratedToken[]> {
  const all: GeneratedToken[] = [];
  for await (const token of tokens) all.push(token);
  return all;
}

const textOf = (tokens: GeneratedToken[]) => tokens.map(({ text }) => text).join('');
const idsOf = (tokens: GeneratedToken[]) => tokens.map(({ id }) => id);

let root: string;
let dir: string;
let model: Model;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'postnas-model-'));
  dir = await folder('plain');
  model = await Model.fromPretrained(dir, { threads: 1 });
});
afterAll(async () => {
  await model?.dispose();
  rmSync(root, { recursive: true });
});

const endless = { eosTokenIds: [] };

test.each([
  ['dtype', 'int8', 'dtype is "int8", expected one of f32, q8, q4, f16'],
  ['dtype', 'fp16', 'dtype is "fp16", expected one of f32, q8, q4, f16'],
  ['dtype', 8, 'dtype is 8, expected one of'],
  ['kvDtype', 'q4', 'kvDtype is "q4", expected one of f32, q8'],
  ['device', 'gpu', 'device is "gpu", expected one of cpu, webgpu'],
  ['threads', -1, 'threads is -1, expected a whole number of at least 0'],
  ['threads', 1.5, 'threads is 1.5, expected a whole number of at least 0'],
  ['threads', Number.NaN, 'threads is NaN, expected a whole number of at least 0'],
  ['threads', '2', 'threads is "2", expected a whole number of at least 0'],
])('%s %j is refused', async (name, value, message) => {
  const options = { [name]: value } as LoadOptions;
  // Before the model is looked for: there is none of that name.
  const loading = [
    Model.fromPretrained(join(root, 'none'), options),
    Engine.create(config, weights, options),
  ];
  for (const result of await Promise.allSettled(loading)) {
    expect(result).toMatchObject({ status: 'rejected', reason: { name: 'InputError' } });
    expect(String((result as PromiseRejectedResult).reason)).toContain(message);
  }
});

test('a placement by its name, by its path and as what it says', async () => {
  const placed = tinyConfig(
    [
      { kind: 'sliding_window', window: 4, sinks: 1 },
      { kind: 'head_attention', fullHeads: [1], window: 4, sinks: 1 },
    ],
    {
      maxPositionEmbeddings: 64,
    },
  );
  const hash = await weightsHash(openCheckpoint(dir));
  const placement = placementOf(config, placed, { name: 'near', weights: hash });
  const path = writePlacement(dir, placement);
  const prompt = [5, 9, 20, 7, 33, 12, 8, 41];
  const ids = async (options: LoadOptions, source = dir) => {
    await using model = await Model.fromPretrained(source, { threads: 1, ...options });
    return idsOf(await collect(model.generate(prompt, { maxNewTokens: 12, ...endless })));
  };
  const baked = join(root, 'baked');
  await saveCheckpoint(baked, placed, randomWeights(config, 3), { dtype: 'F32' });
  const expected = await ids({}, baked);
  for (const each of ['near', path, placement]) expect(await ids({ placement: each })).toEqual(expected);
  expect(await ids({})).not.toEqual(expected);
  await expect(Model.fromPretrained(dir, { placement: 'far' })).rejects.toThrow("has no placement 'far'");
  const wrong = { ...placement, window: 0 };
  // Before the model is looked for.
  const none = join(root, 'none');
  await expect(Model.fromPretrained(none, { placement: wrong })).rejects.toThrow('placement: window is 0');
  await expect(Model.fromPretrained(none, { placement: 3 } as object)).rejects.toThrow(
    'placement is 3, expected',
  );
});

test('options of other libraries are refused, not passed over', async () => {
  const named = { max_new_tokens: 4 } as object;
  await expect(collect(model.generate([5], named))).rejects.toThrow(
    "unknown option 'max_new_tokens'; expected maxNewTokens",
  );
  await expect(collect(model.chat([], { do_sample: true } as object))).rejects.toThrow(/'do_sample'/);
  await expect(Model.fromPretrained('none', { quantized: true } as object)).rejects.toThrow(/'quantized'/);
});

test('greedy tokens are the most probable ones, with their log-probabilities', async () => {
  const tokens = await collect(model.generate([5, 6, 7], { maxNewTokens: 12, ...endless }));
  expect(tokens.length).toBe(12);
  let ids = [5, 6, 7];
  for (const { id, logProb } of tokens) {
    const logits = await model.engine.append(model.engine.start(), ids);
    expect(id).toBe(logits.indexOf(Math.max(...logits)));
    const sum = logits.reduce((total, x) => total + Math.exp(x), 0);
    expect(logProb).toBeCloseTo(logits[id]! - Math.log(sum), 4);
    ids = [...ids, id];
  }
  expect(tokens.map(({ finish }) => finish)).toEqual([...new Array(11).fill(undefined), 'length']);
});

test('the pieces of text are the text of all tokens', async () => {
  for (let seed = 0; seed < 5; seed++) {
    const tokens = await collect(
      model.generate('hello', { maxNewTokens: 40, temperature: 3, seed, ...endless }),
    );
    const all = [...model.tokenizer!.encode('hello'), ...idsOf(tokens)];
    expect(`hello${textOf(tokens)}`).toBe(model.tokenizer!.decode(all));
  }
});

test('what generation_config.json asks for and is not followed is told', async () => {
  const others = { no_repeat_ngram_size: 3, transformers_version: '5.24.0' };
  await using told = await Model.fromPretrained(await folder('told', { minP: 0.5, others }), { threads: 1 });
  expect(told.notices).toEqual([
    expect.stringMatching(/told\/generation_config\.json: no_repeat_ngram_size is 3, which is not followed/),
  ]);
  expect(told.generation.minP).toBe(0.5);
  expect(model.notices).toEqual([]);
});

test('a seed gives the same tokens again, another seed others', async () => {
  const ids = async (seed: number) =>
    idsOf(await collect(model.generate('a', { maxNewTokens: 20, temperature: 2, seed, ...endless }))).join();
  expect(await ids(1)).toBe(await ids(1));
  expect(await ids(1)).not.toBe(await ids(2));
});

test('generations side by side do not disturb each other', async () => {
  const run = (prompt: string) => collect(model.generate(prompt, { maxNewTokens: 15, ...endless }));
  const alone = [await run('abc'), await run('xyz')];
  expect(await Promise.all([run('abc'), run('xyz')])).toEqual(alone);
});

test('an end-of-text token ends the text and shows in no text', async () => {
  const tokens = await collect(model.generate('abc', { maxNewTokens: 15, ...endless }));
  const end = tokens[5]!.id;
  const first = idsOf(tokens).indexOf(end);
  const ended = await collect(model.generate('abc', { maxNewTokens: 15, eosTokenIds: [end] }));
  expect(ended.length).toBe(first + 1);
  expect(ended.at(-1)).toMatchObject({ id: end, text: '', finish: 'stop' });
});

test('a stop string ends the text before it, across tokens', async () => {
  const options = { maxNewTokens: 30, temperature: 1, seed: 8, ...endless };
  const text = textOf(await collect(model.generate('abc', options)));
  const stop = text.slice(6, 9);
  const stopped = await collect(model.generate('abc', { ...options, stop: [stop, 'never to be seen'] }));
  expect(textOf(stopped)).toBe(text.slice(0, text.indexOf(stop)));
  expect(stopped.at(-1)!.finish).toBe('stop');
  expect(stopped.slice(0, -1).every(({ finish }) => finish === undefined)).toBe(true);
});

test('the end of the context ends the text', async () => {
  const tokens = await collect(model.generate([1, 2, 3], { maxNewTokens: 1000, ...endless }));
  expect(tokens.length).toBe(61);
  expect(tokens.at(-1)!.finish).toBe('length');
});

test('a conversation goes through the chat template', async () => {
  const chat = await collect(model.chat([{ role: 'user', content: 'hi' }], { maxNewTokens: 5, ...endless }));
  const plain = await collect(
    model.generate(model.tokenizer!.encode('user hi a'), { maxNewTokens: 5, ...endless }),
  );
  expect(chat).toEqual(plain);
});

describe('generation_config.json', () => {
  test('says how to sample, unless told otherwise', async () => {
    const sampled = await folder('sampled', {
      doSample: true,
      temperature: 2,
      topK: 3,
      repetitionPenalty: 1.5,
      maxNewTokens: 9,
    });
    await using other = await Model.fromPretrained(sampled, { threads: 1 });
    const byFile = await collect(other.generate('abc', { seed: 1, ...endless }));
    expect(byFile.length).toBe(9);
    const byOptions = await collect(
      model.generate('abc', {
        ...{ temperature: 2, topK: 3, repetitionPenalty: 1.5, maxNewTokens: 9, seed: 1 },
        ...endless,
      }),
    );
    expect(byFile).toEqual(byOptions);
    const greedy = { temperature: 0, repetitionPenalty: 1, maxNewTokens: 9, ...endless };
    expect(await collect(other.generate('abc', greedy))).toEqual(
      await collect(model.generate('abc', greedy)),
    );
  });

  test('a filter asks for sampling', async () => {
    const run = async (seed: number) =>
      idsOf(await collect(model.generate('a', { topP: 0.999, seed, maxNewTokens: 20, ...endless })));
    expect(await run(1)).not.toEqual(await run(2));
  });
});

describe('stopping', () => {
  test('a signal ends it within one token', async () => {
    const controller = new AbortController();
    let count = 0;
    const run = async () => {
      for await (const _ of model.generate('a', {
        maxNewTokens: 50,
        signal: controller.signal,
        ...endless,
      })) {
        if (++count === 3) controller.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ name: 'AbortError' });
    expect(count).toBe(3);
  });

  test('a signal that comes while a token is computed', async () => {
    const controller = new AbortController();
    const tokens = model.generate('a', { maxNewTokens: 50, signal: controller.signal, ...endless });
    await tokens.next();
    const next = tokens.next();
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    expect(await tokens.next()).toEqual({ done: true, value: undefined });
  });

  test('a signal given too late starts nothing', async () => {
    const tokens = model.generate('a', { signal: AbortSignal.abort() });
    await expect(tokens.next()).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('loading can be stopped', async () => {
    await expect(Model.fromPretrained(dir, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  test('leaving the loop is enough', async () => {
    for await (const _ of model.generate('a', { maxNewTokens: 50 })) break;
    expect((await collect(model.generate('a', { maxNewTokens: 3, ...endless }))).length).toBe(3);
  });

  test('disposal ends a generation with an error, after the token under way', async () => {
    const other = await Model.fromPretrained(dir, { threads: 1 });
    const tokens = other.generate('a', { maxNewTokens: 50, ...endless });
    await tokens.next();
    await other.dispose();
    await expect(tokens.next()).rejects.toThrow('the model has been disposed of');
    await expect(collect(other.generate('a'))).rejects.toThrow('the model has been disposed of');
  });

  test('a block that declares the model disposes of it', async () => {
    let kept: Model;
    {
      await using other = await Model.fromPretrained(dir, { threads: 1 });
      kept = other;
    }
    await expect(collect(kept.generate('a'))).rejects.toThrow('disposed');
  });
});

describe('mistakes', () => {
  test.each([
    ['an empty prompt', '', {}, 'the prompt is empty'],
    ['no room in the context', 'a'.repeat(64), {}, 'the prompt has 64 tokens: no room for another'],
    ['no tokens wanted', 'a', { maxNewTokens: 0 }, 'maxNewTokens is 0, expected a whole number above 0'],
    ['an empty stop string', 'a', { stop: '' }, 'a stop string is empty'],
    ['a wrong option', 'a', { topP: 7 }, 'topP is 7, expected'],
  ])('%s', async (_, prompt, options, message) => {
    const run = collect(model.generate(prompt, options));
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toBeInstanceOf(InputError);
  });

  test('a folder without a tokenizer takes token ids only', async () => {
    const bare = join(root, 'bare');
    await saveCheckpoint(bare, config, randomWeights(config, 3), { dtype: 'F32' });
    await using other = await Model.fromPretrained(bare, { threads: 1 });
    await expect(collect(other.generate('a'))).rejects.toThrow(`${bare} has no tokenizer.json`);
    const tokens = await collect(other.generate([5, 6, 7], { maxNewTokens: 4, ...endless }));
    expect(idsOf(tokens)).toEqual(
      idsOf(await collect(model.generate([5, 6, 7], { maxNewTokens: 4, ...endless }))),
    );
    expect(textOf(tokens)).toBe('');
  });
});
