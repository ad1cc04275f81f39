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
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FullSequence, relativeError } from '../../../test/golden/full-sequence.ts';
import { EVERY_MIXER } from '../../../test/support/every-mixer.ts';
import { ExportedModel } from '../../../test/support/exported-model.ts';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { tinyTokenizerFiles } from '../../../test/support/tiny-tokenizer.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import { Engine } from '../../runtime/engine.ts';
import { Random } from '../../util/random.ts';
import { recordDecoder } from './decoder.ts';
import { exportOnnx, ONNX_DTYPES } from './export-onnx.ts';
import { weightFiles } from './weight-file.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-export-onnx-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const generation = { bosTokenId: 1, eosTokenIds: [2] };
const random = new Random(3);
const drawn = (count: number) => Array.from({ length: count }, () => random.below(64));
const attention: MixerSpec = { kind: 'attention' };
const SINKS: MixerSpec = { kind: 'sliding_window', window: 5, sinks: 3 };

let count = 0;
async function exported(config: ModelConfig, options: Partial<Parameters<typeof exportOnnx>[2]> = {}) {
  const weights = randomWeights(config);
  const folder = join(dir, `model-${count++}`);
  const files = await exportOnnx(folder, { config, weights, generation }, { dtypes: ['f32'], ...options });
  return { folder, files, weights };
}

const PARENTS: Record<string, Partial<ModelConfig>> = {
  'biases, tied embeddings': { qkvBias: true, tieWordEmbeddings: true },
  'norms of queries and keys': { qkNorm: true },
  'scaled rotation': {
    ropeScaling: {
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 64,
    },
  },
  YaRN: {
    ropeScaling: {
      type: 'yarn',
      factor: 8,
      originalMaxPositionEmbeddings: 64,
      betaFast: 32,
      betaSlow: 1,
      truncate: true,
      attentionFactor: 1.2,
    },
  },
};

describe.each([
  ...Object.entries(EVERY_MIXER).map(([kind, spec]) => [kind, [spec, attention, spec], {}] as const),
  ...Object.entries(PARENTS).map(
    ([what, more]) => [`attention, ${what}`, [attention, attention], more] as const,
  ),
  ['linear mixers alone', [EVERY_MIXER.retnet, EVERY_MIXER.kda], {}] as const,
  [
    'values of the first RWKV7',
    [EVERY_MIXER.rwkv7, attention, { ...EVERY_MIXER.rwkv7, valueRank: 4 }],
    {},
  ] as const,
  [
    'norms of queries and keys in linear mixers',
    [{ ...EVERY_MIXER.gla, qkNorm: true }, attention, { ...EVERY_MIXER.mamba2, qkNorm: true }],
    {},
  ] as const,
  ['windows with sinks', [SINKS, attention, { ...SINKS, window: 9 }, EVERY_MIXER.gla], {}] as const,
  ['windows with sinks alone', [SINKS, SINKS], {}] as const,
  [
    'attention by heads alone, and others',
    [EVERY_MIXER.head_attention, SINKS, { ...EVERY_MIXER.head_attention, fullHeads: [0, 2], sinks: 0 }],
    { numKvHeads: 4 },
  ] as const,
  [
    'windows beside linear mixers, with and without sinks, with a state of one part and of several',
    [
      { ...EVERY_MIXER.window_linear, linear: EVERY_MIXER.gla },
      SINKS,
      { ...EVERY_MIXER.window_linear, window: 9, sinks: 0, linear: EVERY_MIXER.rwkv7 },
      EVERY_MIXER.head_attention,
    ],
    {},
  ] as const,
  ['windows alone', [EVERY_MIXER.sliding_window, EVERY_MIXER.sliding_window], {}] as const,
])('%s', (_, layers, more) => {
  const config = tinyConfig([...layers] as MixerSpec[], more);
  const sequences = [drawn(300), drawn(290)];
  let expected: Float32Array[][];
  let model: ExportedModel;
  beforeAll(async () => {
    const { folder, weights } = await exported(config);
    const full = new FullSequence(config, weights);
    expected = [await full.logits(sequences[0]!), await full.logits(sequences[1]!)];
    await full.dispose();
    model = await ExportedModel.open(folder);
  });
  afterAll(() => model?.dispose());

  test('a prompt, pieces and steps give the logits of the whole sequence', async () => {
    const [ids] = sequences as [number[]];
    for (const cuts of [[300], [1, 1, 1, 1, 1, 1, 1, 1], [9, 1, 1, 200, 1]]) {
      model.start(1);
      let at = 0;
      for (const length of cuts) {
        const [logits] = await model.read([ids.slice(at, at + length)]);
        at += length;
        expect(logits).toHaveLength(1);
        expect(relativeError(logits![0]!, expected[0]![at - 1]!), `${cuts} at ${at}`).toBeLessThan(2e-5);
      }
    }
  });

  test('two sequences, the shorter padded on the left; all logits', async () => {
    const [long, short] = sequences as [number[], number[]];
    model.start(2);
    const padding = new Array<null>(10).fill(null);
    const prompt = await model.read([long.slice(0, 20), [...padding, ...short.slice(0, 10)]], 0);
    for (let t = 0; t < 20; t++) {
      expect(relativeError(prompt[0]![t]!, expected[0]![t]!)).toBeLessThan(2e-5);
      if (t >= 10) expect(relativeError(prompt[1]![t]!, expected[1]![t - 10]!)).toBeLessThan(2e-5);
    }
    for (let t = 20; t < 25; t++) {
      const [a, b] = await model.read([[long[t]!], [short[t - 10]!]]);
      expect(relativeError(a![0]!, expected[0]![t]!)).toBeLessThan(2e-5);
      expect(relativeError(b![0]!, expected[1]![t - 10]!)).toBeLessThan(2e-5);
    }
  });

  test('only caches of full attention grow, and config.json says which layers have one', () => {
    const types = model.config.layer_types as string[] | undefined;
    for (const [name, shape] of Object.entries(model.stateShapes)) {
      const layer = Number(/\.(\d+)/.exec(name)![1]);
      const grown = name.startsWith('past_key_values.');
      expect(shape.includes(25), name).toBe(grown);
      if (types) expect(types[layer], name).toBe(grown ? 'full_attention' : 'linear_attention');
    }
    expect(Object.keys(model.stateShapes).some((name) => name.startsWith('past_key_values.'))).toBe(true);
    expect(model.config.model_type).toBe(
      layers.every(({ kind }) => kind === 'attention') ? 'llama' : 'qwen3_next',
    );
  });
});

describe('types of weights', () => {
  const { gated_deltanet, jet_block } = EVERY_MIXER;
  const config = tinyConfig([attention, gated_deltanet, jet_block], {
    hiddenSize: 64,
    intermediateSize: 96,
    tieWordEmbeddings: true,
  });
  const ids = drawn(40);
  let made: Awaited<ReturnType<typeof exported>>;
  beforeAll(async () => {
    made = await exported(config, { dtypes: ONNX_DTYPES });
  });

  test.each([
    ['q8', 'model_quantized.onnx'],
    ['q4', 'model_q4.onnx'],
  ] as const)('%s: the logits of the engine', async (dtype, file) => {
    const engine = await Engine.create(config, made.weights, { threads: 1, dtype });
    const model = await ExportedModel.open(made.folder, file);
    model.start(1);
    const sequence = engine.start();
    let at = 0;
    for (const length of [30, 1, 1, 1]) {
      // One by one: prompts may be read by products that round otherwise.
      let expected: Float32Array | undefined;
      for (const id of ids.slice(at, at + length)) expected = await engine.append(sequence, [id]);
      const [logits] = await model.read([ids.slice(at, at + length)]);
      at += length;
      expect(relativeError(logits![0]!, expected!)).toBeLessThan(5e-3);
    }
    await model.dispose();
    await engine.dispose();
  });

  test('f16: half of the bytes, nearly the logits', async () => {
    const size = (name: string) => readFileSync(join(made.folder, 'onnx', name)).length;
    expect(size('model_fp16.onnx_data') / size('model.onnx_data')).toBeLessThan(0.6);
    const [half, full] = [
      await ExportedModel.open(made.folder, 'model_fp16.onnx'),
      await ExportedModel.open(made.folder),
    ];
    for (const model of [half, full]) model.start(1);
    const [a, b] = [await half.read([ids]), await full.read([ids])];
    expect(relativeError(a[0]![0]!, b[0]![0]!)).toBeLessThan(5e-3);
    expect(a[0]![0]).not.toEqual(b[0]![0]);
    await half.dispose();
    await full.dispose();
  });

  test('config.json names every model and the type to take', () => {
    const config = JSON.parse(readFileSync(join(made.folder, 'config.json'), 'utf8'));
    expect(config['transformers.js_config']).toEqual({
      dtype: 'fp32',
      use_external_data_format: {
        'model.onnx': 1,
        'model_fp16.onnx': 1,
        'model_quantized.onnx': 1,
        'model_q4.onnx': 1,
      },
    });
    expect(made.files).toContain('onnx/model_q4.onnx_data');
  });

  test('a weight beyond half precision is refused, and nothing is left', async () => {
    const weights = randomWeights(config);
    weights.read('model.embed_tokens.weight')[5] = 70_000;
    const folder = join(dir, 'beyond');
    const exporting = exportOnnx(folder, { config, weights, generation }, { dtypes: ['f16'] });
    await expect(exporting).rejects.toThrow(/'model.embed_tokens.weight' holds 70000 at index 5/);
    expect(readdirSync(folder)).toEqual([]);
  });
});

test('weights that are too many for one file go into several', async () => {
  const config = tinyConfig([attention]);
  const weights = randomWeights(config);
  const { outputs, weights: inputs } = recordDecoder(config);
  const plan = weightFiles(Object.values(outputs), inputs, weights, 'f32', 'm', 20_000);
  expect(plan.files.map(({ name }) => name)).toEqual(['m', 'm_1', 'm_2', 'm_3']);
  for (const { parts, name } of plan.files) {
    const bytes = Buffer.concat([...parts()]);
    expect(bytes.length).toBeLessThanOrEqual(20_000);
    for (const [x, { location, offset, bytes: length }] of plan.weights) {
      if (location !== name) continue;
      const own = weights.read(x.node.attributes.name as string);
      expect(bytes.subarray(offset, offset! + length).equals(Buffer.from(own.buffer)), `${x}`).toBe(true);
    }
  }
});

describe('the folder', () => {
  const config = tinyConfig([attention, EVERY_MIXER.gla]);

  test('has the tokenizer, with its chat template where transformers.js looks for it', async () => {
    const from = join(dir, 'tokenizer');
    mkdirSync(from);
    for (const [name, text] of Object.entries(tinyTokenizerFiles)) writeFileSync(join(from, name), text);
    const { folder, files } = await exported(config, { tokenizerFrom: from });
    expect(files).toEqual(expect.arrayContaining(['tokenizer.json', 'tokenizer_config.json', 'config.json']));
    expect(JSON.parse(readFileSync(join(folder, 'tokenizer_config.json'), 'utf8'))).toEqual({
      bos_token: '<s>',
      eos_token: '</s>',
      padding_side: 'left',
      chat_template: tinyTokenizerFiles['chat_template.jinja'],
    });
  });

  test('that has something in it is left as it is without --overwrite', async () => {
    const { folder, weights } = await exported(config);
    const again = (overwrite: boolean) =>
      exportOnnx(folder, { config, weights, generation }, { dtypes: ['q8'], overwrite });
    await expect(again(false)).rejects.toThrow(/has .* in it: choose another folder, or --overwrite/);
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    await again(true);
    expect(existsSync(join(folder, 'onnx/model.onnx'))).toBe(false);
    expect(readdirSync(folder).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'notes.txt',
      'onnx',
    ]);
  });

  test('is as it was when the export is stopped', async () => {
    const { folder, weights } = await exported(config);
    const before = readFileSync(join(folder, 'config.json'), 'utf8');
    const signal = AbortSignal.abort();
    const exporting = exportOnnx(
      folder,
      { config: { ...config, tieWordEmbeddings: true }, weights, generation },
      { dtypes: ['f32'], overwrite: true, signal },
    );
    await expect(exporting).rejects.toThrow();
    expect(readFileSync(join(folder, 'config.json'), 'utf8')).toBe(before);
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'generation_config.json', 'onnx']);
  });
});
