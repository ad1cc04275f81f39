import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { vector } from '../mixers/mixer.ts';
import { ParameterVector } from './parameters.ts';
import { type TrainOptions, train } from './trainer.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-held-out-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

/**
 * A run that walks from 1 towards 0, and is judged by how far it is from `wanted`.
 *
 * @param seconds that each step takes by the clock that is put in place of the machine's
 */
function walk({ wanted = 0, ...more }: Partial<TrainOptions> & { wanted?: number } = {}) {
  const parameters = new ParameterVector([vector('x', 1, 1)]);
  parameters.data[0] = 1;
  const seen: number[] = [];
  const options: TrainOptions = {
    stage: 'walk',
    parameters,
    objective: {
      async gradient(random, gradient) {
        gradient.data[0] = 1;
        return { loss: random.uniform() };
      },
    },
    schedule: { peak: 0.05, warmup: 0, steps: 20, decay: 'constant', final: 1 },
    seed: 1,
    optimizer: { weightDecay: 0 },
    threads: 1,
    tokensPerStep: 10,
    heldOut: {
      times: 10,
      measure: async () => ({ objective: Math.abs(parameters.data[0]! - wanted) }),
      onMeasured: (measurements) => void seen.push(measurements.length),
    },
    ...more,
  };
  return { parameters, options, seen };
}

/** Steps whose seconds a clock of our own counts: it goes on by one for each step of `options`. */
function clocked(options: TrainOptions): TrainOptions {
  const own = vi.spyOn(performance, 'now');
  let now = 0;
  own.mockImplementation(() => 1000 * now);
  return {
    ...options,
    objective: {
      async gradient(...args) {
        const result = await options.objective.gradient(...args);
        now++;
        return result;
      },
    },
  };
}

test('measured before the first step, so many times evenly over the run, and after the last', async () => {
  const { options, seen } = walk();
  const { heldOut, ended, step } = await train(options);
  expect(heldOut.map(({ step }) => step)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
  expect(heldOut[0]!.objective).toBe(1);
  expect(heldOut.at(-1)!.objective).toBeCloseTo(0, 5);
  expect(seen).toEqual(heldOut.map((_, i) => i + 1));
  expect([ended, step]).toEqual(['steps', 20]);
  const uneven = walk({ schedule: { ...options.schedule, steps: 7 } });
  uneven.options.heldOut!.times = 3;
  expect((await train(uneven.options)).heldOut.map(({ step }) => step)).toEqual([0, 3, 5, 7]);
});

describe('with patience', () => {
  const patient = (folder?: string) => {
    // From step 10 on, where x is 0.5, it becomes worse.
    const run = walk({ wanted: 0.5, ...(folder && { folder }) });
    run.options.heldOut!.patience = 3;
    return run;
  };

  test.each([true, false])('the run ends, and the best weights are left; with a folder: %s', async (kept) => {
    const { options, parameters } = patient(kept ? join(dir, 'patience') : undefined);
    const result = await train(options);
    expect(result).toMatchObject({ ended: 'patience', step: 10, steps: 16 });
    expect(parameters.data[0]).toBeCloseTo(0.5, 5);
  });

  test('done again it is the same without a step', async () => {
    const folder = join(dir, 'patience');
    const { options, parameters } = patient(folder);
    options.objective = {
      gradient: async () => {
        throw new Error('no step was to be taken');
      },
    };
    expect(await train(options)).toMatchObject({ ended: 'patience', step: 10, steps: 16 });
    expect(parameters.data[0]).toBeCloseTo(0.5, 5);
  });

  test('stopped in between it ends as it would have', async () => {
    const folder = join(dir, 'stopped');
    for (const at of [5, 11, 13]) {
      const controller = new AbortController();
      const { options } = patient(folder);
      options.signal = controller.signal;
      options.onProgress = ({ done, values }) => values && done === 10 * at && controller.abort();
      await expect(train(options)).rejects.toThrow(/abort/i);
    }
    const { options, parameters } = patient(folder);
    expect(await train(options)).toMatchObject({ ended: 'patience', step: 10, steps: 16 });
    expect(parameters.data[0]).toBeCloseTo(0.5, 5);
  });

  test('where the last weights are the best there is no second file of them', async () => {
    const folder = join(dir, 'falling');
    const { options } = walk({ folder });
    options.heldOut!.patience = 3;
    expect(await train(options)).toMatchObject({ ended: 'steps', step: 20 });
    expect(existsSync(join(folder, 'best.safetensors'))).toBe(false);
  });

  test('best weights that are lost are said, and the last taken', async () => {
    const folder = join(dir, 'lost');
    await train(patient(folder).options);
    rmSync(join(folder, 'best.safetensors'));
    const { options, parameters } = patient(folder);
    const notices: string[] = [];
    options.onProgress = ({ notice }) => notice && notices.push(notice);
    expect(await train(options)).toMatchObject({ step: 16 });
    expect(notices).toEqual(['the weights of step 10, which were the best, are lost: the last are taken']);
    expect(parameters.data[0]).toBeCloseTo(0.2, 5);
  });

  test('no number is never the best', async () => {
    const { options } = walk({ folder: join(dir, 'no number') });
    options.heldOut = { times: 10, patience: 3, measure: async () => ({ objective: Number.NaN }) };
    expect(await train(options)).toMatchObject({ ended: 'patience', step: 0 });
  });
});

describe('a run that ends by its time', () => {
  const schedule = {
    peak: 0.05,
    warmup: 2,
    steps: Number.POSITIVE_INFINITY,
    decay: 'cosine',
    final: 0.1,
  } as const;
  const log = (folder: string) =>
    readFileSync(join(folder, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const rates = (folder: string) => log(folder).flatMap(({ rate }) => rate ?? []);

  test('takes the steps that fit; the rate falls over the time to its end', async () => {
    const folder = join(dir, 'timed');
    const { options } = walk({ folder, schedule, seconds: 12 });
    const totals: number[] = [];
    options.onProgress = ({ total }) => totals.push(total);
    const result = await train(clocked(options));
    expect(result).toMatchObject({ ended: 'time', steps: 12 });
    const expected = [0.025, 0.05, ...Array.from({ length: 10 }, (_, i) => i + 2).map(rateAt)];
    for (const [i, rate] of rates(folder).entries()) expect(rate).toBeCloseTo(expected[i]!, 10);
    expect(totals.at(-1)).toBe(120);
    expect(result.heldOut.length).toBe(11);
    expect(result.heldOut.at(-1)!.step).toBe(12);
  });
  const rateAt = (second: number) => 0.05 * (0.1 + (0.9 * (1 + Math.cos((Math.PI * second) / 12))) / 2);

  test('stopped and gone on with it has the same rates and weights', async () => {
    const folder = join(dir, 'timed, stopped');
    const controller = new AbortController();
    const first = walk({ folder, schedule, seconds: 12, signal: controller.signal });
    first.options.onProgress = ({ done, values }) => values && done === 50 && controller.abort();
    await expect(train(clocked(first.options))).rejects.toThrow(/abort/i);
    const again = walk({ folder, schedule, seconds: 12 });
    expect(await train(clocked(again.options))).toMatchObject({ ended: 'time', steps: 12 });
    expect(rates(folder)).toEqual(rates(join(dir, 'timed')));
    expect(log(folder).map(({ step }) => step)).toEqual(log(join(dir, 'timed')).map(({ step }) => step));
    // Once more there is nothing left to do.
    const third = walk({ folder, schedule, seconds: 12 });
    expect(await train(clocked(third.options))).toMatchObject({ ended: 'time', steps: 12 });
    expect(third.parameters.data).toEqual(again.parameters.data);
  });

  test('given more time it goes on', async () => {
    const folder = join(dir, 'timed');
    const { options } = walk({ folder, schedule, seconds: 20 });
    expect(await train(clocked(options))).toMatchObject({ ended: 'time', steps: 20 });
    // Where it would be by now if it had had that time from the beginning.
    expect(rates(folder)[12]).toBeCloseTo(0.05 * (0.1 + (0.9 * (1 + Math.cos((Math.PI * 12) / 20))) / 2), 10);
  });
});
