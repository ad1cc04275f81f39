/** The library in a browser gives what it gives in Node.js. Run by `npm run test:web`. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importCheckpoint, Model } from '../../../src/index.ts';
import type { LoadOptions } from '../../../src/web.ts';
import { type Library, launch, open, ready, verdict, WEBGPU } from './browser.ts';
import { type Hub, ROOT, serveHub, serving } from './servers.ts';

const PROMPTS = [
  'Story: Tom found the',
  'Sums: 68+52=',
  'List: kato = lamp; mibu = fig; sode = hill; Ask: sode =',
  // Longer than a window, and than a piece of a mixer without a fused form.
  `Story:${' Ida walked to the chapel. Paul took the pen. The wind was cold that day.'.repeat(8)}`,
];
const LENGTH = 48;

/** The first 40 tokens of stories260K by llama2.c. */
const STORIES =
  '403 407 261 378 432 383 286 261 376 298 315 421 395 317 426 338 401 396 267 337 410 408 419 292 411 322 265 282 ' +
  '295 433 426 385 328 432 358 394 261 370 432 352';
const stories = join(ROOT, '../shared/data/models/stories260K/stories260K.bin');

let site: Awaited<ReturnType<typeof serving>>;
let hub: Hub;
let browser: Browser;
let page: Page & { failures: string[] };
let folder: string;
let expected: number[][];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-web-'));
  if (existsSync(stories)) await importCheckpoint(stories, folder);
  hub = await serveHub({ hybrid: join(ROOT, 'models/hybrid'), stories: folder });
  site = await serving('npx', ['vite', 'preview', 'web', '--outDir', '../.cache/web', '--host', '127.0.0.1']);
  browser = await launch();
  page = await open(browser, `${site.url}test/library.html`);
  await page.waitForFunction(() => window.postnas !== undefined);
  await using model = await Model.fromPretrained(join(ROOT, 'models/hybrid'), { dtype: 'f32' });
  expected = [];
  for (const prompt of PROMPTS) {
    const ids: number[] = [];
    for await (const { id } of model.generate(prompt, { maxNewTokens: LENGTH, eosTokenIds: [] }))
      ids.push(id);
    expected.push(ids);
  }
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
  await hub?.close();
  if (folder) rmSync(folder, { recursive: true });
});

interface Writing {
  source: string;
  prompts: string[];
  options: LoadOptions;
  maxNewTokens: number;
}

/** Token ids after each prompt. */
async function write(
  { Model }: Library,
  { source, prompts, options, maxNewTokens }: Writing,
): Promise<number[][]> {
  const model = await Model.fromPretrained(source, options);
  const all: number[][] = [];
  for (const prompt of prompts) {
    const ids: number[] = [];
    for await (const { id } of model.generate(prompt, { maxNewTokens, eosTokenIds: [] })) ids.push(id);
    all.push(ids);
  }
  await model.dispose();
  return all;
}

/** Runs a function, which may use nothing but what it is given, in a worker. */
function inWorker<T, D>(run: (library: Library, data: D) => Promise<T>, data: D): Promise<T> {
  return page.evaluate((task) => window.inWorker(task), { source: String(run), data }) as Promise<T>;
}

test('the same tokens as in Node.js, with threads', async () => {
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  const options = { threads: 2, dtype: 'f32' } as const;
  const source = `${site.url}hybrid`;
  const ids = await inWorker(write, { source, prompts: PROMPTS, options, maxNewTokens: LENGTH });
  expect(ids).toEqual(expected);
  expect(page.failures).toEqual([]);
});

test('the same in a page itself, from the Hub, with a cache of prompts', async () => {
  const options = { hubUrl: hub.url, prefixCacheBytes: 1e7 };
  const writing = { source: 'org/hybrid', prompts: PROMPTS, options, maxNewTokens: LENGTH };
  const run = `(${write})(window.postnas, ${JSON.stringify(writing)})`;
  expect(await page.evaluate(run)).toEqual(expected);
});

test.skipIf(!existsSync(stories))('stories260K as llama2.c writes it (needs ../shared/data)', async () => {
  const options = { hubUrl: hub.url };
  const [ids] = await inWorker(write, { source: 'org/stories', prompts: [''], options, maxNewTokens: 40 });
  expect(ids!.join(' ')).toBe(STORIES);
});

test('the same after more tokens than a block of keys and values, which is packed', async () => {
  const long = mkdtempSync(join(tmpdir(), 'postnas-web-long-'));
  try {
    cpSync(join(ROOT, 'models/hybrid'), long, { recursive: true });
    const path = join(long, 'config.json');
    const config = { ...JSON.parse(readFileSync(path, 'utf8')), max_position_embeddings: 8192 };
    writeFileSync(path, JSON.stringify(config));
    const prompt = `Story:${' Ida walked to the chapel. Paul took the pen.'.repeat(400)}`;
    const kept = { dtype: 'f32', kvDtype: 'q8' } as const;
    await using model = await Model.fromPretrained(long, kept);
    expect(model.tokenizer!.encode(prompt).length).toBeGreaterThan(4200);
    const inNode: number[] = [];
    for await (const { id } of model.generate(prompt, { maxNewTokens: 8, eosTokenIds: [] })) inNode.push(id);
    const other = await serveHub({ long });
    try {
      const options = { ...kept, hubUrl: other.url, threads: 2 };
      const writing = { source: 'org/long', prompts: [prompt], options, maxNewTokens: 8 };
      expect(await inWorker(write, writing)).toEqual([inNode]);
    } finally {
      await other.close();
    }
  } finally {
    rmSync(long, { recursive: true });
  }
});

test('a signal ends the reading of a prompt and the writing', async () => {
  const told = await page.evaluate(async (prompt) => {
    const { Model } = window.postnas;
    const model = await Model.fromPretrained('/hybrid');
    const until = async (stop: (count: number) => boolean) => {
      const abort = new AbortController();
      let count = 0;
      try {
        const onProgress = () => stop(0) && abort.abort(new Error('enough'));
        for await (const _ of model.generate(prompt, { signal: abort.signal, eosTokenIds: [], onProgress })) {
          if (stop(++count)) abort.abort(new Error('enough'));
        }
        return 'went on';
      } catch (error) {
        return `${(error as Error).message} after ${count}`;
      }
    };
    // A timer has its turn between tokens too: the page does not stand still.
    const timer = new AbortController();
    setTimeout(() => timer.abort(new Error('by timer')), 50);
    let byTimer = 'went on';
    try {
      for await (const _ of model.generate(prompt, {
        signal: timer.signal,
        eosTokenIds: [],
        maxNewTokens: 400,
      }));
    } catch (error) {
      byTimer = (error as Error).message;
    }
    const results = [await until((count) => count === 3), await until((count) => count === 0), byTimer];
    await model.dispose();
    const afterwards = model.generate(prompt).next();
    return [...results, await afterwards.then(String, (error: Error) => error.message)];
  }, PROMPTS[0]!);
  expect(told).toEqual(['enough after 3', 'enough after 0', 'by timer', 'the model has been disposed of']);
});

describe('mistakes', () => {
  test.each([
    ['/nowhere', /no model folder: it has no config\.json/],
    ['nothing of a kind', /neither the name of a model/],
    ['org/missing', /gives no org\/missing/],
  ])('%s', async (source, message) => {
    const failed = page.evaluate(
      ([source, hubUrl]) =>
        window.postnas.Model.fromPretrained(source, { hubUrl }).catch(
          (error: Error) => `${error.name}: ${error.message}`,
        ),
      [source, hub.url] as const,
    );
    expect(await failed).toMatch(message);
    expect(await failed).toMatch(/^InputError/);
  });

  test('WebGPU where there is none', async () => {
    const failed = page.evaluate(() =>
      window.postnas.Model.fromPretrained('/hybrid', { device: 'webgpu' }).catch(
        (error: Error) => error.message,
      ),
    );
    expect(await failed).toMatch(/device webgpu: this browser offers no adapter/);
  });
});

describe('WebGPU, on a software driver', () => {
  let other: Browser;
  beforeAll(async () => {
    other = await launch(WEBGPU);
  });
  afterAll(() => other?.close());

  test('the same tokens', async () => {
    const gpu = await open(other, `${site.url}test/library.html`);
    expect(await gpu.evaluate(async () => (await navigator.gpu.requestAdapter())?.info.vendor)).toBe(
      'google',
    );
    const writing = {
      source: `${site.url}hybrid`,
      prompts: [PROMPTS[0], PROMPTS[3]],
      options: { device: 'webgpu' } satisfies LoadOptions,
      maxNewTokens: 8,
    };
    const task = { source: String(write), data: writing };
    const ids = await gpu.evaluate((task) => window.inWorker(task), task);
    expect(ids).toEqual([expected[0], expected[3]].map((all) => all!.slice(0, 8)));
    expect(gpu.failures).toEqual([]);
  });

  test('the page offers it', async () => {
    const gpu = await open(other, `${site.url}?device=webgpu`);
    await ready(gpu);
    expect(await gpu.locator('#card-facts').textContent()).toMatch(/On WebGPU;/);
    await gpu.getByRole('button', { name: 'Answer from memory' }).click();
    expect(await verdict(gpu)).toMatch(/✓/);
  });
});
