/** `postnas pretrain` and `postnas search` as processes, on runs of a few steps. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LEFTOVERS, removeRun } from '../../src/cli/restart.ts';
import { saveCheckpoint } from '../../src/model/checkpoint.ts';
import type { Result } from '../../src/search/result.ts';
import { postnas, postnasHere } from '../support/command.ts';
import { randomWeights, tinyConfig } from '../support/random-model.ts';
import { tinyTokenizerFiles } from '../support/tiny-tokenizer.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-search-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const tiny = ['--width', '32', '--layers', '2', '--tokens', '128', '--length', '64', '--threads', '1'];
const pretrain = (name: string) => [
  'pretrain',
  join(folder, name),
  ...tiny,
  '--json',
  '--short-share',
  '0.5',
];

/** Paths of all files below a folder. */
function filesOf(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort();
}

/** Waits until a file holds a text, so that a signal comes in the middle of a run. */
async function until(path: string, text: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (existsSync(path) && readFileSync(path, 'utf8').includes(text)) return;
    await new Promise((next) => setTimeout(next, 50));
  }
  throw new Error(`${path} never held ${text}`);
}

test('a pretraining stopped by Ctrl-C goes on to the same model', async () => {
  const steps = ['--steps', '12'];
  const straight = await postnas([...pretrain('straight'), ...steps]);
  expect(straight.code, straight.stderr).toBe(0);

  const stopped = await postnas([...pretrain('stopped'), ...steps], (child) => {
    void until(join(folder, 'stopped', 'log.jsonl'), '"step":3').then(() => child.kill('SIGINT'));
  });
  // A fast machine may be done before the signal comes; the code says which it was.
  expect([0, 130]).toContain(stopped.code);
  if (stopped.code === 130) expect(stopped.stderr).toContain('the last good state is kept');
  const resumed = await postnas([...pretrain('stopped'), ...steps]);
  expect(resumed.code, resumed.stderr).toBe(0);
  const weights = (name: string) => readFileSync(join(folder, name, 'model', 'model.safetensors'));
  expect(weights('stopped').equals(weights('straight'))).toBe(true);
  const { scores } = JSON.parse(resumed.stdout) as { scores: { name: string }[] };
  expect(scores.map(({ name }) => name)).toContain('recall');

  // A mistake in an option loses nothing.
  const wide = await postnasHere([...pretrain('stopped'), ...steps, '--restart', '--width', '33']);
  expect(wide.stderr).toContain('--width 33: expected a multiple of 32');
  expect(weights('stopped').equals(weights('straight'))).toBe(true);
});

test('the embedded model becomes a hybrid with a report, which generates', async () => {
  const out = join(folder, 'search');
  const steps = ['--align-steps', '2', '--supernet-steps', '2', '--rows', '2', '--length', '64'];
  const judging = ['--examples', '8', '--beam', '1', '--random', '2', '--objective', 'recall', 'choice:loss'];
  const { code, stdout, stderr } = await postnas([
    'search',
    'models/base',
    '--out',
    out,
    ...steps,
    ...judging,
    '--json',
  ]);
  expect(code, stderr).toBe(0);
  const { placement, hybrid } = JSON.parse(stdout) as Result;
  const [run] = placement!.runs;
  expect(run!.architecture).toMatch(/^[AD]{8}$/);
  expect(run!.placement).toHaveLength(2);
  expect(placement!.base.tasks.recall!.accuracy).toBe(1);
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('</html>');

  expect(hybrid).toBe(join(out, 'seed-1', 'hybrid'));
  const written = await postnas(['generate', hybrid!, '--prompt', 'Sums: 1+2=', '-n', '3']);
  expect(written.code, written.stderr).toBe(0);
  expect(written.stdout.trim().length).toBeGreaterThan(0);
});

test('plan and estimate come first, with progress before the training', async () => {
  const { stderr } = await postnas([
    ...[
      'search',
      'models/base',
      '--out',
      join(folder, 'planned'),
      '--align-steps',
      '1',
      '--supernet-steps',
      '1',
    ],
    ...['--rows', '1', '--length', '64', '--random', '0', '--beam', '1', '--task', 'recall:accuracy:4'],
  ]);
  const at = (text: string) => stderr.indexOf(text);
  expect(stderr).toMatch(
    /^models\/base: 8 layers, of which 2 keep full attention and 6 get gated_deltanet\+rope\n/,
  );
  expect(at('judged by recall (accuracy, 4 examples)')).toBeGreaterThan(0);
  expect(at('judging and timing are not counted')).toBeGreaterThan(at('judged by'));
  expect(stderr).toMatch(/^placement +1 +128 +\S+ +\S+ to \S+$/m);
});

describe('a second search into the same folder', () => {
  const out = () => join(folder, 'search');
  const again = (...more: string[]) => [
    ...[
      'search',
      'models/base',
      '--out',
      out(),
      '--align-steps',
      '2',
      '--supernet-steps',
      '2',
      '--rows',
      '2',
    ],
    ...[
      '--length',
      '64',
      '--examples',
      '8',
      '--beam',
      '1',
      '--random',
      '2',
      '--task',
      'recall',
      'choice:loss',
    ],
    ...more,
  ];

  test('with other settings: what differs, and what can be done', async () => {
    const { code, stderr } = await postnasHere(again('--mixer', 'gla', '--rate', '0.1', '--quiet'));
    expect(stderr).toBe(
      `postnas: ${out()} holds a run with other settings:\n` +
        '  stage.json: placement mixer: "gated_deltanet+rope" -> "gla"\n' +
        '  stage.json: placement learning rate: 0.002 -> 0.1\n' +
        'Give another --out, or --restart to remove that run and begin anew.\n',
    );
    expect(code).toBe(1);
  });

  test('--restart removes what the first one wrote, and nothing else', async () => {
    const [notes, spare] = [join(out(), 'seed-1/notes.txt'), join(out(), 'seed-1/align/mine.safetensors')];
    writeFileSync(notes, 'mine');
    writeFileSync(spare, 'mine');
    const { code, stderr } = await postnas(again('--mixer', 'gla', '--restart'));
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`${out()}: removed the `);
    expect(stderr).toContain('; kept 2 that postnas did not write\n');
    const { placement } = JSON.parse(readFileSync(join(out(), 'result.json'), 'utf8')) as Result;
    expect(placement!.mixer.kind).toBe('gla');
    removeRun(out(), LEFTOVERS.search, () => {});
    expect(filesOf(out())).toEqual(['seed-1/align/mine.safetensors', 'seed-1/notes.txt']);
  });
});

test('a folder that another command has written is refused', async () => {
  const { code, stderr } = await postnasHere(['search', 'models/base', '--out', join(folder, 'straight')]);
  expect(stderr).toBe(
    `postnas: ${join(folder, 'straight')} holds a run of another command (state.safetensors); give another --out\n`,
  );
  expect(code).toBe(1);
});

test('another model than the embedded one needs a text', async () => {
  const other = join(folder, 'other');
  const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }]);
  await saveCheckpoint(other, config, randomWeights(config, 3), { dtype: 'F32', files: tinyTokenizerFiles });
  const { code, stderr } = await postnasHere(['search', other, '--out', join(folder, 'none'), '--quiet']);
  expect(stderr).toBe(
    `postnas: ${other} is not a model of the generated world: it needs text to train on, of which 1 % are held out ` +
      'to judge it by unless other text is given, such as\n' +
      '  --data novels.txt --held-out more-novels.txt\n' +
      '(--data world trains it on the text that the package generates for its own model)\n',
  );
  expect(code).toBe(1);
  expect(existsSync(join(folder, 'none'))).toBe(false);
});

test.each([
  [['--budget', '9'], /9.*8 layers/],
  [['--mixer', 'transformer'], /unknown mixer 'transformer'; expected one of retnet, gla/],
  [['--objective', 'chess'], /unknown task 'chess'; expected one of/],
  [['--objective', 'recall:speed'], /metric is 'speed', expected one of accuracy, accuracy_norm, loss/],
  [['--objective', 'recall:loss:none'], /'none' examples, expected a whole number above 0/],
  [['--data', '/nowhere.txt'], /\/nowhere\.txt: no such file/],
  [['--length', '1024'], /512/],
])('refuses %s with exit code 1', async (options, message) => {
  const { code, stderr } = await postnasHere([
    'search',
    'models/base',
    '--out',
    join(folder, 'refused'),
    ...options,
  ]);
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});

test('refuses an empty corpus', async () => {
  const empty = join(folder, 'empty.txt');
  writeFileSync(empty, ' \n');
  const { code, stderr } = await postnasHere([
    'search',
    'models/base',
    '--out',
    join(folder, 'e'),
    '--data',
    empty,
  ]);
  expect(stderr).toContain(`${empty} is empty`);
  expect(code).toBe(1);
});
