import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { pull, resolveModel } from './hub.ts';

/** The routes of the Hub that are used, for one repository org/tiny. */
const SHA = '0123456789abcdef0123456789abcdef01234567';
const weights = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 251));
/** A test may give the repository other ones. */
let files: Record<string, Buffer>;
const ordinary: Record<string, Buffer> = {
  'config.json': Buffer.from('{"model_type":"llama"}'),
  'tokenizer.json': Buffer.from('{}'),
  'model.safetensors': weights,
  'README.md': Buffer.from('not wanted'),
  'pytorch_model.bin': Buffer.from('not wanted either'),
};
/** As git names a file. */
const sha1 = (data: Buffer) => createHash('sha1').update(`blob ${data.length}\0`).update(data).digest('hex');
const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');

interface Seen {
  path: string;
  range: string | undefined;
  authorization: string | undefined;
}

let server: Server;
let seen: Seen[];
/** How the server sends a file; a test may break it. */
let send: (response: ServerResponse, data: Buffer) => void;
let home: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    const { range, authorization } = request.headers;
    seen.push({ path, range, authorization });
    const json = (value: unknown, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    if (path.startsWith('/api/models/org/private')) return json({ error: 'Invalid credentials' }, 401);
    if (path.startsWith('/api/models/org/empty/revision')) return json({ id: 'org/empty', sha: SHA });
    if (path.startsWith('/api/models/org/empty/tree')) return json([]);
    if (/^\/api\/models\/org\/tiny\/revision\/(main|v1|0123.*)$/.test(path))
      return json({ id: 'org/tiny', sha: SHA });
    if (path === `/api/models/org/tiny/tree/${SHA}`) {
      return json([
        { type: 'directory', path: 'onnx', oid: '', size: 0 },
        ...Object.entries(files).map(([name, data]) => ({
          type: 'file',
          path: name,
          size: data.length,
          oid: sha1(data),
          ...(name.endsWith('.safetensors') && {
            lfs: { oid: sha256(data), size: data.length, pointerSize: 1 },
          }),
        })),
      ]);
    }
    const data = path.startsWith(`/org/tiny/resolve/${SHA}/`)
      ? files[path.slice(`/org/tiny/resolve/${SHA}/`.length)]
      : undefined;
    if (!data) return json({ error: 'Repository not found' }, 404);
    const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
    const [start, end] = match
      ? [Number(match[1]), Number(match[2] || data.length - 1)]
      : [0, data.length - 1];
    response.writeHead(match ? 206 : 200, {
      etag: `"${sha1(data)}"`,
      'content-length': end + 1 - start,
      ...(match && { 'content-range': `bytes ${start}-${end}/${data.length}` }),
    });
    if (match && end === 0) response.end(data.subarray(0, 1));
    else send(response, data.subarray(start, end + 1));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
});
afterAll(() => new Promise((closed) => server.close(closed)));

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'postnas-hub-'));
  seen = [];
  files = ordinary;
  send = (response, data) => response.end(data);
  vi.stubEnv('HF_HOME', home);
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  for (const name of [
    'HF_HUB_CACHE',
    'HUGGINGFACE_HUB_CACHE',
    'HF_TOKEN',
    'HF_TOKEN_PATH',
    'HF_HUB_OFFLINE',
    'TRANSFORMERS_OFFLINE',
    'HUGGING_FACE_HUB_TOKEN',
    'HF_HUB_DISABLE_IMPLICIT_TOKEN',
    'XDG_CACHE_HOME',
  ]) {
    vi.stubEnv(name, undefined);
  }
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const snapshot = () => join(home, 'hub/models--org--tiny/snapshots', SHA);
const downloads = () => seen.filter(({ path, range }) => path.includes('/resolve/') && range !== 'bytes=0-0');

describe('pull', () => {
  test("fills the Hub's cache with the files of the model, and those alone", async () => {
    const progress: number[] = [];
    const folder = await pull('org/tiny', { onProgress: ({ done, total }) => progress.push(done / total) });
    expect(folder).toBe(snapshot());
    expect(readFileSync(join(folder, 'model.safetensors')).equals(weights)).toBe(true);
    expect(lstatSync(join(folder, 'model.safetensors')).isSymbolicLink()).toBe(true);
    expect(existsSync(join(home, 'hub/models--org--tiny/blobs', sha256(weights)))).toBe(true);
    expect(readFileSync(join(home, 'hub/models--org--tiny/refs/main'), 'utf8')).toBe(SHA);
    expect(downloads().map(({ path }) => path.split('/').at(-1))).toEqual([
      'config.json',
      'tokenizer.json',
      'model.safetensors',
    ]);
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  });

  test('with the placements; one that is asked for and not in the cache is looked for', async () => {
    await pull('org/tiny');
    const placements = {
      'placements/64K.json': Buffer.from('{"of":"64K"}'),
      'placements/128K.json': Buffer.from('{"of":"128K"}'),
    };
    files = {
      ...ordinary,
      ...placements,
      'placements/notes.txt': Buffer.from('not wanted'),
      'onnx/model.safetensors': Buffer.from('nor this'),
    };
    seen = [];
    expect(await resolveModel('org/tiny')).toBe(snapshot());
    expect(seen).toEqual([]);
    const folder = await resolveModel('org/tiny', { placement: '64K' });
    expect(downloads().map(({ path }) => path.split('/').at(-1))).toEqual(['64K.json', '128K.json']);
    expect(readFileSync(join(folder, 'placements/64K.json'), 'utf8')).toBe('{"of":"64K"}');
    expect(readdirSync(join(folder, 'placements')).sort()).toEqual(['128K.json', '64K.json']);
    seen = [];
    await resolveModel('org/tiny', { placement: '64K' });
    expect(seen).toEqual([]);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(resolveModel('org/tiny', { placement: '1M' })).rejects.toThrow(
      /org\/tiny \(main\) is not in .* as a whole: it lacks placements\/1M\.json, and HF_HUB_OFFLINE is set/,
    );
  });

  test('a second time loads nothing', async () => {
    await pull('org/tiny');
    seen = [];
    expect(await pull('org/tiny', { revision: 'v1' })).toBe(snapshot());
    expect(downloads()).toEqual([]);
  });

  test('the token comes from HF_TOKEN, or from the file', async () => {
    await pull('org/tiny');
    expect(seen.every(({ authorization }) => authorization === undefined)).toBe(true);
    seen = [];
    writeFileSync(join(home, 'token'), 'hf_file\n');
    await pull('org/tiny');
    expect(seen[0]?.authorization).toBe('Bearer hf_file');
    vi.stubEnv('HF_TOKEN', 'hf_variable');
    await pull('org/tiny');
    expect(seen.at(-1)?.authorization).toBe('Bearer hf_variable');
  });

  test('an interrupted download goes on where it ended', async () => {
    /** Sizes of the files that are not whole yet. */
    const incomplete = () =>
      readdirSync(home, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.incomplete'))
        .map((name) => statSync(join(home, name)).size);
    send = (response, data) => {
      if (data.length < 1000) response.end(data);
      else {
        response.write(data.subarray(0, 1200));
        // Not before all of it has arrived: what a broken connection still held may be lost.
        const arrived = setInterval(() => {
          if (!incomplete().includes(1200)) return;
          clearInterval(arrived);
          response.destroy();
        }, 5);
      }
    };
    await expect(pull('org/tiny')).rejects.toThrow();
    expect(existsSync(join(home, 'hub/models--org--tiny/refs/main'))).toBe(false);
    send = (response, data) => response.end(data);
    seen = [];
    const folder = await pull('org/tiny');
    expect(downloads().map(({ range }) => range)).toEqual(['bytes=1200-2999']);
    expect(readFileSync(join(folder, 'model.safetensors')).equals(weights)).toBe(true);
  });

  test('damaged bytes are refused and not kept', async () => {
    send = (response, data) => response.end(data.length < 1000 ? data : Buffer.alloc(data.length));
    await expect(pull('org/tiny')).rejects.toThrow(
      /org\/tiny: model\.safetensors was damaged on the way: its SHA-256/,
    );
    send = (response, data) => response.end(data);
    await pull('org/tiny');
  });

  test('damaged small files are refused by their git hash', async () => {
    send = (response, data) => response.end(data.length > 1000 ? data : Buffer.alloc(data.length, ' '));
    await expect(pull('org/tiny')).rejects.toThrow(
      /(config|tokenizer)\.json was damaged on the way: its git hash is not/,
    );
  });

  test('the files that the index names, whatever they are called, and no other sets of weights', async () => {
    const [one, two] = ['model.safetensors-00001-of-00002.safetensors', 'second half.safetensors'];
    files = {
      'config.json': ordinary['config.json']!,
      'model.safetensors.index.json': Buffer.from(JSON.stringify({ weight_map: { a: one, b: two, c: one } })),
      'consolidated.safetensors': weights,
      'model.fp16.safetensors': weights,
      'model-00001-of-00002.safetensors': weights,
      [one]: weights,
      [two]: Buffer.from('the second'),
    };
    const progress: number[] = [];
    const folder = await pull('org/tiny', { onProgress: ({ done, total }) => progress.push(done / total) });
    expect(readdirSync(folder).sort()).toEqual(
      ['config.json', 'model.safetensors.index.json', one, two].sort(),
    );
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
    seen = [];
    expect(await resolveModel('org/tiny')).toBe(folder);
    expect(seen).toEqual([]);
  });

  test('an index that names what is not there, or leads out of the folder', async () => {
    const index = (file: string) => ({
      'config.json': ordinary['config.json']!,
      'model.safetensors.index.json': Buffer.from(JSON.stringify({ weight_map: { a: file } })),
    });
    files = index('gone.safetensors');
    await expect(pull('org/tiny')).rejects.toThrow(/index\.json names gone\.safetensors, which is not there/);
    rmSync(join(home, 'hub'), { recursive: true });
    files = index('../../../../token');
    await expect(pull('org/tiny')).rejects.toThrow(/expected the name of a file beside the index/);
  });

  test('weights of other kinds are named', async () => {
    files = { ...ordinary, 'model.fp16.safetensors': weights };
    delete files['model.safetensors'];
    await expect(pull('org/tiny')).rejects.toThrow(
      /no config\.json with model\.safetensors.*; it has pytorch_model\.bin, model\.fp16\.safetensors, which are not read/,
    );
  });

  test('abort ends it', async () => {
    const controller = new AbortController();
    send = (response, data) => {
      if (data.length < 1000) response.end(data);
      else response.write(data.subarray(0, 10), () => controller.abort());
    };
    await expect(pull('org/tiny', { signal: controller.signal })).rejects.toThrow(/abort/i);
    expect(existsSync(join(snapshot(), 'model.safetensors'))).toBe(false);
  });

  test('what goes wrong is explained', async () => {
    await expect(pull('org/none')).rejects.toThrow(
      /gives no org\/none \(main\): 404\. It does not exist, or is private/,
    );
    await expect(pull('org/private')).rejects.toThrow(/401.*HF_TOKEN/);
    await expect(pull('org/empty')).rejects.toThrow(
      /org\/empty \(main\) on .* has no config\.json with model\.safetensors/,
    );
    await expect(pull('../etc')).rejects.toThrow(/\.\.\/etc is not the name of a model/);
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:1');
    await expect(pull('org/tiny')).rejects.toThrow(/cannot load org\/tiny from http:\/\/127\.0\.0\.1:1/);
  });

  test('offline, only the cache counts', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(pull('org/tiny')).rejects.toThrow(
      /org\/tiny \(main\) is not in .*hub, and HF_HUB_OFFLINE is set/,
    );
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    await pull('org/tiny');
    vi.stubEnv('HF_HUB_OFFLINE', 'TRUE');
    seen = [];
    expect(await pull('org/tiny')).toBe(snapshot());
    expect(seen).toEqual([]);
  });
});

describe('the environment of huggingface_hub', () => {
  test('TRANSFORMERS_OFFLINE counts where HF_HUB_OFFLINE is not set; nothing is asked', async () => {
    vi.stubEnv('TRANSFORMERS_OFFLINE', '1');
    await expect(pull('org/tiny')).rejects.toThrow(/is not in .*hub, and TRANSFORMERS_OFFLINE is set/);
    await expect(resolveModel('org/tiny')).rejects.toThrow(/TRANSFORMERS_OFFLINE is set/);
    expect(seen).toEqual([]);
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    await pull('org/tiny');
  });

  test('~ and names in paths', async () => {
    vi.stubEnv('HOME', home);
    vi.stubEnv('USERPROFILE', home);
    const at = (...parts: string[]) => join(home, ...parts, 'models--org--tiny/snapshots', SHA);
    vi.stubEnv('HF_HOME', '~/x');
    expect(await pull('org/tiny')).toBe(at('x/hub'));
    vi.stubEnv('HF_HOME', ['$HOME/$', '{MINE}/$NOTHING_OF_THE_KIND'].join(''));
    vi.stubEnv('MINE', 'y');
    expect(await pull('org/tiny')).toBe(at('y/$NOTHING_OF_THE_KIND/hub'));
    vi.stubEnv('HF_HOME', '');
    vi.stubEnv('XDG_CACHE_HOME', join(home, 'z'));
    expect(await pull('org/tiny')).toBe(at('z/huggingface/hub'));
    vi.stubEnv('HUGGINGFACE_HUB_CACHE', '~/older');
    expect(await pull('org/tiny')).toBe(at('older'));
    vi.stubEnv('HF_HUB_CACHE', '~/newer');
    expect(await pull('org/tiny')).toBe(at('newer'));
    expect(existsSync('~')).toBe(false);
  });

  test('the older name of the token, its file elsewhere, and none', async () => {
    const sent = async () => {
      seen = [];
      await pull('org/tiny');
      return seen[0]?.authorization;
    };
    vi.stubEnv('HUGGING_FACE_HUB_TOKEN', ' hf_older\n');
    expect(await sent()).toBe('Bearer hf_older');
    vi.stubEnv('HF_TOKEN', 'hf_newer');
    expect(await sent()).toBe('Bearer hf_newer');
    vi.stubEnv('HF_HUB_DISABLE_IMPLICIT_TOKEN', '1');
    expect(await sent()).toBeUndefined();
    vi.stubEnv('HF_HUB_DISABLE_IMPLICIT_TOKEN', '');
    vi.stubEnv('HF_TOKEN', '');
    vi.stubEnv('HUGGING_FACE_HUB_TOKEN', '');
    vi.stubEnv('HOME', home);
    vi.stubEnv('USERPROFILE', home);
    vi.stubEnv('HF_TOKEN_PATH', '~/secret');
    writeFileSync(join(home, 'secret'), 'hf_file\n');
    expect(await sent()).toBe('Bearer hf_file');
  });
});

describe('resolveModel', () => {
  test('a folder, a cached model, a download', async () => {
    expect(await resolveModel(home)).toBe(home);
    expect(await resolveModel('org/tiny')).toBe(snapshot());
    seen = [];
    expect(await resolveModel('org/tiny')).toBe(snapshot());
    expect(await resolveModel('org/tiny', { revision: SHA })).toBe(snapshot());
    expect(seen).toEqual([]);
  });

  test('a snapshot with weights missing is completed', async () => {
    await pull('org/tiny');
    rmSync(join(snapshot(), 'model.safetensors'));
    expect(await resolveModel('org/tiny')).toBe(snapshot());
    expect(existsSync(join(snapshot(), 'model.safetensors'))).toBe(true);

    rmSync(join(snapshot(), 'model.safetensors'));
    const index = { weight_map: { a: 'model-00001-of-00001.safetensors' } };
    writeFileSync(join(snapshot(), 'model.safetensors.index.json'), JSON.stringify(index));
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(resolveModel('org/tiny')).rejects.toThrow(/not in/);
    writeFileSync(join(snapshot(), 'model-00001-of-00001.safetensors'), '');
    expect(await resolveModel('org/tiny')).toBe(snapshot());
  });

  test('a snapshot without its tokenizer is completed, or offline refused by name', async () => {
    await pull('org/tiny');
    // As a tool leaves it that has loaded the weights alone: without a listing of the commit.
    rmSync(join(snapshot(), 'tokenizer.json'));
    const listing = join(home, 'hub/models--org--tiny/trees', `${SHA}.json`);
    expect(JSON.parse(readFileSync(listing, 'utf8')).files['model.safetensors']).toEqual({
      size: weights.length,
      blob_id: sha1(weights),
      lfs_sha256: sha256(weights),
      lfs_size: weights.length,
    });
    for (const listed of [true, false]) {
      if (!listed) rmSync(listing);
      vi.stubEnv('HF_HUB_OFFLINE', '1');
      seen = [];
      await expect(resolveModel('org/tiny')).rejects.toThrow(
        /org\/tiny \(main\) is not in .* as a whole: it lacks tokenizer\.json, and HF_HUB_OFFLINE is set/,
      );
      expect(seen).toEqual([]);
    }
    vi.stubEnv('HF_HUB_OFFLINE', '');
    expect(await resolveModel('org/tiny')).toBe(snapshot());
    expect(existsSync(join(snapshot(), 'tokenizer.json'))).toBe(true);
  });

  test('a model that has no tokenizer is whole without one', async () => {
    files = { 'config.json': ordinary['config.json']!, 'model.safetensors': weights };
    await pull('org/tiny');
    seen = [];
    expect(await resolveModel('org/tiny')).toBe(snapshot());
    rmSync(join(home, 'hub/models--org--tiny/trees'), { recursive: true });
    const absent = join(home, 'hub/models--org--tiny/.no_exist', SHA);
    mkdirSync(absent, { recursive: true });
    writeFileSync(join(absent, 'tokenizer.json'), '');
    expect(await resolveModel('org/tiny')).toBe(snapshot());
    expect(seen).toEqual([]);
  });

  test.each(['../../../etc', 'a/../../b', '..\\x'])('revision %s is refused', async (revision) => {
    await expect(resolveModel('org/tiny', { revision })).rejects.toThrow(/is no branch, tag or commit/);
  });

  test('HF_HUB_CACHE goes before HF_HOME', async () => {
    const cache = join(home, 'elsewhere');
    mkdirSync(cache);
    vi.stubEnv('HF_HUB_CACHE', cache);
    expect(await resolveModel('org/tiny')).toBe(join(cache, 'models--org--tiny/snapshots', SHA));
  });

  test('neither a folder nor on the Hub: the message says both', async () => {
    await expect(resolveModel('models/bsae')).rejects.toThrow(
      /^there is no folder models\/bsae here, and http:.* gives no models\/bsae \(main\): 404\./,
    );
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:1');
    await expect(resolveModel('models/bsae')).rejects.toThrow(
      /^there is no folder models\/bsae here, and cannot load models\/bsae from http:\/\/127\.0\.0\.1:1/,
    );
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(resolveModel('models/bsae')).rejects.toThrow(
      /^there is no folder models\/bsae here, and models\/bsae \(main\) is not in .*, and HF_HUB_OFFLINE is set/,
    );
  });

  test('neither', async () => {
    await expect(resolveModel('no such thing')).rejects.toThrow(
      /no such thing is neither a folder nor the name/,
    );
    const file = join(home, 'model.gguf');
    writeFileSync(file, '');
    await expect(resolveModel(file)).rejects.toThrow(/model\.gguf is a file, a model folder is expected/);
  });
});
