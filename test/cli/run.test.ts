/** `postnas run` as a process with workers: killed in the middle and run again, it ends with the same result. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEFTOVERS, removeRun } from '../../src/cli/restart.ts';
import { openCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.ts';
import { readRecipe } from '../../src/search/read-recipe.ts';
import type { Recipe } from '../../src/search/recipe.ts';
import type { Result } from '../../src/search/result.ts';
import { postnas, postnasHere } from '../support/command.ts';
import { randomWeights, tinyConfig } from '../support/random-model.ts';

let folder: string;
let recipe: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-run-'));
  recipe = join(folder, 'recipe.json');
  const base = resolve('models/base');
  const { vocabSize, bosTokenId, eosTokenIds } = openCheckpoint(base).config;
  const config = tinyConfig(
    Array.from({ length: 4 }, () => ({ kind: 'attention' as const })),
    { vocabSize, bosTokenId, eosTokenIds, maxPositionEmbeddings: 512, modelType: 'llama' },
  );
  const model = join(folder, 'model');
  await saveCheckpoint(model, config, randomWeights(config, 4), { dtype: 'F32', tokenizerFrom: base });
  const training = { alignSteps: 2, trainSteps: 2 };
  const few = {
    model,
    rows: 2,
    length: 64,
    tasks: ['recall:accuracy:8', 'choice:loss:8'],
    placement: { budget: 2, alignSteps: 2, supernetSteps: 2, random: 0, beam: 1, objective: ['recall'] },
    blocks: { ...training, mixers: ['gated_deltanet', 'jet_block'] },
    decode: { context: 16, tokens: 4, rounds: 1 },
    final: { featureSteps: 2, logitSteps: 2, allSteps: 2, examples: 8 },
  };
  writeFileSync(recipe, JSON.stringify(few));
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (out: string, ...more: string[]) => [
  'run',
  recipe,
  '--out',
  join(folder, out),
  '--jobs',
  '2',
  ...more,
];

async function until(path: string): Promise<void> {
  for (let i = 0; i < 1200 && !existsSync(path); i++) await new Promise((next) => setTimeout(next, 50));
}

test('killed with its workers and run again, it ends with the same result and model', async () => {
  const straight = await postnas([...run('straight'), '--json']);
  expect(straight.code, straight.stderr).toBe(0);
  expect(straight.stderr).toMatch(/blocks +2 +/);
  const result = JSON.parse(straight.stdout) as Result;
  expect(result.command).toBe(`postnas run ${recipe} --out ${join(folder, 'straight')}`);
  expect(result.final!.runs[0]!.stages.map(({ name }) => name)).toEqual([
    'search',
    'features',
    'logits',
    'all',
  ]);
  expect(readFileSync(join(folder, 'straight/report.html'), 'utf8')).toContain('</html>');

  const killed = await postnas(run('killed'), (child) => {
    // While the workers of stage 2 are at it.
    void until(join(folder, 'killed/blocks/seed-1')).then(() => child.kill('SIGTERM'));
  });
  expect([0, 130]).toContain(killed.code);
  const again = await postnas([...run('killed'), '--json']);
  expect(again.code, again.stderr).toBe(0);
  const { final, placement, blocks } = JSON.parse(again.stdout) as Result;
  const judged = (each: Result['blocks']) =>
    each!.candidates.map(({ runs }) => runs.map((one) => one.judged));
  expect(judged(blocks)).toEqual(judged(result.blocks));
  expect(placement!.runs[0]!.placement).toEqual(result.placement!.runs[0]!.placement);
  // Which block is taken may hang on how fast it was: the final model is compared where it was the same.
  if (blocks!.choice.name === result.blocks!.choice.name) {
    expect(final!.runs[0]!.stages.map((stage) => stage.judged)).toEqual(
      result.final!.runs[0]!.stages.map((stage) => stage.judged),
    );
  }

  // With other settings: before any work, in words, with what can be done about it.
  const other = join(folder, 'other.json');
  writeFileSync(other, JSON.stringify({ ...JSON.parse(readFileSync(recipe, 'utf8')), rows: 3 }));
  const { code, stderr } = await postnasHere(['run', other, '--out', join(folder, 'killed'), '--quiet']);
  expect(stderr).toMatch(
    /^postnas: \S+killed holds a run with other settings:\n {2}placement\/stage\.json: placement rows: 2 -> 3\nGive another --out, or --restart/,
  );
  expect(code).toBe(1);
  const longer = JSON.parse(readFileSync(recipe, 'utf8')) as Recipe;
  const steps = longer.final!.allSteps!;
  longer.final!.allSteps = steps + 1;
  writeFileSync(other, JSON.stringify(longer));
  const line = ['run', other, '--out', join(folder, 'killed'), '--quiet'];
  expect((await postnasHere(line)).stderr).toMatch(
    new RegExp(
      `holds a run with other settings:\\n {2}final/stage\\.json: final allSteps: ${steps} -> ${steps + 1}\\n` +
        '--restart-from final removes the work of that and of the stages that use it, and keeps placement, blocks',
    ),
  );
  const search = join(folder, 'killed/placement/seed-1/found.json');
  const before = statSync(search).mtimeMs;
  const edited = await postnas([...line, '--restart-from', 'final']);
  expect(edited.code, edited.stderr).toBe(0);
  expect(statSync(search).mtimeMs).toBe(before);
  expect((await postnasHere([...line, '--restart-from', 'last'])).stderr).toMatch(
    /Expected stages, of placement, .*mlps/,
  );

  const twice: Recipe = {
    ...longer,
    placement: { ...longer.placement!, alignSteps: 3 } as Recipe['placement'],
  };
  writeFileSync(other, JSON.stringify(twice));
  const hybrid = join(folder, 'killed/final/seed-1/hybrid/config.json');
  const refused = await postnasHere([...line, '--restart-from', 'final']);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('placement/stage.json: placement alignSteps: 2 -> 3');
  expect(existsSync(hybrid)).toBe(true);
  expect((await postnasHere([...line, '--restart-from', 'mlps'])).stderr).toMatch(
    /--restart-from mlps: the recipe has no such stage; expected some of placement, blocks, final/,
  );
  expect(existsSync(hybrid)).toBe(true);

  // What --restart removes is all that was written.
  removeRun(join(folder, 'straight'), LEFTOVERS.run, () => {});
  expect(readdirSync(join(folder, 'straight'))).toEqual([]);
});

test('killed with no time to stop its worker, it goes on at once', async () => {
  const long = join(folder, 'long-alignment.json');
  const { model, tasks, placement } = JSON.parse(readFileSync(recipe, 'utf8'));
  writeFileSync(
    long,
    JSON.stringify({
      ...{ model, tasks, seeds: [1, 2], rows: 1, length: 16 },
      placement: { ...placement, alignSteps: 100 },
    }),
  );
  const line = ['run', long, '--out', join(folder, 'orphan'), '--jobs', '2', '--json'];
  const lock = join(folder, 'orphan/seed-1/align/postnas.lock');
  let training = false;
  await postnas(line, (child) => {
    void until(lock).then(() => {
      training = existsSync(lock);
      child.kill('SIGKILL');
    });
  });
  expect(training).toBe(true);
  expect(existsSync(join(folder, 'orphan/result.json'))).toBe(false);
  const again = await postnas(line);
  expect(again.code, again.stderr).toBe(0);
  const locks = readdirSync(join(folder, 'orphan'), { recursive: true }).filter((name) =>
    /lock/.test(String(name)),
  );
  expect(locks).toEqual([]);
});

test('an estimate alone', async () => {
  const { code, stdout, stderr } = await postnas(run('none', '--estimate'));
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/placement .*\n(.*\n)*all +4 +/);
  expect(existsSync(join(folder, 'none'))).toBe(false);
});

test('a unit that fails ends the run with its message', async () => {
  const long = join(folder, 'long.json');
  writeFileSync(long, JSON.stringify({ ...JSON.parse(readFileSync(recipe, 'utf8')), length: 600 }));
  const { code, stderr } = await postnas(['run', long, '--out', join(folder, 'long')]);
  expect(stderr).toContain("longer than the model's context of 512");
  expect(code).toBe(1);
});

test.each(['quick', 'nano'])('the recipe %s can be read', (name) => {
  const { model, placement } = readRecipe(`recipes/${name}.json`);
  expect(model).toBe('models/base');
  expect(placement).toMatchObject({ budget: 2 });
});
