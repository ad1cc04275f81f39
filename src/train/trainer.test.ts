import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { linearWeight, vector } from '../mixers/mixer.ts';
import { SafetensorsFile, writeSafetensors } from '../model/safetensors.ts';
import type { ProgressEvent } from '../util/progress.ts';
import { Random } from '../util/random.ts';
import { ParameterVector } from './parameters.ts';
import { type Objective, type TrainOptions, train } from './trainer.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-train-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Wrap = (objective: Objective) => Objective;

/** A fresh run: parameters and an objective of its own, as a new process would have them. */
function fresh(more: Partial<TrainOptions> = {}, wrap: Wrap = (objective) => objective): TrainOptions {
  const parameters = new ParameterVector([
    linearWeight('a', 4, 4),
    linearWeight('b', 2, 3),
    vector('c', 5, 1),
  ]);
  const random = new Random(3);
  for (let i = 0; i < parameters.size; i++) parameters.data[i] = random.normal();
  return {
    stage: 'test',
    parameters,
    objective: wrap(noisyBowl(parameters)),
    schedule: { peak: 0.05, warmup: 3, steps: 20, decay: 'cosine', final: 0.1 },
    seed: 1,
    optimizer: { muon: 0.1 },
    threads: 1,
    tokensPerStep: 10,
    evaluateEvery: 6,
    evaluate: async (step) => ({ size: step * parameters.data[0]! }),
    ...more,
  };
}

/** Sum of squares around points that are drawn. */
function noisyBowl(parameters: ParameterVector): Objective {
  return {
    async gradient(random, gradient) {
      let loss = 0;
      for (const [i, p] of parameters.data.entries()) {
        const distance = p - 0.3 * random.normal();
        loss += distance ** 2 / 2;
        gradient.data[i] = distance;
      }
      return { loss };
    },
  };
}

/** Calls `then` in the middle of a step, counted from 0. */
function during(step: number, then: () => void): Wrap {
  return (objective) => ({
    async gradient(random, gradient, now) {
      const result = await objective.gradient(random, gradient, now);
      if (now === step) then();
      return result;
    },
  });
}

const statePath = (folder: string) => join(folder, 'state.safetensors');

/** Everything a run leaves behind but how long it took. */
function remains(folder: string) {
  const state = new SafetensorsFile(statePath(folder));
  const lines = readFileSync(join(folder, 'log.jsonl'), 'utf8').trim().split('\n');
  return {
    metadata: { ...state.metadata, seconds: 0 },
    parameters: state.read('parameters'),
    m: state.read('m'),
    v: state.read('v'),
    log: lines.map((line) => ({ ...JSON.parse(line), seconds: 0, tokensPerSecond: 0 })),
  };
}

describe('a run that was stopped goes on bit for bit', () => {
  let straight: ReturnType<typeof remains>;
  let result: Awaited<ReturnType<typeof train>>;
  let final: Float32Array;

  beforeAll(async () => {
    const options = fresh({ folder: join(dir, 'straight') });
    result = await train(options);
    final = options.parameters.data;
    straight = remains(join(dir, 'straight'));
  });

  test('the straight run learns and logs', () => {
    expect(straight.log.filter(({ evaluation }) => evaluation).map(({ step }) => step)).toEqual([
      6, 12, 18, 20,
    ]);
    const losses = straight.log.filter(({ loss }) => loss !== undefined).map(({ loss }) => loss);
    expect(losses).toHaveLength(20);
    expect(result.step).toBe(20);
    expect(result.loss).toBeCloseTo((losses[18] + losses[19]) / 2, 12);
    expect(result.loss).toBeLessThan(0.8 * losses[0]);
    expect(straight.parameters).toEqual(final);
  });

  test('by Ctrl-C, twice', async () => {
    const folder = join(dir, 'aborted');
    for (const step of [7, 13]) {
      const controller = new AbortController();
      const abort = during(step, () => controller.abort());
      const options = fresh({ folder, signal: controller.signal }, abort);
      await expect(train(options)).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
      expect(new SafetensorsFile(statePath(folder)).metadata.step).toBe(String(step + 1));
    }
    const options = fresh({ folder });
    expect(await train(options)).toMatchObject({ step: 20, loss: result.loss });
    expect(remains(folder)).toEqual(straight);
    expect(options.parameters.data).toEqual(final);
  });

  test('by a kill that left a log ahead of the state, its last line cut off', async () => {
    const folder = join(dir, 'killed');
    const kept = join(dir, 'kept.safetensors');
    await train(
      fresh(
        { folder, saveEvery: 0 },
        during(11, () => copyFileSync(statePath(folder), kept)),
      ),
    );
    copyFileSync(kept, statePath(folder));
    const log = join(folder, 'log.jsonl');
    const text = readFileSync(log, 'utf8');
    writeFileSync(log, text.slice(0, -25));
    expect(await train(fresh({ folder }))).toMatchObject({ loss: result.loss });
    expect(remains(folder)).toEqual(straight);
  });

  test('a finished run is done: nothing is computed, the result is the same', async () => {
    const objective: Objective = { gradient: () => Promise.reject(new Error('called')) };
    const options = fresh({ folder: join(dir, 'straight'), objective });
    expect(await train(options)).toMatchObject({ step: 20, loss: result.loss });
    expect(options.parameters.data).toEqual(final);
    expect(remains(join(dir, 'straight'))).toEqual(straight);
  });

  test('within an accumulated step: its batches are drawn again', async () => {
    const whole = fresh({ folder: join(dir, 'accumulated'), accumulate: 2 });
    await train(whole);
    const controller = new AbortController();
    const signal = controller.signal;
    const folder = join(dir, 'accumulated and aborted');
    const stopped = during(7, () => controller.abort());
    await expect(train(fresh({ folder, accumulate: 2, signal }, stopped))).rejects.toThrow(/abort/i);
    expect(new SafetensorsFile(statePath(folder)).metadata.step).toBe('7');
    await train(fresh({ folder, accumulate: 2 }));
    expect(remains(folder)).toEqual(remains(join(dir, 'accumulated')));
  });

  test('an error of the objective keeps the steps before it', async () => {
    const folder = join(dir, 'failed');
    const failing = during(9, () => {
      throw new Error('out of memory');
    });
    await expect(train(fresh({ folder }, failing))).rejects.toThrow('out of memory');
    expect(new SafetensorsFile(statePath(folder)).metadata.step).toBe('9');
    await train(fresh({ folder }));
    expect(remains(folder)).toEqual(straight);
  });
});

test('two half batches in one step are the whole batch', async () => {
  // The gradient of a batch is the mean over its points, which are given by the step.
  const points = (step: number) => [0, 1, 2, 3].map((i) => Math.sin(step * 4 + i));
  const run = async (size: number) => {
    const options = fresh({ accumulate: 4 / size });
    const { parameters } = options;
    let drawn = 0;
    const objective: Objective = {
      async gradient(_random, gradient, step) {
        const batch = points(step).slice(drawn % 4, (drawn % 4) + size);
        drawn += size;
        const loss = (p: number) => batch.reduce((sum, x) => sum + (p - x) ** 2 / 2, 0) / size;
        for (const [i, p] of parameters.data.entries()) {
          gradient.data[i] = batch.reduce((sum, x) => sum + p - x, 0) / size;
        }
        return { loss: parameters.data.reduce((sum, p) => sum + loss(p), 0) };
      },
    };
    const { loss } = await train({ ...options, objective });
    return { data: [...parameters.data], loss };
  };
  const [whole, halves] = [await run(4), await run(2)];
  expect(halves.loss).toBeCloseTo(whole.loss, 4);
  for (const [i, p] of whole.data.entries()) expect(halves.data[i]).toBeCloseTo(p, 5);
});

test('parts of a step that takes long are told of, without a loss', async () => {
  const events: ProgressEvent[] = [];
  const slow: Wrap = (objective) => ({
    async gradient(random, gradient, step, onPart) {
      onPart!(0.1);
      if (step === 1) await new Promise((later) => setTimeout(later, 2100));
      onPart!(0.5);
      return objective.gradient(random, gradient, step);
    },
  });
  const options = fresh({ onProgress: (event) => events.push(event) }, slow);
  await train({ ...options, schedule: { ...options.schedule, steps: 2 } });
  expect(events.map(({ done }) => done)).toEqual([10, 15, 20]);
  expect(events.map(({ values }) => values === undefined)).toEqual([false, true, false]);
});

describe('refusals', () => {
  test('the state of a run with other options', async () => {
    const folder = join(dir, 'other');
    await train(fresh({ folder }));
    const { schedule } = fresh();
    for (const [other, difference] of [
      [{ seed: 2 }, 'seed: 1 -> 2'],
      [{ accumulate: 2 }, 'accumulate: 1 -> 2'],
      [{ fingerprint: { rows: 8 } }, 'rows: none -> 8'],
      [{ schedule: { ...schedule, peak: 1 } }, `learning rate: ${schedule.peak} -> 1`],
    ] as const) {
      await expect(train(fresh({ folder, ...other }))).rejects.toThrow(
        expect.objectContaining({
          name: 'InputError',
          message: expect.stringContaining(
            `state.safetensors was saved by a run with other settings:\n  ${difference}\n`,
          ),
        }),
      );
    }
  });

  test('a state of another size', async () => {
    const folder = join(dir, 'size');
    await train(fresh({ folder }));
    const parameters = new ParameterVector([vector('c', 5, 1)]);
    await expect(train(fresh({ folder, parameters, objective: noisyBowl(parameters) }))).rejects.toThrow(
      expect.objectContaining({ name: 'InputError' }),
    );
  });

  test('gradients that stay not finite, with the last good state kept', async () => {
    const folder = join(dir, 'nan');
    const exploding: Wrap = (objective) => ({
      async gradient(random, gradient, step) {
        const { loss } = await objective.gradient(random, gradient, step);
        // A single bad step is skipped.
        if (step === 2 || step > 4) gradient.data[1] = Number.NaN;
        return { loss: step > 4 ? Number.NaN : loss };
      },
    });
    const options = fresh({ folder, saveEvery: 0 }, exploding);
    const { parameters } = options;
    let good: Float32Array | undefined;
    const onProgress: TrainOptions['onProgress'] = ({ done }) => {
      if (done === 50) good = parameters.data.slice();
    };
    const running = train({ ...options, onProgress });
    await expect(running).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: expect.stringMatching(/test: the gradient was not finite for 10 steps.*step 15.*NaN/),
      }),
    );
    expect(parameters.data).toEqual(good);
    const state = new SafetensorsFile(statePath(folder));
    expect(state.metadata).toMatchObject({ step: '14', updates: '4' });
    expect(state.read('parameters')).toEqual(good);
  });
});

describe('a state file that was damaged after it was written', () => {
  const previousPath = (folder: string) => join(folder, 'state.previous.safetensors');

  /** A folder as a kill in step 12 left it: a state of 11 steps and one of 10, and a log of 12. */
  async function stopped(name: string): Promise<string> {
    const folder = join(dir, name);
    rmSync(folder, { recursive: true, force: true });
    const killed = new Error('killed');
    // An optimiser's step is not undone by the state that an error saves: the kill comes from outside.
    const onProgress: TrainOptions['onProgress'] = ({ done }) => {
      if (done === 120) throw killed;
    };
    await expect(train(fresh({ folder, saveEvery: 0, onProgress }))).rejects.toThrow(killed);
    return folder;
  }

  /** Trains to the end, and gives what was told. */
  async function resume(folder: string): Promise<string[]> {
    const notices: string[] = [];
    const options = fresh({ folder, onProgress: ({ notice }) => notice && notices.push(notice) });
    await train(options);
    return notices;
  }

  test('wherever it was cut off, the run goes on from the state before and ends bit for bit the same', async () => {
    const folder = await stopped('cut');
    const files = ['state.safetensors', 'state.previous.safetensors', 'log.jsonl'];
    const [state, previous, log] = files.map((name) => readFileSync(join(folder, name)));
    const header = 8 + Number(state!.readBigUInt64LE(0));
    const lengths = [0, 1, 7, 8, 9, header - 1, header, header + 1, state!.length - 4, state!.length - 1];
    for (const length of lengths) {
      for (const [i, bytes] of [state!.subarray(0, length), previous!, log!].entries()) {
        writeFileSync(join(folder, files[i]!), bytes);
      }
      const notices = await resume(folder);
      expect(notices).toEqual([
        expect.stringMatching(
          /cut\/state\.safetensors is damaged \(.+\) and laid aside as .*\.damaged; going on from the state before it, saved after step 11$/,
        ),
      ]);
      expect(readFileSync(`${statePath(folder)}.damaged`)).toHaveLength(length);
      expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
    }
  });

  test('a single bit of its weights, moments or description', async () => {
    const folder = await stopped('bits');
    const state = readFileSync(statePath(folder));
    const previous = readFileSync(previousPath(folder));
    const header = 8 + Number(state.readBigUInt64LE(0));
    const size = (state.length - header) / 3;
    const random = state.indexOf('random') + 12;
    const step = state.indexOf('"step":"') + 8;
    for (const at of [header, header + size + 1, header + 2 * size + 2, state.length - 1, random, step]) {
      const flipped = Buffer.from(state);
      flipped[at]! ^= 1;
      writeFileSync(statePath(folder), flipped);
      writeFileSync(previousPath(folder), previous);
      expect(await resume(folder)).toEqual([expect.stringContaining('saved after step 11')]);
      expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
    }
  });

  test('without a good state before it, the training begins anew and says so', async () => {
    for (const spoil of [
      (folder: string) => rmSync(previousPath(folder)),
      (folder: string) => writeFileSync(previousPath(folder), 'x'),
    ]) {
      const folder = await stopped('both');
      writeFileSync(statePath(folder), '');
      spoil(folder);
      expect(await resume(folder)).toEqual([expect.stringMatching(/is damaged .* begins anew$/)]);
      expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
    }
  });

  test('deleted by hand: the run starts afresh, whatever is left of the state before', async () => {
    const folder = await stopped('deleted');
    rmSync(statePath(folder));
    expect(await resume(folder)).toEqual([]);
    expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
  });

  test('files of a process that was killed while it wrote are taken away', async () => {
    const folder = await stopped('half written');
    const half = `${statePath(folder)}.${2 ** 22 + 1}.tmp`;
    writeFileSync(half, 'half');
    writeFileSync(join(folder, 'mine.tmp'), 'kept');
    expect(await resume(folder)).toEqual([]);
    expect(existsSync(half)).toBe(false);
    expect(existsSync(join(folder, 'mine.tmp'))).toBe(true);
    expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
  });

  test('of another version is left alone', async () => {
    const folder = await stopped('version');
    const file = new SafetensorsFile(statePath(folder));
    const metadata = { ...file.metadata, version: '99' };
    const tensors = file.names().map((name) => {
      const data = file.read(name);
      return { name, dtype: 'F32' as const, shape: [data.length], data };
    });
    writeSafetensors(statePath(folder), tensors, metadata);
    await expect(resume(folder)).rejects.toThrow(
      /another version of postnas \(layout 99, this one has 2\)\nDelete it/,
    );
    expect(new SafetensorsFile(statePath(folder)).metadata.version).toBe('99');
    // Those from before there were check sums are taken as they are.
    const { version: _, check: __, ...old } = file.metadata;
    writeSafetensors(statePath(folder), tensors, old);
    expect(await resume(folder)).toEqual([]);
    expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
  });
});

test('one training at a time has a folder', async () => {
  const folder = join(dir, 'locked');
  const second = { refused: undefined as Error | undefined };
  const wrap: Wrap = (objective) => ({
    async gradient(random, gradient, step) {
      if (step === 3)
        second.refused = (await train(fresh({ folder })).catch((error: Error) => error)) as Error;
      return objective.gradient(random, gradient, step);
    },
  });
  await train(fresh({ folder }, wrap));
  expect(second.refused).toMatchObject({
    name: 'InputError',
    message: expect.stringMatching(/locked is in use by process \d+ \(training: test\) since/),
  });
  expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
});

// /dev/full takes no bytes, as a full disk does.
describe.skipIf(!existsSync('/dev/full'))('a full disk (needs /dev/full)', () => {
  test('leaves the state that was saved last, and the run goes on from it', async () => {
    const folder = join(dir, 'full');
    const controller = new AbortController();
    const stopped = during(7, () => controller.abort());
    await expect(train(fresh({ folder, signal: controller.signal }, stopped))).rejects.toThrow(/abort/i);
    symlinkSync('/dev/full', `${statePath(folder)}.${process.pid}.tmp`);
    await expect(train(fresh({ folder }))).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: expect.stringMatching(
          /cannot write .*full\/state\.safetensors: no space is left on the disk/,
        ),
      }),
    );
    expect(new SafetensorsFile(statePath(folder)).metadata.step).toBe('8');
    await train(fresh({ folder }));
    expect(remains(folder)).toEqual(remains(join(dir, 'straight')));
  });

  test('names the log', async () => {
    const folder = join(dir, 'full log');
    mkdirSync(folder);
    const filling = during(2, () => {
      rmSync(join(folder, 'log.jsonl'));
      symlinkSync('/dev/full', join(folder, 'log.jsonl'));
    });
    await expect(train(fresh({ folder }, filling))).rejects.toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: expect.stringMatching(/cannot write .*full log\/log\.jsonl: no space is left on the disk/),
      }),
    );
  });
});
