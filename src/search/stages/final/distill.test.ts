import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyBatches, tinyGla, tinyParent, tinySupernet } from '../../../../test/support/tiny-network.ts';
import type { MixerSpec } from '../../../mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import { SafetensorsFile } from '../../../model/safetensors.ts';
import type { TensorSource } from '../../../model/tensor-source.ts';
import { Random } from '../../../util/random.ts';
import { type Hybrid, hybridOf } from '../../network/hybrid.ts';
import { distill } from './distill.ts';
import type { DistillSettings } from './settings.ts';

let dir: string;
let teacher: string;
let student: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-distill-'));
  [teacher, student] = [join(dir, 'teacher'), join(dir, 'student')];
  const { network } = tinySupernet(
    tinyParent(undefined, { tieWordEmbeddings: true, maxPositionEmbeddings: 16 }),
  );
  for (const [folder, path] of [
    [teacher, [0, 0, 0]],
    [student, [1, 0, 1]],
  ] as const) {
    const { config, weights } = hybridOf(network, path);
    await saveCheckpoint(folder, config, weights, { dtype: 'F32' });
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

const shape = { batch: 2, length: 8 };
const settings = (out: string, more: Partial<DistillSettings> = {}): DistillSettings => ({
  teacher,
  student,
  out: join(dir, out),
  seed: 1,
  batches: tinyBatches(),
  features: { ...shape, steps: 12, rate: 2e-2 },
  logits: { ...shape, steps: 12, rate: 1e-2 },
  all: { ...shape, steps: 12, rate: 1e-2, bodyRate: 0.5, crossEntropy: 0.1 },
  temperature: 1,
  threads: 1,
  ...more,
});
const file = (out: string) => readFileSync(join(dir, out, 'hybrid', 'model.safetensors'));
/** The names of tensors that are not the same in both. */
const changed = (a: TensorSource, b: TensorSource) =>
  a.names().filter((name) => !bytes(a.read(name)).equals(bytes(b.read(name))));
const bytes = ({ buffer, byteOffset, byteLength }: Float32Array<ArrayBuffer>) =>
  Buffer.from(buffer, byteOffset, byteLength);

describe('a distillation', () => {
  test('trains linear mixers, then all weights, and leaves a model of the same shape', async () => {
    const before = openCheckpoint(student);
    const seen: [string, Hybrid, string[]][] = [];
    const { stages } = await distill(
      settings('straight', {
        afterStage: async (name, hybrid) => {
          seen.push([name, hybrid, changed(hybrid.weights, before.weights)]);
        },
      }),
    );
    expect(stages.map(({ name, steps, tokens }) => ({ name, steps, tokens }))).toEqual(
      ['features', 'logits', 'all'].map((name) => ({ name, steps: 12, tokens: 12 * 16 })),
    );
    const mixers = before.weights.names().filter((name) => /layers\.[02]\.self_attn/.test(name));
    for (const [name, { config, weights }, names] of seen) {
      expect(names.sort()).toEqual((name === 'all' ? before.weights.names() : mixers).sort());
      expect(config).toEqual(before.config);
      expect(weights.names().sort()).toEqual(before.weights.names().sort());
    }
    const written = openCheckpoint(join(dir, 'straight', 'hybrid'));
    expect(written.config).toEqual(before.config);
    expect(changed(written.weights, seen[2]![1].weights)).toEqual([]);
  });

  test('learns in every stage: the loss on one batch falls', async () => {
    const batches = { identity: 'one', fill: (out: Int32Array) => tinyBatches().fill(out, 8, new Random(5)) };
    const losses = new Map<string, number[]>();
    await distill(
      settings('learning', {
        batches,
        onProgress: ({ stage, values }) => {
          if (values) losses.set(stage, [...(losses.get(stage) ?? []), values.loss!]);
        },
      }),
    );
    expect([...losses.keys()]).toEqual(['distil features', 'distil logits', 'distil all']);
    for (const [stage, list] of losses) expect(list.at(-1), stage).toBeLessThan(0.9 * list[0]!);
  });

  test('every stage draws batches of its own, and begins with what the one before left', async () => {
    const states = ['features', 'logits', 'all'].map((stage) => {
      const { metadata } = new SafetensorsFile(join(dir, 'straight', stage, 'state.safetensors'));
      return JSON.parse(metadata.fingerprint!) as Record<string, unknown>;
    });
    expect(new Set(states.map(({ seed }) => seed)).size).toBe(3);
    const { features, logits } = settings('straight');
    expect(states.map((state) => [state.features, state.logits])).toEqual([
      [undefined, undefined],
      [features, undefined],
      [features, logits],
    ]);
    expect(states.map(({ losses }) => losses)).toEqual([
      { features: { lastWeight: 1 } },
      { vocabulary: { divergence: 1, temperature: 1, crossEntropy: 0 } },
      { vocabulary: { divergence: 1, temperature: 1, crossEntropy: 0.1 } },
    ]);
  });

  test('the weights that are not of linear mixers are trained at a rate of their own', async () => {
    const before = openCheckpoint(student).weights;
    /** The largest change of linear mixers, and of all other weights, by the first step of AdamW. */
    const moved = async (bodyRate: number) => {
      const none = { ...shape, steps: 0, rate: 1 };
      const all = { ...shape, steps: 1, rate: 1e-3, bodyRate, crossEntropy: 0.1 };
      await distill(settings(`body at ${bodyRate}`, { features: none, logits: none, all }));
      const { weights } = openCheckpoint(join(dir, `body at ${bodyRate}`, 'hybrid'));
      const most = { mixers: 0, body: 0 };
      for (const name of before.names()) {
        const part = /layers\.[02]\.self_attn/.test(name) ? 'mixers' : 'body';
        const [was, is] = [before.read(name), weights.read(name)];
        for (const [i, x] of was.entries()) most[part] = Math.max(most[part], Math.abs(is[i]! - x));
      }
      return most;
    };
    const [whole, tenth, none] = [await moved(1), await moved(0.1), await moved(0)];
    expect(whole.body).toBeGreaterThan(0);
    expect(tenth.body / whole.body).toBeCloseTo(0.1, 2);
    expect(none.body).toBe(0);
    for (const { mixers } of [tenth, none]) expect(mixers).toBeCloseTo(whole.mixers, 5);
    expect(whole.mixers).toBeGreaterThan(0);
  });

  test.each(['features', 'logits', 'all'])(
    'stopped in stage %s it goes on to the same model',
    async (stopAt) => {
      const out = `stopped in ${stopAt}`;
      const controller = new AbortController();
      const stopped = distill(
        settings(out, {
          signal: controller.signal,
          onProgress: ({ stage, done }) => {
            if (stage === `distil ${stopAt}` && done === 5 * 16) controller.abort();
          },
        }),
      );
      await expect(stopped).rejects.toThrow(/abort/i);
      expect(existsSync(join(dir, out, 'hybrid'))).toBe(false);
      const { stages } = await distill(settings(out));
      expect(stages).toHaveLength(3);
      expect(file(out).equals(file('straight'))).toBe(true);
    },
  );

  test('stages without steps are left out', async () => {
    const { logits, features } = settings('');
    const { stages } = await distill(
      settings('short', { features: { ...features, steps: 0 }, logits: { ...logits, steps: 0 } }),
    );
    expect(stages.map(({ name }) => name)).toEqual(['all']);
    expect(readdirSync(join(dir, 'short')).sort()).toEqual(['all', 'hybrid']);
  });

  test('a teacher of another width and depth teaches by its predictions', async () => {
    const other = join(dir, 'other teacher');
    const { config, weights } = hybridOf(
      tinyParent([{ kind: 'attention' }], { hiddenSize: 32, headDim: 16 }),
      [0],
    );
    await saveCheckpoint(other, config, weights, { dtype: 'F32' });
    const { features, logits } = settings('');
    const without = { teacher: other, features: { ...features, steps: 0 } };
    const { stages } = await distill(settings('other', { ...without, logits: { ...logits, steps: 2 } }));
    expect(stages).toHaveLength(2);
    await expect(distill(settings('refused', { teacher: other }))).rejects.toThrow(
      /the teacher has 1 layers of width 32, the hybrid 3 of 16/,
    );
  });
});

describe('a window beside a linear mixer', () => {
  const spec: MixerSpec = { kind: 'window_linear', window: 3, sinks: 1, linear: tinyGla };
  let beside: string;
  beforeAll(async () => {
    beside = join(dir, 'beside');
    const { network } = tinySupernet(
      tinyParent(undefined, { tieWordEmbeddings: true, maxPositionEmbeddings: 16 }),
      spec,
    );
    const { config, weights } = hybridOf(network, [1, 0, 1]);
    await saveCheckpoint(beside, config, weights, { dtype: 'F32' });
  });
  const none = { ...shape, steps: 0, rate: 1 };
  const alone = () => ({
    student: beside,
    features: settings('').features,
    logits: none,
    all: { ...none, bodyRate: 1, crossEntropy: 0 },
  });

  test('what is linear is trained, the window’s own weights are not, but with all weights', async () => {
    await distill(settings('beside', alone()));
    const [before, after] = [openCheckpoint(beside), openCheckpoint(join(dir, 'beside', 'hybrid'))];
    const linear = before.weights.names().filter((name) => /layers\.[02]\.self_attn\.linear[._]/.test(name));
    expect(changed(after.weights, before.weights).sort()).toEqual(linear.sort());
    await distill(settings('beside, all', { ...alone(), features: none, all: settings('').all }));
    const all = openCheckpoint(join(dir, 'beside, all', 'hybrid')).weights;
    expect(changed(all, before.weights).sort()).toEqual(before.weights.names().sort());
  });

  test('windows left out of rows: another model, the same when it is stopped and goes on', async () => {
    const dropped = { ...alone(), windowDropout: 0.7 };
    await distill(settings('dropped', dropped));
    expect(file('dropped').equals(file('beside'))).toBe(false);
    const controller = new AbortController();
    const stopped = distill(
      settings('dropped, stopped', {
        ...dropped,
        signal: controller.signal,
        onProgress: ({ done }) => {
          if (done === 5 * 16) controller.abort();
        },
      }),
    );
    await expect(stopped).rejects.toThrow(/abort/i);
    await distill(settings('dropped, stopped', dropped));
    expect(file('dropped, stopped').equals(file('dropped'))).toBe(true);
    // None are as if nothing had been said, down to the states of a run.
    const { stages } = await distill(settings('beside', { ...alone(), windowDropout: 0 }));
    expect(stages).toHaveLength(1);
  });

  test('windows are left out where there is something beside them, and in shares', async () => {
    await expect(distill(settings('refused', { windowDropout: 0.5 }))).rejects.toThrow(
      /window dropout is for layers of a window and a linear mixer, of which .*student has none/,
    );
    await expect(distill(settings('refused', { ...alone(), windowDropout: 1.5 }))).rejects.toThrow(
      /window dropout 1.5: expected a number from 0 to 1/,
    );
  });
});

describe('with a cache', () => {
  const batches = (folder: string) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.safetensors'),
    );

  test('the teacher is asked once per batch, and the result is the same', async () => {
    const cacheLogits = join(dir, 'cache');
    const notices: string[] = [];
    const onNotice = (line: string) => notices.push(line);
    await distill(settings('asked', { cacheLogits, onNotice }));
    const files = batches(cacheLogits).map((name) => join(cacheLogits, name));
    expect(files).toHaveLength(24);
    const bytes = files.reduce((sum, path) => sum + statSync(path).size, 0);
    expect(notices).toEqual([expect.stringMatching(/predictions take up to 0\.000\d+ GB in .*cache/)]);
    expect(bytes).toBeLessThanOrEqual(Number(/up to (\S+) GB/.exec(notices[0]!)![1]) * 1.01e9);

    const times = files.map((path) => statSync(path).mtimeMs);
    await distill(settings('told', { cacheLogits }));
    expect(files.map((path) => statSync(path).mtimeMs)).toEqual(times);
    expect(file('told').equals(file('asked'))).toBe(true);

    // A byte of the values, and the end.
    const damaged = readFileSync(files[3]!);
    damaged[damaged.length - 9]! ^= 1;
    writeFileSync(files[3]!, damaged);
    writeFileSync(files[4]!, readFileSync(files[4]!).subarray(0, 500));
    notices.length = 0;
    await distill(settings('mended', { cacheLogits, onNotice }));
    expect(notices.slice(1).sort().join('\n')).toMatch(
      /is damaged.*computed anew(.|\n)*is damaged.*computed anew/,
    );
    expect(notices).toHaveLength(3);
    expect(file('mended').equals(file('asked'))).toBe(true);
  });

  test('all 64 tokens known, it is nearly what it is without', async () => {
    const { logits } = settings('');
    const alone = { features: { ...logits, steps: 0 }, all: { ...settings('').all, steps: 0 } };
    const [first] = (await distill(settings('plain', alone))).stages;
    const [second] = (await distill(settings('cached', { ...alone, cacheLogits: join(dir, 'cache') })))
      .stages;
    expect(second!.loss).toBeCloseTo(first!.loss, 3);
  });

  test('of more than is allowed is refused before any work', async () => {
    const out = 'too much';
    await expect(
      distill(settings(out, { cacheLogits: join(dir, 'none'), cacheLimit: 1000 })),
    ).rejects.toThrow(/would take 0\.000\d+ GB in .*none, allowed are 0\.00000100 GB/);
    expect(existsSync(join(dir, out))).toBe(false);
  });
});

describe('refusals', () => {
  const stage = { ...shape, steps: 12, rate: 1e-2 };
  const all = { ...stage, bodyRate: 0.5, crossEntropy: 0.1 };
  const none = { ...stage, steps: 0 };
  test.each<[string, Partial<DistillSettings>, RegExp]>([
    ['no steps', { features: none, logits: none, all: { ...all, steps: 0 } }, /nothing to do/],
    ['a temperature of 0', { temperature: 0 }, /temperature 0: expected a number above 0/],
    [
      'a negative rate',
      { all: { ...all, bodyRate: -1 } },
      /rate of the body -1: expected a number from 0 to/,
    ],
    [
      'rows beyond the context',
      { logits: { ...stage, length: 32 } },
      /logits has rows of 32 tokens, expected 2 to 16/,
    ],
  ])('%s', async (_, more, message) => {
    await expect(distill(settings('refused', more))).rejects.toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringMatching(message) }),
    );
  });

  test('a model without linear mixers, unless all is trained', async () => {
    await expect(distill(settings('refused', { student: teacher }))).rejects.toThrow(
      /stage features trains linear mixers, of which .*teacher has none/,
    );
  });

  test('another vocabulary', async () => {
    const folder = join(dir, 'vocabulary');
    const { config, weights } = hybridOf(tinyParent(undefined, { vocabSize: 60 }), [0, 0, 0]);
    await saveCheckpoint(folder, config, weights, { dtype: 'F32' });
    await expect(distill(settings('refused', { teacher: folder }))).rejects.toThrow(
      /60 tokens, the hybrid of 64/,
    );
  });

  test('the states of another run', async () => {
    await expect(distill(settings('straight', { temperature: 2 }))).rejects.toThrow(
      /settings:\n {2}vocabulary temperature: 1 -> 2\n/,
    );
    await expect(distill(settings('straight', { logits: { ...stage, rate: 1 } }))).rejects.toThrow(
      /settings:\n {2}learning rate: \S+ -> 1\n/,
    );
  });
});
