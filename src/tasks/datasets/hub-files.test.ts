import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { firstExamples } from './dataset.ts';
import { loadDatasets } from './load.ts';
import { GROUPS } from './sets.ts';

/** A loopback server with the routes of the Hub that are used: sets by their branches, commits and files. */
const SHAS = { 'refs/convert/parquet': 'a'.repeat(40), main: 'b'.repeat(40) };
type Branch = keyof typeof SHAS;
let sets: Record<string, Partial<Record<Branch, Record<string, Buffer>>>>;
let seen: { path: string; authorization: string | undefined }[];
let server: Server;
let home: string;

const sha1 = (data: Buffer) => createHash('sha1').update(`blob ${data.length}\0`).update(data).digest('hex');
const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const parquet = (name: string) =>
  readFileSync(new URL(`../../../test/golden/lm-eval-parquet/${name}.parquet`, import.meta.url));

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    seen.push({ path, authorization: request.headers.authorization });
    const json = (value: unknown, status = 200) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const [, repo = '', rest = ''] = /^\/(?:api\/)?datasets\/([^/]+\/[^/]+)\/(.*)$/.exec(path) ?? [];
    const branches = sets[repo] ?? {};
    for (const [branch, sha] of Object.entries(SHAS) as [Branch, string][]) {
      const files = branches[branch];
      if (!files) continue;
      if (rest === `revision/${branch}`) return json({ id: repo, sha });
      if (rest === `tree/${sha}`) {
        return json(
          Object.entries(files).map(([name, data]) => ({
            ...{ type: 'file', path: name, size: data.length, oid: sha1(data) },
            lfs: { oid: sha256(data), size: data.length, pointerSize: 1 },
          })),
        );
      }
      const data = rest.startsWith(`resolve/${sha}/`)
        ? files[rest.slice(`resolve/${sha}/`.length)]
        : undefined;
      if (!data) continue;
      const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
      const [start, end] = [Number(match?.[1] ?? 0), Number(match?.[2] || data.length - 1)];
      response.writeHead(match ? 206 : 200, {
        ...{ etag: `"${sha1(data)}"`, 'content-length': end + 1 - start },
        ...(match && { 'content-range': `bytes ${start}-${end}/${data.length}` }),
      });
      return response.end(data.subarray(start, end + 1));
    }
    return json({ error: 'Repository not found' }, 404);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
});
afterAll(() => new Promise((closed) => server.close(closed)));

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'postnas-hub-'));
  seen = [];
  const arc = parquet('arc');
  sets = {
    'allenai/ai2_arc': {
      'refs/convert/parquet': {
        'ARC-Easy/test/0000.parquet': arc,
        'ARC-Easy/test/0001.parquet': arc,
        'ARC-Easy/train/0000.parquet': arc,
        'ARC-Challenge/test/0000.parquet': parquet('piqa'),
      },
    },
    'baber/piqa': { 'refs/convert/parquet': { 'plain_text/validation/0000.parquet': parquet('piqa') } },
    'openai/gsm8k': {
      main: {
        'main/test-00000-of-00001.parquet': parquet('gsm8k'),
        'socratic/test-00000-of-00001.parquet': parquet('piqa'),
        'README.md': Buffer.from('no data'),
      },
    },
  };
  vi.stubEnv('HF_HOME', home);
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  for (const name of [
    'HF_HUB_CACHE',
    'HUGGINGFACE_HUB_CACHE',
    'HF_TOKEN',
    'HF_TOKEN_PATH',
    'HF_HUB_OFFLINE',
  ]) {
    vi.stubEnv(name, undefined);
  }
  for (const name of ['TRANSFORMERS_OFFLINE', 'HUGGING_FACE_HUB_TOKEN', 'XDG_CACHE_HOME'])
    vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/lm-eval-prompts.json', import.meta.url), 'utf8'),
) as { tasks: Record<string, { requests: unknown[] }[]> };
const downloads = () => seen.filter(({ path }) => path.includes('/resolve/')).map(({ path }) => path);

describe('public sets from the Hub', () => {
  test('come as Parquet, only what is wanted, with the token, and into the cache', async () => {
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    const [set] = await loadDatasets('arc_easy', {});
    const examples = firstExamples(set!);
    expect(examples).toHaveLength(12);
    const asked = examples
      .slice(0, 6)
      .map((example) => 'options' in example && [example.context, ...example.options]);
    const wanted = (golden.tasks.arc_easy![0]!.requests as [string, string][][]).map((requests) => [
      requests[0]![0],
      ...requests.map(([, option]) => option),
    ]);
    expect(asked).toEqual(wanted);
    expect(new Set(downloads().map((path) => path.split('/').slice(-3).join('/')))).toEqual(
      // Two files with the same content are one in the cache.
      new Set(['ARC-Easy/test/0000.parquet']),
    );
    expect(seen.every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
    const storage = join(home, 'hub/datasets--allenai--ai2_arc');
    expect(readFileSync(join(storage, 'refs/refs/convert/parquet'), 'utf8')).toBe(
      SHAS['refs/convert/parquet'],
    );
    expect(
      existsSync(join(storage, 'snapshots', SHAS['refs/convert/parquet'], 'ARC-Easy/test/0000.parquet')),
    ).toBe(true);
  });

  test('are asked for once; a split that was not wanted before is loaded when it is', async () => {
    await loadDatasets('arc_easy', {});
    seen = [];
    await loadDatasets('arc_easy', {});
    expect(seen).toEqual([]);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await loadDatasets('arc_easy', {});
    await expect(loadDatasets('arc_easy', { shots: 2 })).rejects.toThrow(
      /ai2_arc.*HF_HUB_OFFLINE is set.*--data-dir/,
    );
    vi.stubEnv('HF_HUB_OFFLINE', undefined);
    const [set] = await loadDatasets('arc_easy', { shots: 2 });
    expect(set!.pool).toHaveLength(6);
  });

  test('a set with one configuration, and one that the Hub has not made Parquet of', async () => {
    expect((await loadDatasets('piqa', {}))[0]!.documents).toHaveLength(4);
    const [set] = await loadDatasets('gsm8k', { shots: 0 });
    expect(set!.documents[0]).toMatchObject({ target: '3 + 4 = <<3+4=7>>7\n#### 7' });
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect((await loadDatasets('gsm8k', { shots: 0 }))[0]!.documents).toHaveLength(6);
  });

  test('of many sets of one repository the files are listed once', async () => {
    const subjects = GROUPS.get('mmlu_humanities')!.map((name) => name.slice('mmlu_'.length));
    sets['cais/mmlu'] = {
      'refs/convert/parquet': Object.fromEntries(
        subjects.map((subject) => [`${subject}/test/0000.parquet`, parquet('arc')]),
      ),
    };
    // The rows are of another set: what is wrong is found in the first of them.
    await expect(loadDatasets('mmlu_humanities', {})).rejects.toThrow(
      /field choices .* expected a list of texts \(mmlu/,
    );
    sets['cais/mmlu'] = {
      'refs/convert/parquet': Object.fromEntries(
        subjects.map((subject) => [`${subject}/test/0000.parquet`, parquet('mmlu')]),
      ),
    };
    rmSync(home, { recursive: true });
    seen = [];
    expect(await loadDatasets('mmlu_humanities', {})).toHaveLength(13);
    expect(seen.filter(({ path }) => path.includes('/tree/'))).toHaveLength(1);
  });

  test('what is not there is said', async () => {
    await expect(loadDatasets('boolq', {})).rejects.toThrow(
      /the task boolq: .* gives no aps\/super_glue .*404.*--data-dir/,
    );
    await expect(loadDatasets('arc_challenge', {})).rejects.toThrow(
      /0000\.parquet, row 1: the field choices is nothing, expected .* \(arc_challenge\)/,
    );
    sets['openai/gsm8k'] = { main: { 'main/train-00000-of-00001.parquet': parquet('gsm8k') } };
    await expect(loadDatasets('gsm8k', { shots: 0 })).rejects.toThrow(/no test split of gsm8k/);
    delete sets['baber/piqa']!['refs/convert/parquet']!['plain_text/validation/0000.parquet'];
    sets['baber/piqa']!['refs/convert/parquet']!['plain_text/train/0000.parquet'] = parquet('piqa');
    await expect(loadDatasets('piqa', {})).rejects.toThrow(
      /baber\/piqa has no plain_text\/validation.*plain_text/,
    );
  });
});
