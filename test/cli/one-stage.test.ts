/** The commands of one stage: each is a recipe, with an estimate, workers and a result like those of `postnas run`. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LEFTOVERS, removeRun } from '../../src/cli/restart.ts';
import { readRecipe } from '../../src/search/read-recipe.ts';
import { readResult } from '../../src/search/read-result.ts';
import type { Result } from '../../src/search/result.ts';
import type { Estimate } from '../../src/search/run/estimate.ts';
import { command, postnas, postnasHere, root } from '../support/command.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-stages-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const base = 'models/base';
const few = ['--rows', '1', '--length', '32', '--task', 'recall:accuracy:2', '--align-steps', '1'];
const timing = ['--decode-context', '8', '--decode-tokens', '2', '--decode-rounds', '1'];
const compared = [...few, '--train-steps', '1', ...timing, '--full-layers', '1,3'];

describe('--estimate says what will be done and for how long, and writes nothing', () => {
  test.each<[string, string[], string, number]>([
    ['search', [base, ...few, '--supernet-steps', '2', '--seeds', '2'], 'placement', 2],
    ['blocks', [base, ...compared, '--mixers', 'gla', 'retnet', 'kda'], 'blocks', 3],
    ['design', [base, ...compared, '--designs', 'released', 'rope'], 'design', 2],
    ['dimensions', [base, ...compared, '--heads', '4', '--aspect', '4'], 'dimensions', 3],
    ['distill', [base, 'models/hybrid', '--task', 'recall:accuracy:2'], 'final', 1],
  ])('%s', async (command, args, stage, trials) => {
    const out = join(folder, 'estimated');
    const { code, stdout, stderr } = await postnasHere([
      command,
      ...args,
      '--out',
      out,
      '--estimate',
      '--json',
    ]);
    expect(code, stderr).toBe(0);
    const { stages, recipe } = JSON.parse(stdout) as Estimate & { recipe: Result['recipe'] };
    expect(stages.map(({ name, trials }) => [name, trials])).toEqual([[stage, trials]]);
    expect(stages[0]!.seconds).toBeGreaterThan(0);
    expect(recipe!.tasks).toEqual(['recall:accuracy:2']);
    expect(existsSync(out)).toBe(false);
  });

  test('in words', async () => {
    const { stdout } = await postnas([
      'blocks',
      base,
      ...compared,
      '--mixers',
      'gla',
      '--estimate',
      '--quiet',
    ]);
    expect(stdout).toMatch(
      /^models\/base: 8 layers, of which 1, 3 keep full attention\njudged by recall \(accuracy, 2 examples\)\nstage .*\n.*\nblocks +1 +64 /,
    );
  });
});

test('workers do the trainings of blocks, by the recipe that the command leaves', async () => {
  const out = join(folder, 'blocks');
  const line = [
    'blocks',
    base,
    '--out',
    out,
    ...compared,
    '--mixers',
    'gla',
    'retnet',
    '--jobs',
    '2',
    '--json',
  ];
  const { code, stdout, stderr } = await postnas(line);
  expect(code, stderr).toBe(0);
  const result = JSON.parse(stdout) as Result;
  expect(result.blocks!.candidates.map(({ name }) => name)).toEqual(['gla', 'retnet']);
  expect(result.command).toMatch(/^postnas blocks models\/base --mixers gla retnet .* --full-layers 1,3$/);
  expect(result.hybrid).toBe(join(out, 'hybrid'));
  expect(readResult(join(out, 'result.json'))).toEqual(result);
  expect(readRecipe(join(out, 'recipe.json'))).toEqual(result.recipe);
  // The same by its recipe: nothing is left to do.
  const again = await postnas(['run', join(out, 'recipe.json'), '--out', out, '--json']);
  expect(again.code, again.stderr).toBe(0);
  expect((JSON.parse(again.stdout) as Result).blocks).toEqual(result.blocks);
  // Anew by it, which is no part of what was done.
  const anew = await postnas(['run', join(out, 'recipe.json'), '--out', out, '--restart', '--json']);
  expect(anew.code, anew.stderr).toBe(0);
  const judged = ({ blocks }: Result) => blocks!.candidates.map(({ runs }) => runs.map((run) => run.judged));
  expect(judged(JSON.parse(anew.stdout) as Result)).toEqual(judged(result));
  removeRun(out, LEFTOVERS.comparison, () => {});
  expect(readdirSync(out)).toEqual([]);
});

test.skipIf(process.platform === 'win32')(
  'a text from a pipe is trained on in one process, also with several seeds (needs POSIX)',
  () => {
    const few = [
      '--rows',
      '1',
      '--length',
      '16',
      '--task',
      'recall:accuracy:2',
      '--random',
      '0',
      '--beam',
      '1',
    ];
    const steps = ['--align-steps', '1', '--supernet-steps', '1', '--seeds', '2', '--jobs', '2'];
    const line = [
      command,
      'search',
      base,
      ...few,
      ...steps,
      '--data',
      '/dev/stdin',
      '--out',
      join(folder, 'piped'),
    ];
    const text = join(folder, 'words.txt');
    writeFileSync(text, 'some words '.repeat(1000));
    // A pipe of Node's own is a socket, which cannot be opened.
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `cat ${text} | "$@"`, 'sh', process.execPath, ...line],
      {
        cwd: root,
        encoding: 'utf8',
      },
    );
    expect(status, stderr).toBe(0);
  },
);

test.each([
  [['blocks', base, '--placement', '1,x'], /--full-layers 1,x: expected layers such as 1,3/],
  [['blocks', base, '--placement', 'nowhere.json'], /nowhere\.json/],
  [['blocks', base, '--placement', '9'], /no layer 9, expected 0 to 7/],
  [
    ['dimensions', base, '--placement', '1', '--heads', '0'],
    /'0' is invalid\. Expected a whole number above 0/,
  ],
  [
    ['search', base, '--beam', '1000000'],
    /placement\.beam: 1000000: expected a whole number from 1 to 10,000/,
  ],
  [['distill', base, 'nowhere'], /nowhere is neither a folder nor the name of a model/],
])('%s is refused', async (args, message) => {
  const { code, stderr } = await postnasHere([...args, '--out', join(folder, 'refused')]);
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
  expect(existsSync(join(folder, 'refused'))).toBe(false);
});

test('what an earlier version has left of a recipe of one stage is not mixed with', async () => {
  const out = join(folder, 'earlier');
  const recipe = join(folder, 'one.json');
  writeFileSync(recipe, JSON.stringify({ model: base, tasks: ['recall:accuracy:2'], placement: {} }));
  mkdirSync(join(out, 'placement'), { recursive: true });
  writeFileSync(join(out, 'placement/stage.json'), '{}');
  const { code, stderr } = await postnasHere(['run', recipe, '--out', out, '--quiet']);
  expect(stderr).toBe(
    `postnas: ${out} holds a run of another command (placement/stage.json); give another --out\n`,
  );
  expect(code).toBe(1);
});
