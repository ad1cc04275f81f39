import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../model/folder.ts';
import { importCheckpoint } from '../../model/import/import-checkpoint.ts';
import { initCheckpoint } from '../../model/random-checkpoint.ts';
import type { ProgressEvent } from '../../util/progress.ts';
import type { SearchReachOptions } from './options.ts';
import { reachSchema } from './result.ts';
import { searchReach } from './search-reach.ts';

const base = resolve(import.meta.dirname, '../../../models/base');
const dir = mkdtempSync(join(tmpdir(), 'postnas-reach-'));
afterAll(() => rmSync(dir, { recursive: true }));

const options: SearchReachOptions = {
  model: base,
  work: join(dir, 'work'),
  context: 256,
  windows: [16],
  budgets: [{ heads: 2 }, { layers: 1 }],
};

test('two of 32 heads find again what windows have lost; the same again is read from what is kept', async () => {
  const result = await searchReach(options);
  expect(reachSchema.parse(JSON.parse(readFileSync(join(options.work, 'result.json'), 'utf8')))).toEqual(
    result,
  );
  const found = (how: string, budget?: number) =>
    result.placements.find((own) => own.how === how && own.budget === budget)!;
  const right = (own: ReturnType<typeof found>) =>
    own.quality.recall.reduce((sum, { right }) => sum + right, 0);
  expect(right(found('windows'))).toBeLessThan(0.2 * right(found('full')));
  const refined = found('refined', 0);
  expect(refined.heads).toBe(2);
  expect(right(refined)).toBeGreaterThan(0.6 * right(found('full')));
  expect(right(refined)).toBeGreaterThan(right(found('random', 0)));
  expect(found('refined', 1).layers.filter(({ fullHeads }) => fullHeads.length === 4).length).toBe(1);
  // Float32 windows of 16 + 4 tokens; of two heads all tokens.
  expect(refined.cost.bytes).toBe((30 * 20 + 2 * 256) * 2 * 32 * 4);
  expect(result.scores.fromWindows.length).toBe(32);
  expect(result.text).toBeNull();

  const events: ProgressEvent[] = [];
  const again = await searchReach({ ...options, onProgress: (event) => events.push(event) });
  // Nothing is judged again; what was found is told.
  expect(events.filter(({ notice }) => notice === undefined)).toEqual([]);
  expect({ ...again, created: '', seconds: 0 }).toEqual({ ...result, created: '', seconds: 0 });
}, 120_000);

test('text counts too: divergence from the parent', async () => {
  const work = join(dir, 'text');
  const data = resolve(import.meta.dirname, '../../../README.md');
  const result = await searchReach({
    ...options,
    work,
    data,
    recall: false,
    budgets: [{ heads: 4 }],
    fromFull: true,
  });
  const [full, windows, refined] = ['full', 'windows', 'refined'].map(
    (how) => result.placements.find((own) => own.how === how)!.quality.text!,
  );
  expect(full!.kl).toBeLessThan(1e-5);
  expect(refined!.kl).toBeLessThan(windows!.kl);
  expect(result.scores.fromFull.length).toBe(32);
  expect(result.recall).toBeNull();
}, 120_000);

/**
 * Of the shapes of other families: biases, norms of queries and keys, many query heads to a KV head; norms after mixers and
 * MLPs, a layer that is not rotated, another activation.
 */
test.each([
  ['qwen2', { num_attention_heads: 14, num_key_value_heads: 2, tie_word_embeddings: true }],
  ['qwen3', { num_attention_heads: 4, num_key_value_heads: 1, head_dim: 8 }],
  ['olmo2', { num_attention_heads: 14, num_key_value_heads: 2 }],
  ['smollm3', { num_attention_heads: 14, num_key_value_heads: 2, no_rope_layers: [1, 0] }],
  ['gemma', { num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, hidden_act: 'gelu_pytorch_tanh' }],
])(
  'a random model of the shape of %s is searched',
  async (type, shape) => {
    const config = join(dir, `${type}.json`);
    writeFileSync(
      config,
      JSON.stringify({
        ...{
          model_type: type,
          vocab_size: loadTokenizer(base).vocabSize,
          hidden_size: 56,
          intermediate_size: 64,
        },
        ...{ num_hidden_layers: 2, hidden_act: 'silu', rms_norm_eps: 1e-6, rope_theta: 10_000 },
        ...{ max_position_embeddings: 512, initializer_range: 0.2, tie_word_embeddings: false, ...shape },
      }),
    );
    const model = join(dir, type);
    await initCheckpoint(model, config, { tokenizer: base });
    const { placements } = await searchReach({
      ...{
        ...options,
        model,
        work: join(dir, `${type} work`),
        windows: [8, 16],
        budgets: [{ heads: 1 }, { bytes: 60_000 }],
      },
    });
    const refined = placements.filter(({ how }) => how === 'refined');
    expect(refined.map(({ heads }) => heads <= 1)).toContain(true);
    for (const { quality } of placements) {
      for (const { loss } of quality.recall) expect(loss).toBeGreaterThan(0);
    }
  },
  120_000,
);

const shared = resolve(import.meta.dirname, '../../../../shared/data');
const stories = join(shared, 'models/stories260K/stories260K.bin');

describe.skipIf(!existsSync(stories))('stories260K (needs ../shared/data)', () => {
  test('the last layer looks farthest; half of the bytes keep the loss', async () => {
    const model = join(dir, 'stories260K');
    await importCheckpoint(stories, model);
    const [layers, kvHeads, headDim, context] = [5, 4, 8, 512];
    const bytes = (layers * kvHeads * context * 2 * headDim * 4) / 2;
    const { scores, placements } = await searchReach({
      ...{ model, work: join(dir, 'stories'), context, windows: [16, 64, 128], sinks: 1, cache: 'f32' },
      ...{
        data: join(shared, 'text/tinystories-944k.txt'),
        recall: false,
        fromFull: true,
        budgets: [{ bytes }],
      },
    });
    const lost = Array.from({ length: layers }, (_, layer) =>
      scores.fromFull.filter((own) => own.layer === layer).reduce((sum, { kl }) => sum + kl!, 0),
    );
    expect(lost.indexOf(Math.max(...lost))).toBe(4);
    const [full, refined] = ['full', 'refined'].map((how) => placements.find((own) => own.how === how)!);
    expect(refined!.cost.bytes).toBeLessThanOrEqual(bytes);
    expect(refined!.quality.text!.loss - full!.quality.text!.loss).toBeLessThan(0.02);
  }, 120_000);
});

test.each<[Partial<SearchReachOptions>, string]>([
  [{ budgets: [] }, 'no budget'],
  [{ budgets: [{ name: 'x' }] }, 'expected one of heads, layers, bytes or milliseconds'],
  [{ budgets: [{ heads: -1 }] }, 'a budget of -1 heads'],
  [{ budgets: [{ milliseconds: 3 }] }, 'expected measured times for windows of 16'],
  [{ budgets: [{ bytes: 100 }] }, 'even windows of 16 in all layers take more'],
  [{ windows: [32, 16] }, 'windows of 32, 16 tokens: expected whole numbers above 0, ascending'],
  [{ sinks: 1.5 }, '1.5 sinks'],
  [{ seeds: [-1] }, 'seeds -1'],
  [{ context: 0 }, 'a context of 0 tokens'],
  [{ context: 20 }, 'recall over 20 tokens: expected more than 32'],
  [{ recall: false }, 'nothing to judge by'],
  [{ window: 16 } as Partial<SearchReachOptions>, "unknown option 'window'"],
])('%j is refused', async (wrong, message) => {
  await expect(searchReach({ ...options, ...wrong })).rejects.toThrow(message);
});
