/**
 * `postnas run` killed at random moments, its workers with it, and run again each time, ends as if nothing had happened.
 * KILLS says how many (5), KILLS_SEED when (1), KILLS_FOLDER where the runs are kept for a look afterwards.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEFTOVERS } from '../../../src/cli/restart.ts';
import { openCheckpoint, saveCheckpoint } from '../../../src/model/checkpoint.ts';
import { Random } from '../../../src/util/random.ts';
import { command, root } from '../../support/command.ts';
import { randomWeights, tinyConfig } from '../../support/random-model.ts';

const KILLS = Number(process.env.KILLS ?? 5);
const SEED = Number(process.env.KILLS_SEED ?? 1);
const HOURS = 3_600_000;

const training = { alignSteps: 3, trainSteps: 3 };
/** Every stage, with choices that do not rest on speeds: one seed decides, and any dimensions are fast enough. */
const RECIPE = {
  model: 'model',
  seeds: [1],
  rows: 2,
  length: 64,
  tasks: ['recall:accuracy:8', 'choice:loss:8'],
  placement: { budget: 1, alignSteps: 3, supernetSteps: 3, random: 2, beam: 2, exhaustive: true },
  blocks: { ...training, mixers: ['gated_deltanet+rope', 'gla'] },
  design: { ...training, designs: ['released', 'rope'] },
  dimensions: { ...training, heads: [1, 2], aspect: 2, slack: 10 },
  decode: { context: 16, tokens: 4, rounds: 1 },
  windows: { size: 8, budget: 2 },
  final: { featureSteps: 3, logitSteps: 3, allSteps: 3, examples: 8 },
  mlps: {},
};

let folder: string;
beforeAll(async () => {
  const { KILLS_FOLDER } = process.env;
  if (KILLS_FOLDER) {
    rmSync(KILLS_FOLDER, { recursive: true, force: true });
    mkdirSync(KILLS_FOLDER, { recursive: true });
  }
  folder = KILLS_FOLDER ?? mkdtempSync(join(tmpdir(), 'postnas-kills-'));
  const base = resolve(root, 'models/base');
  const { config } = openCheckpoint(base);
  const attention = { kind: 'attention' } as const;
  const tiny = tinyConfig([attention, attention, attention, attention], {
    ...{ hiddenSize: 32, intermediateSize: 48, numHeads: 2, numKvHeads: 1, headDim: 16, modelType: 'llama' },
    ...{ vocabSize: config.vocabSize, maxPositionEmbeddings: 512 },
    ...{ bosTokenId: config.bosTokenId, eosTokenIds: config.eosTokenIds },
  });
  await saveCheckpoint(join(folder, 'model'), tiny, randomWeights(tiny, 4), {
    dtype: 'F32',
    tokenizerFrom: base,
  });
  writeFileSync(join(folder, 'recipe.json'), JSON.stringify(RECIPE));
});
afterAll(() => process.env.KILLS_FOLDER || rmSync(folder, { recursive: true, force: true }));

/** Runs into a folder. @param after milliseconds after which the process and all that it started are killed */
async function run(out: string, after?: number): Promise<{ code: number | null; stderr: string }> {
  const args = [command, 'run', join(folder, 'recipe.json'), '--out', join(folder, out), '--jobs', '2'];
  const child = spawn(process.execPath, [...args, '--threads', '1'], {
    cwd: root,
    // A group of its own.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer =
    after === undefined ? undefined : setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), after);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, stderr };
}

const filesOf = (out: string) =>
  (readdirSync(join(folder, out), { recursive: true, withFileTypes: true }) as import('node:fs').Dirent[])
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, out).length + 1))
    // The state before the last is there if a training was saved twice.
    .filter((path) => !path.endsWith('/state.previous.safetensors'))
    .sort();

/** Without dates, times (a measurement's too) and speeds, and where it lies. */
function lasting(out: string, path: string): unknown {
  const text = readFileSync(join(folder, out, path), 'utf8').replaceAll(join(folder, out), 'OUT');
  const drop = new Set(['seconds', 'created', 'decode', 'train', 'tokensPerSecond', 'check', 'values', 'at']);
  const parsed = path.endsWith('.jsonl')
    ? text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : JSON.parse(text);
  return JSON.parse(JSON.stringify(parsed), (key, value) => (drop.has(key) ? undefined : value));
}

test(
  `killed ${KILLS} times`,
  async () => {
    const begun = performance.now();
    const straight = await run('straight');
    const whole = performance.now() - begun;
    expect(straight.code, straight.stderr).toBe(0);
    const files = filesOf('straight');
    const random = new Random(SEED);
    console.log(`undisturbed: ${(whole / 1000).toFixed(1)} s, ${files.length} files`);

    for (let kills = 0, round = 1; kills < KILLS; round++) {
      const out = `killed-${round}`;
      let finished = false;
      while (!finished) {
        // In a third of a run there is time for the start, and for a stage or two.
        const after = kills < KILLS ? Math.floor((random.uniform() * whole) / 3) : undefined;
        const { code, stderr } = await run(out, after);
        finished = code === 0;
        if (finished) break;
        // Killed, not failed.
        expect(code, stderr).toBeNull();
        kills++;
        const at = existsSync(join(folder, out)) ? filesOf(out) : [];
        const stage = [
          'mlps',
          'final',
          'windows',
          'throughput',
          'dimensions',
          'design',
          'blocks',
          'placement',
        ].find((name) => at.some((path) => path.startsWith(`${name}/`)));
        const unfinished = at.filter((path) => path.endsWith('.tmp')).length;
        console.log(
          `kill ${kills} after ${(after! / 1000).toFixed(1)} s, in ${stage ?? 'the beginning'}, ` +
            `${at.length} files, ${unfinished} of them in the writing`,
        );
      }
      expect(filesOf(out)).toEqual(files);
      expect(files.filter((path) => !LEFTOVERS.run.some((pattern) => pattern.test(path)))).toEqual([]);
      for (const path of files) {
        if (/\.jsonl?$/.test(path)) expect(lasting(out, path), path).toEqual(lasting('straight', path));
        else if (path.endsWith('.safetensors')) {
          const [mine, first] = [out, 'straight'].map((each) => contentOf(join(folder, each, path)));
          expect(mine!.metadata, path).toEqual(first!.metadata);
          expect(mine!.values.equals(first!.values), path).toBe(true);
        }
      }
      console.log(`run ${round} ended with the undisturbed result after ${kills} kills in all`);
      if (!process.env.KILLS_FOLDER) rmSync(join(folder, out), { recursive: true });
    }
  },
  HOURS,
);

/** A file of tensors without what its metadata say of the time that was spent, and of the sum over that. */
function contentOf(path: string): { metadata: Record<string, unknown>; values: Buffer } {
  const bytes = readFileSync(path);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const { __metadata__: all = {}, ...tensors } = JSON.parse(bytes.toString('utf8', 8, end));
  const { seconds: _, check: __, ...metadata } = all;
  return { metadata: { ...metadata, tensors }, values: bytes.subarray(end) };
}
