import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../../test/support/random-model.ts';
import { tinyBatches } from '../../../../test/support/tiny-network.ts';
import { openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import { SafetensorsFile } from '../../../model/safetensors.ts';
import { Model } from '../../../runtime/model.ts';
import { planExamples } from '../../../tasks/harness.ts';
import type { ProgressEvent } from '../../../util/progress.ts';
import { canonical, type Identity } from '../../../util/store/identity.ts';
import { keep } from '../../../util/store/kept.ts';
import type { Measured } from '../../measured.ts';
import { bestThenFastest } from './choice.ts';
import { type Candidate, type CompareSettings, compareBlocks } from './compare.ts';
import type { BlocksResult } from './result.ts';
import { trialIdentity } from './trial.ts';

let dir: string;
let model: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-blocks-'));
  model = join(dir, 'model');
  const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }, { kind: 'attention' }], {
    hiddenSize: 16,
    intermediateSize: 24,
    numHeads: 2,
    numKvHeads: 1,
    maxPositionEmbeddings: 64,
    modelType: 'llama',
  });
  await saveCheckpoint(model, config, randomWeights(config, 4), { dtype: 'F32' });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const encode = (text: string) => [...text].map((letter) => letter.charCodeAt(0) % 64);

const size = { heads: 2, keyDim: 8, valueDim: 8 };
const gla: Candidate = { name: 'gla', spec: { kind: 'gla', ...size, gateRank: 4, rope: true } };
const delta: Candidate = {
  name: 'gated_deltanet',
  spec: { kind: 'gated_deltanet', ...size, convSize: 4, rope: false },
};

function settings(out: string, more: Partial<CompareSettings> = {}): CompareSettings {
  const shape = { batch: 2, length: 12, rate: 1e-2 };
  return {
    stage: 'blocks',
    model,
    out: join(dir, out),
    placement: [1],
    candidates: [gla, delta],
    seeds: [1, 2],
    tasks: [
      { plan: planExamples('say', [{ context: 'abc', answer: 'def' }], encode), metric: 'loss' },
      {
        plan: planExamples('pick', [{ context: 'a', options: ['x', 'y'], gold: 1 }], encode),
        metric: 'accuracy',
      },
    ],
    batches: tinyBatches(),
    align: { ...shape, steps: 3 },
    train: { ...shape, steps: 4 },
    decode: { context: 10, tokens: 4, rounds: 2 },
    rule: bestThenFastest,
    threads: 1,
    ...more,
  };
}

/** What does not depend on the clock or the folder. */
function lasting({ candidates, base, placement, trainedTokens, objective }: BlocksResult): unknown {
  const of = ({
    name,
    spec,
    parameters,
    stateBytes,
    stateSize,
    runs,
  }: BlocksResult['candidates'][number]) => ({
    ...{ name, spec, parameters, stateBytes, stateSize },
    runs,
  });
  return { base, placement, trainedTokens, objective, candidates: candidates.map(of) };
}

describe('compareBlocks', () => {
  let result: BlocksResult;
  beforeAll(async () => {
    result = await compareBlocks(settings('straight'));
  });

  test('every candidate with every seed, timed in turns', () => {
    expect(result.trainedTokens).toBe(7 * 24);
    for (const candidate of result.candidates) {
      expect(candidate.runs.map(({ seed }) => seed)).toEqual([1, 2]);
      expect(candidate.decode).toHaveLength(2);
      expect(candidate.train.every((rate) => rate > 0)).toBe(true);
      expect(candidate.train).toHaveLength(2);
      for (const run of candidate.runs) {
        expect(run.alignment).toHaveLength(2);
        expect(run.judged.placement).toEqual([1]);
      }
    }
    // 2 heads of 8 x 8; Gated DeltaNet keeps the last four inputs of three convolutions over 16 channels besides.
    expect(result.candidates.map(({ stateSize }) => stateSize)).toEqual([128, 128]);
    expect(result.candidates.map(({ stateBytes }) => stateBytes)).toEqual([512, 512 + 3 * 16 * 4 * 4]);
    expect(result.base.placement).toEqual([0, 1, 2]);
  });

  test('its trainings draw other batches than its alignment, the same for every candidate', () => {
    const seedOf = (path: string) =>
      (JSON.parse(new SafetensorsFile(path).metadata.fingerprint!) as { seed: number }).seed;
    const seeds = result.candidates.map(({ name }) =>
      result.candidates[0]!.runs.flatMap(({ seed }) =>
        ['align', 'train'].map((stage) =>
          seedOf(join(dir, 'straight', `seed-${seed}`, name, stage, 'state.safetensors')),
        ),
      ),
    );
    expect(new Set(seeds[0]).size).toBe(seeds[0]!.length);
    for (const own of seeds) expect(own).toEqual(seeds[0]);
  });

  test('the hybrid of the chosen block runs', async () => {
    const { config } = openCheckpoint(join(dir, 'straight/hybrid'));
    const { kind } = result.candidates.find(({ name }) => name === result.choice.name)!.spec;
    expect(config.layers.map((layer) => layer.kind)).toEqual([kind, 'attention', kind]);
    await using hybrid = await Model.fromPretrained(join(dir, 'straight/hybrid'), { threads: 1 });
    const ids: number[] = [];
    for await (const { id } of hybrid.generate([3, 4], { maxNewTokens: 3, eosTokenIds: [] })) ids.push(id);
    expect(ids).toHaveLength(3);
  });

  test('stopped anywhere and run again, it finds the same', async () => {
    // Late in the training of the second candidate.
    const stop = (event: ProgressEvent) => {
      if (event.stage.startsWith('gated_deltanet, seed 1') && event.stage.endsWith('train'))
        controller.abort();
    };
    const controller = new AbortController();
    const { signal } = controller;
    await expect(compareBlocks(settings('stopped', { signal, onProgress: stop }))).rejects.toThrow(/abort/i);
    expect(lasting(await compareBlocks(settings('stopped')))).toEqual(lasting(result));
  });

  test('every setting of a trial counts, but those that say where and how it is done, or what it is compared with', () => {
    // A field that is not here fails to compile; one that counts for nothing fails here.
    const others: Record<keyof CompareSettings, unknown> = {
      ...{ out: 'elsewhere', onProgress: () => {}, signal: 1, threads: 5, device: 'webgpu' },
      ...{ stage: 'design', candidates: [], seeds: [9], decode: {}, rule: {} },
      ...{ model, placement: [2], tasks: [], batches: tinyBatches(32) },
      ...{
        align: { batch: 2, length: 12, rate: 1e-2, steps: 9 },
        train: {},
        start: 'copied',
        windowDropout: 0.5,
      },
    };
    const identity = (more: object, seed = 1) =>
      canonical(trialIdentity({ ...settings('identity'), ...more }, gla, seed));
    const counted = Object.entries(others).filter(
      ([field, other]) => identity({ [field]: other }) !== identity({}),
    );
    expect(counted.map(([field]) => field)).toEqual([
      'placement',
      'tasks',
      'batches',
      'align',
      'train',
      'start',
      'windowDropout',
    ]);
    // What is taken where nothing is said.
    expect(identity({ start: 'calibrated' })).toBe(identity({}));
    expect(identity({}, 2)).not.toBe(identity({}));
    expect(canonical(trialIdentity(settings('identity'), delta, 1))).not.toBe(identity({}));
  });

  test('killed after the measurement, it goes on by it, whatever the machine would say now', async () => {
    const measuredFiles = ['decode.json', 'train.json', 'choice.json'];
    const contents = (out: string) => measuredFiles.map((file) => readFileSync(join(dir, out, file), 'utf8'));
    cpSync(join(dir, 'straight'), join(dir, 'measured'), { recursive: true });
    // As a kill leaves it that comes before the hybrid is written.
    rmSync(join(dir, 'measured/hybrid'), { recursive: true });
    const before = contents('measured');
    const again = await compareBlocks(settings('measured'));
    expect(contents('measured')).toEqual(before);
    expect(again.candidates).toEqual(result.candidates);
    expect(again.choice).toEqual(result.choice);

    // The other one was the fastest, by a hundred times, on another machine and with other threads.
    const [name, path] = [result.choice.name, join(dir, 'measured/decode.json')];
    const kept = JSON.parse(before[0]!) as { identity: Identity; value: Measured<number[][]> };
    const values = result.candidates.map((each) => (each.name === name ? [1, 1] : [100, 100]));
    keep(path, kept.identity, {
      machine: { ...kept.value.machine, processor: 'an abacus' },
      threads: 3,
      values,
    });
    // It cannot choose otherwise than it did, and says why it goes no further.
    await expect(compareBlocks(settings('measured'))).rejects.toThrow(
      /choice\.json was saved by .*\n {2}decode gla: another one\n/,
    );
    rmSync(join(dir, 'measured/choice.json'));
    const notices: string[] = [];
    const onProgress = ({ notice }: ProgressEvent) => notice && notices.push(notice);
    const other = await compareBlocks(settings('measured', { onProgress }));
    expect(other.candidates.map(({ decode }) => decode)).toEqual(values);
    expect(other.decode.threads).toBe(3);
    expect(notices).toEqual([
      expect.stringMatching(
        /decode\.json was measured on an abacus, .*, 3 threads; .* though this is .*, 1 threads$/,
      ),
    ]);
  });

  test('a candidate does not depend on those it is compared with', async () => {
    const alone = await compareBlocks(settings('alone', { candidates: [delta], seeds: [2] }));
    expect(result.candidates[1]!.runs[1]).toEqual(alone.candidates[0]!.runs[0]);
  });

  test.each([
    [{ placement: [3] }, /placement 3: no layer 3, expected 0 to 2/],
    [{ placement: [0, 1, 2] }, /no layer is left/],
    [{ candidates: [] }, /no block to compare/],
    [{ candidates: [gla, gla] }, /the block gla is given twice/],
    [{ seeds: [] }, /seeds \[\]: expected at least one/],
    [{ tasks: [] }, /at least one task/],
    [{ decode: { context: 60, tokens: 4, rounds: 1 } }, /a decode context of 60 tokens.*leaves room for 56/],
    [
      { train: { batch: 1, length: 8, steps: 0, rate: 1 } },
      /training: steps 0: expected a whole number from 1 to/,
    ],
  ] as [Partial<CompareSettings>, RegExp][])('refuses %o', async (more, message) => {
    await expect(compareBlocks(settings('refused', more))).rejects.toThrow(message);
    expect(existsSync(join(dir, 'refused'))).toBe(false);
  });
});
