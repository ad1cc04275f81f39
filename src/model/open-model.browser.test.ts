import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { openModel, openText } from './open-model.browser.ts';
import { readCheckpoint } from './read-checkpoint.ts';
import { readTokenizer } from './tokenizer.ts';

/** Models loaded as a page loads them, from a server that stands in for the Hub; the Cache API as a Map. */

const SHA = '0123456789abcdef0123456789abcdef01234567';
const base = resolve(import.meta.dirname, '../../models/base');
const sharded = resolve(import.meta.dirname, '../../test/golden/models/llama-sharded');

let server: Server;
let hub: string;
let asked: string[] = [];
/** Answers before the files do. */
let first: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://x').pathname;
    asked.push(`${request.method} ${path}`);
    if (first(request, response)) return;
    const json = (value: unknown) => response.end(JSON.stringify(value));
    const [, org, name] = path.split('/');
    if (path.startsWith('/api/models/org/tiny/revision/')) {
      const names = [...readdirSync(base), 'placements/64K.json', 'placements/128K.json'];
      return json({ sha: SHA, siblings: names.map((rfilename) => ({ rfilename })) });
    }
    if (path.startsWith('/api/models/org/none/revision/')) return json({ sha: SHA, siblings: [] });
    const folder = org === 'sharded' ? sharded : org === 'org' && name === 'tiny' ? base : undefined;
    try {
      if (path.endsWith('/placements/64K.json')) return json({ of: path });
      const data = readFileSync(`${folder}/${path.split('/').at(-1)}`);
      response.writeHead(200, { 'content-length': data.length, etag: `"${data.length}"` });
      response.end(request.method === 'HEAD' ? undefined : data);
    } catch {
      response.writeHead(404).end('not here');
    }
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  hub = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((closed) => server.close(closed)));
afterEach(() => {
  asked = [];
  first = () => false;
  vi.unstubAllGlobals();
});

/** As much of the Cache API as is used. */
function withCache() {
  const kept = new Map<string, Response>();
  const cache = {
    match: async (url: string) => kept.get(url)?.clone(),
    put: async (url: string, response: Response) => {
      const copy = new Response(await response.arrayBuffer(), { headers: response.headers });
      kept.set(url, copy);
    },
  };
  vi.stubGlobal('caches', { open: async () => cache });
}

test('a model of the Hub: what is read and nothing else, with progress', async () => {
  const stages = new Map<string, number>();
  const files = await openModel('org/tiny', {
    hubUrl: hub,
    onProgress: ({ stage, done, total }) => stages.set(stage, done / total),
  });
  const { config, weights } = readCheckpoint(files);
  expect(config.layers).toHaveLength(8);
  expect(weights.read('model.norm.weight')).toHaveLength(config.hiddenSize);
  expect(readTokenizer(files).encode('Story').length).toBeGreaterThan(0);
  expect(stages.get('download model.safetensors')).toBe(1);
  expect(asked.some((path) => path.includes('training.jsonl'))).toBe(false);
});

test('a placement comes with the model when it is asked for, and alone by its address', async () => {
  const plain = await openModel('org/tiny', { hubUrl: hub });
  expect(plain.names('placements')).toEqual([]);
  const files = await openModel('org/tiny', { hubUrl: hub, placement: '64K' });
  expect(files.names('placements')).toEqual(['64K.json']);
  await expect(openModel('org/tiny', { hubUrl: hub, placement: '1M' })).rejects.toThrow(
    'org/tiny has no placements/1M.json; it has placements/64K.json, placements/128K.json',
  );
  const below = await openModel(`${hub}/sharded`, { placement: '64K' });
  expect(below.names('placements')).toEqual(['64K.json']);
  expect((await openModel(`${hub}/sharded`, { placement: '1M' })).names('placements')).toEqual([]);
  expect(JSON.parse(await openText(`${hub}/any/placements/64K.json`))).toEqual({
    of: '/any/placements/64K.json',
  });
  await expect(openText(`${hub}/none.json`)).rejects.toThrow('there is no http');
});

test('what is kept is not loaded again, and serves when the Hub cannot be reached', async () => {
  withCache();
  await openModel('org/tiny', { hubUrl: hub });
  const loads = asked.length;
  await openModel('org/tiny', { hubUrl: hub });
  expect(asked.slice(loads)).toEqual(['GET /api/models/org/tiny/revision/main']);
  first = (request) => {
    request.socket.destroy();
    return true;
  };
  expect((await openModel('org/tiny', { hubUrl: hub })).has('model.safetensors')).toBe(true);
  vi.unstubAllGlobals();
  await expect(openModel('org/tiny', { hubUrl: hub })).rejects.toThrow(/cannot load .*org\/tiny/);
});

test('files below an address, shards too; they are loaded again when they have changed', async () => {
  withCache();
  const files = await openModel(`${hub}/sharded`);
  expect(readCheckpoint(files).weights.names().length).toBeGreaterThan(10);
  expect(files.path).toBe(`${hub}/sharded`);
  const again = async () => {
    asked = [];
    await openModel(`${hub}/sharded/`);
    return asked.filter((line) => line.startsWith('GET') && line.includes('00002-of'));
  };
  expect(await again()).toEqual([]);
  first = (request, response) => {
    if (request.method === 'HEAD') response.writeHead(200, { etag: '"new"' }).end();
    return request.method === 'HEAD';
  };
  expect(await again()).toHaveLength(1);
});

test('a signal ends a download', async () => {
  const stop = new AbortController();
  const onProgress = () => stop.abort(new Error('enough'));
  await expect(openModel('org/tiny', { hubUrl: hub, onProgress, signal: stop.signal })).rejects.toThrow(
    'enough',
  );
});

test.each([
  ['nothing of a kind', /neither the name of a model.* nor an address/],
  ['org/missing', /gives no org\/missing \(main\): 404/],
  ['org/none', /no config\.json with model\.safetensors/],
  ['ADDRESS/nowhere', /nowhere is no model folder: it has no config\.json/],
])('%s is refused', async (source, message) => {
  await expect(openModel(source.replace('ADDRESS', hub), { hubUrl: hub })).rejects.toThrow(message);
});

test('a page in place of a file is no file, and a broken download says so', async () => {
  first = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    return true;
  };
  await expect(openModel(`${hub}/sharded`)).rejects.toThrow(/no config\.json/);
  first = (request, response) => {
    if (!request.url!.endsWith('model.safetensors')) return false;
    response.writeHead(200, { 'content-length': 1000 });
    response.write('a part', () => request.socket.destroy());
    return true;
  };
  await expect(openModel('org/tiny', { hubUrl: hub })).rejects.toThrow(/model\.safetensors broke off/);
  first = (request, response) => {
    if (!request.url!.endsWith('tokenizer.json')) return false;
    response.writeHead(500).end();
    return true;
  };
  await expect(openModel('org/tiny', { hubUrl: hub })).rejects.toThrow(
    /tokenizer\.json: the server answers 500/,
  );
});
