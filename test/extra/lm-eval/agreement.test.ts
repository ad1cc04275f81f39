/**
 * `postnas eval` finds per document what lm-evaluation-harness finds with its own backend (transformers on PyTorch,
 * float32) on the same rows and weights: test/golden/lm-eval.json, made by golden.sh. The harness' tasks make the prompts
 * of the golden file, ours those of the command.
 *
 * POSTNAS_LM_EVAL_DOCUMENTS: of each task, 40 unless told; the golden file has 200.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');
const cache = process.env.POSTNAS_CACHE ?? join(root, '.cache');
const data = join(root, '../shared/data/eval');
const python = join(cache, 'lm-eval/bin/python');
const model = join(cache, 'smollm2/hf');
const documents = Number(process.env.POSTNAS_LM_EVAL_DOCUMENTS ?? 40);

const TASKS = [
  'lambada_openai',
  'arc_easy',
  'piqa',
  'winogrande',
  'hellaswag',
  'boolq',
  'openbookqa',
  'mmlu',
];

type Request = [hash: string, logProb: number, greedy: boolean];
/** By task and document: the requests, or what was written. */
type Found = Record<string, (Request[] | Record<string, string>)[]>;

const golden = JSON.parse(readFileSync(join(root, 'test/golden/lm-eval.json'), 'utf8')) as Found;
const missing = existsSync(data) ? null : `${data} is not there: the rows are not part of the repository`;
if (missing) console.warn(`skipped: ${missing}`);

describe.skipIf(missing)('SmolLM2-135M', () => {
  let work: string;
  let found: Found;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'postnas-lm-eval-'));
    const tasks = join(work, 'tasks');
    await run(python, [join(import.meta.dirname, 'tasks.py'), data, tasks, String(documents)]);
    const out = join(work, 'out');
    await run(process.execPath, [
      ...[join(root, 'bin/postnas.js'), 'eval', model, '--dtype', 'f32', '--task', ...TASKS, 'gsm8k'],
      ...['--data-dir', join(tasks, 'rows'), '--out', out, '--log-samples', '--quiet'],
    ]);
    const samples = await run(python, [join(import.meta.dirname, 'samples.py'), out], { maxBuffer: 2 ** 26 });
    found = JSON.parse(samples.stdout) as Found;
  }, 3_600_000);
  afterAll(() => {
    if (work) rmSync(work, { recursive: true });
  });

  /** Ours and theirs of the documents of a task, or of the subjects of one. */
  function pairs(task: string): [ours: Found[string][number], theirs: Found[string][number]][] {
    const names = Object.keys(golden).filter((name) => name === task || name.startsWith(`${task}_`));
    return names.flatMap((name) => {
      expect(Object.keys(found), name).toContain(name);
      return found[name]!.map((ours, i) => [ours, golden[name]![i]!] as [typeof ours, typeof ours]);
    });
  }

  test.each(TASKS)('%s: the same prompts, log-likelihoods and choices', (task) => {
    const all = pairs(task) as [Request[], Request[]][];
    expect(all.length).toBe(task === 'mmlu' ? 57 * Math.ceil(documents / 50) : documents);
    let same = 0;
    let worst = 0;
    for (const [i, [ours, theirs]] of all.entries()) {
      expect(
        ours.map(([hash]) => hash),
        `${task}, document ${i}`,
      ).toEqual(theirs.map(([hash]) => hash));
      for (const [j, [, logProb]] of theirs.entries())
        worst = Math.max(worst, Math.abs(ours[j]![1] - logProb));
      if (choice(ours) === choice(theirs)) same++;
    }
    console.log(
      `${task}: ${all.length} documents, log-likelihoods within ${worst.toExponential(1)}, ${same} choices the same`,
    );
    expect(worst).toBeLessThan(1e-3);
    expect(same / all.length).toBeGreaterThanOrEqual(0.995);
  });

  test('gsm8k: the same answers are taken from what is written', () => {
    const all = pairs('gsm8k') as [Record<string, string>, Record<string, string>][];
    expect(all.length).toBe(Math.min(50, Math.floor(documents / 4)));
    expect(all.map(([ours]) => ours)).toEqual(all.map(([, theirs]) => theirs));
  });
});

/** The option that is chosen; of a single one whether it is. */
function choice(requests: readonly Request[]): number | boolean {
  if (requests.length === 1) return requests[0]![2];
  const logProbs = requests.map(([, logProb]) => logProb);
  return logProbs.indexOf(Math.max(...logProbs));
}
