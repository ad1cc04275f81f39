/**
 * lm-evaluation-harness asks our server as it asks any, with its local-completions backend; per document it must find what
 * it finds with its own backend on the same weights (test/golden/lm-eval.json, made by golden.sh).
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Model } from '../../../src/runtime/model.ts';
import { type RunningServer, serve } from '../../../src/server/serve.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');
const cache = process.env.POSTNAS_CACHE ?? join(root, '.cache');
const rows = join(root, '../shared/data/eval');
const bin = join(cache, 'lm-eval/bin');
const folder = join(cache, 'smollm2/hf');
const DOCUMENTS = 100;
const TASKS = ['lambada_openai', 'arc_easy'];

/** By task and document: hash, log-likelihood and whether it is greedy, of each request. */
type Found = Record<string, [string, number, boolean][][]>;

const golden = JSON.parse(readFileSync(join(root, 'test/golden/lm-eval.json'), 'utf8')) as Found;
const missing = existsSync(rows) ? null : `${rows} is not there: the rows are not part of the repository`;
if (missing) console.warn(`skipped: ${missing}`);

describe.skipIf(missing)('SmolLM2-135M', () => {
  let work: string;
  let model: Model;
  let server: RunningServer;
  let found: Found;
  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'postnas-lm-eval-'));
    model = await Model.fromPretrained(folder);
    server = await serve(model, ['smollm2'], { port: 0, log: pino({ level: 'silent' }) });
    const python = (...args: string[]) => run(join(bin, 'python'), args, { maxBuffer: 2 ** 26 });
    await python(join(import.meta.dirname, 'tasks.py'), rows, join(work, 'tasks'), String(DOCUMENTS));
    const model_args = [
      `model=smollm2,base_url=${server.url}/v1/completions,tokenizer=${folder},tokenizer_backend=huggingface`,
      'num_concurrent=4,max_retries=1,timeout=600',
    ].join(',');
    await run(
      join(bin, 'lm_eval'),
      [
        ...['run', '--model', 'local-completions', '--model_args', model_args],
        ...['--include_path', join(work, 'tasks'), '--tasks', TASKS.join()],
        ...['--log_samples', '--output_path', join(work, 'out')],
      ],
      { env: { ...process.env, HF_HUB_OFFLINE: '1', HF_HOME: join(work, 'hf') }, maxBuffer: 2 ** 26 },
    );
    found = JSON.parse((await python(join(import.meta.dirname, 'samples.py'), join(work, 'out'))).stdout);
  });
  afterAll(async () => {
    await server?.drain(0);
    await model?.dispose();
    if (work) rmSync(work, { recursive: true });
  });

  test.each(TASKS)('%s: each document as with transformers', (task) => {
    const [ours, theirs] = [found[task]!, golden[task]!.slice(0, DOCUMENTS)];
    expect(ours.length).toBe(DOCUMENTS);
    for (const [i, requests] of theirs.entries()) {
      expect(ours[i]!.length).toBe(requests.length);
      for (const [j, [hash, logProb, greedy]] of requests.entries()) {
        expect(ours[i]![j]![0]).toBe(hash);
        // Both are float32, summed in another order: a few of the last places of a sum of some tokens.
        expect(Math.abs(ours[i]![j]![1] - logProb)).toBeLessThan(2e-3);
        expect(ours[i]![j]![2]).toBe(greedy);
      }
    }
  });
});
