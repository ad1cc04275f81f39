/** `--placement` of all commands that run, measure or write a model; `serve` as a process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MixerSpec } from '../../src/mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.ts';
import { writePlacement } from '../../src/model/placed-folder.ts';
import { type Placement, placementOf } from '../../src/model/placement.ts';
import { weightsHash } from '../../src/model/weights-hash.ts';
import { command, postnasHere, root } from '../support/command.ts';

let dir: string;
let model: string;
/** The same as what the placement makes of the model. */
let baked: string;
let placement: Placement;
const NEAR = { window: 6, sinks: 2 };
const layers = Array.from({ length: 8 }, (_, i): MixerSpec => {
  if (i === 5) return { kind: 'attention' };
  return i === 2
    ? { kind: 'head_attention', fullHeads: [0, 3], ...NEAR }
    : { kind: 'sliding_window', ...NEAR };
});

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-placement-'));
  model = join(dir, 'model');
  baked = join(dir, 'baked');
  cpSync(join(root, 'models/base'), model, { recursive: true });
  const checkpoint = openCheckpoint(model);
  const { config, weights } = checkpoint;
  const placed = { ...config, layers };
  await saveCheckpoint(baked, placed, weights, { dtype: 'F32', tokenizerFrom: model });
  placement = placementOf(config, placed, { name: 'near', weights: await weightsHash(checkpoint) });
  writePlacement(model, placement);
  writePlacement(model, { ...placement, name: 'other', weights: '0123456789abcdef' });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function json<T>(...args: string[]): Promise<T> {
  const threads = ['info', 'quantize', 'export'].includes(args[0]!) ? [] : ['--threads', '1'];
  const { code, stdout, stderr } = await postnasHere([...args, ...threads, '--quiet', '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

const writing = ['--prompt', 'Story: Tom found the key in the box. Ann took the', '--max-tokens', '24'];

test('info lists placements, and shows the model under one', async () => {
  const plain = await json<{ weights: { hash: string }; placements: object[] }>('info', model);
  expect(plain.weights.hash).toBe(placement.weights);
  const listed = { name: 'near', fullHeads: 6, window: 6, sinks: 2 };
  expect(plain.placements).toEqual([
    { ...listed, stateBytes: expect.any(Number) },
    { ...listed, name: 'other', problem: 'for other weights: 0123456789abcdef' },
  ]);
  const under = await json<object>('info', model, '--placement', 'near', '--context', '512');
  expect(under).toMatchObject({ architecture: 'WWHWWAWW', placement });
  const { layers: shown } = under as { layers: { fullHeads: number[] }[] };
  expect(shown.map(({ fullHeads }) => fullHeads)).toEqual([[], [], [0, 3], [], [], [0, 1, 2, 3], [], []]);
  writeFileSync(join(model, 'placements/broken.json'), '{"format":"postnas-placement"}');
  const text = (await postnasHere(['info', model, '--placement', 'near'])).stdout;
  expect(text).toContain('architecture  WWHWWAWW\n');
  expect(text).toContain('placement     near\n');
  expect(text).toContain('head_attention full_heads=2.0,2.3 window=6 sinks=2, layer 2\n');
  expect(text).toContain(
    [
      'KV heads      6 of 32 see all tokens (#), the others a window (.)',
      '              layer   0',
      '              head 0  ..#..#..',
      '              head 1  .....#..',
      '              head 2  .....#..',
      '              head 3  ..#..#..\n',
    ].join('\n'),
  );
  expect(text).toMatch(/\nplacements \(--placement NAME\):\nname +full heads +window +sinks +state\n/);
  expect(text).toMatch(/\nbroken .*broken\.json: version is missing, expected 1\n/);
  expect(text).toMatch(/\nnear +6 +6 +2 +\S+ \w+\n/);
  rmSync(join(model, 'placements/broken.json'));
  const configAlone = await postnasHere(['info', join(model, 'config.json'), '--placement', 'near']);
  expect(configAlone.stderr).toMatch(
    /config\.json has no weights: expected those that placement near is for/,
  );
});

test('generate: by name and by path, as the folder that it would be', async () => {
  const text = async (...args: string[]) =>
    (await json<{ text: string }>('generate', ...args, ...writing)).text;
  const expected = await text(baked);
  expect(await text(model, '--placement', 'near')).toBe(expected);
  expect(await text(model, '--placement', join(model, 'placements/near.json'))).toBe(expected);
  expect(await text(model)).not.toBe(expected);
});

test('serve', async () => {
  const args = ['serve', model, '--placement', 'near', '--port', '0', '--json', '--log-level', 'silent'];
  const child = spawn(process.execPath, [command, ...args, '--threads', '1', '--quiet'], { cwd: root });
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { url } = JSON.parse(line) as { url: string };
    const body = JSON.stringify({ prompt: writing[1], max_tokens: 24, temperature: 0 });
    const answer = await fetch(`${url}/v1/completions`, { method: 'POST', body });
    const { choices } = (await answer.json()) as { choices: { text: string }[] };
    expect(choices[0]!.text).toBe((await json<{ text: string }>('generate', baked, ...writing)).text);
  } finally {
    child.kill('SIGKILL');
  }
});

test('eval: scores of one placement are not taken for those of another', async () => {
  const out = join(dir, 'scores');
  const tasks = ['--task', 'recall', '--examples', '16', '--out', out];
  const scored = (...args: string[]) =>
    json<{ placement?: string; scores: { goldLoss: number }[]; config: object }>('eval', ...args, ...tasks);
  const near = await scored(model, '--placement', 'near');
  expect(near.placement).toBe('near');
  expect(near.config).toMatchObject({ placement: 'near' });
  const refused = await postnasHere(['eval', model, ...tasks, '--threads', '1', '--quiet']);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('placement');
  rmSync(out, { recursive: true });
  expect((await scored(baked)).scores[0]!.goldLoss).toBeCloseTo(near.scores[0]!.goldLoss, 5);
  rmSync(out, { recursive: true });
  expect((await scored(model)).scores[0]!.goldLoss).not.toBeCloseTo(near.scores[0]!.goldLoss, 2);
});

test('bench', async () => {
  const args = ['--contexts', '64', '--decode-tokens', '2', '--decode-rounds', '1', '--fill'];
  const found = await json<{ rows: { formulaBytes: number }[] }>(
    'bench',
    model,
    '--placement',
    'near',
    ...args,
  );
  expect(found).toMatchObject({ model: `${model} (near)`, architecture: 'WWHWWAWW' });
  const { rows } = await json<{ rows: { formulaBytes: number }[] }>('bench', baked, ...args);
  expect(found.rows[0]!.formulaBytes).toBe(rows[0]!.formulaBytes);
});

test('quantize keeps the placements, and they hold for the copy; under one it writes what that says', async () => {
  const q8 = join(dir, 'q8');
  const { placements } = await json<{ placements: string[] }>('quantize', model, '--out', q8);
  expect(placements).toEqual(['near', 'other']);
  const info = await json<{ weights: { hash: string }; architecture: string }>(
    'info',
    q8,
    '--placement',
    'near',
  );
  expect(info.weights.hash).toBe(placement.weights);
  expect(info.architecture).toBe('WWHWWAWW');

  const bakedQ8 = join(dir, 'baked-q8');
  await json('quantize', model, '--out', bakedQ8, '--placement', 'near');
  expect(readdirSync(bakedQ8)).not.toContain('placements');
  const { layers: written } = JSON.parse(readFileSync(join(bakedQ8, 'config.json'), 'utf8')) as {
    layers: object[];
  };
  expect(written[5]).toEqual({ kind: 'attention' });
  expect(written[2]).toEqual({ kind: 'head_attention', full_heads: [0, 3], window: 6, sinks: 2 });
  expect(written[0]).toEqual({ kind: 'sliding_window', window: 6, sinks: 2 });
  const text = async (...args: string[]) =>
    (await json<{ text: string }>('generate', ...args, ...writing)).text;
  expect(await text(bakedQ8)).toBe(await text(q8, '--placement', 'near'));
});

test('a placement for other weights is refused by all, with both hashes; an unknown one with those that are there', async () => {
  const other = /placement other is for the weights 0123456789abcdef, those of .*model are [0-9a-f]{16}/;
  const none =
    /model has no placement 'none' \(placements\/none\.json\); it has near, other; expected a name or the path/;
  const nothing = join(dir, 'nothing');
  const commands: [string, ...string[]][] = [
    ['info'],
    ['generate', '--prompt', 'a'],
    ['serve', '--port', '0'],
    ['eval', '--task', 'recall'],
    ['bench'],
    ['quantize', '--out', nothing],
    ['export', '--onnx', '--out', nothing],
    ['compare', '--out', nothing],
  ];
  const refused = async (given: string, message: RegExp, [name, ...args]: [string, ...string[]]) => {
    const { code, stderr } = await postnasHere([name, model, ...args, '--placement', given, '--quiet']);
    expect({ name, code, stderr }).toEqual({ name, code: 1, stderr: expect.stringMatching(message) });
  };
  for (const each of commands) await refused('other', other, each);
  await refused('none', none, ['export', '--onnx', '--out', nothing]);
  expect(readdirSync(dir)).not.toContain('nothing');
});
