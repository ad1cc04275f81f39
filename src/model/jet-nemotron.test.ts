import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FullSequence } from '../../test/golden/full-sequence.ts';
import { releasedConfig } from '../../test/support/jet-nemotron.ts';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { releasedJetBlock } from '../mixers/jet-block.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { ModelConfig } from './config.ts';
import { configFromHf, configToHf } from './hf-config.ts';
import { asJetNemotron, jetLayersFromHf, jetLayersToHf } from './jet-nemotron.ts';
import { Fields } from './json-fields.ts';
import { modelParameters } from './parameters.ts';
import { summarise } from './summary.ts';

const read = (json: Record<string, unknown>) => configFromHf('x/config.json', json);

/** What the spec says of the released models. */
const RELEASED = [
  {
    size: '2B',
    parameters: 1_964_806_208,
    parent: 1_543_714_304,
    H: 1536,
    I: 8960,
    heads: 12,
    attentionMixer: 5_507_072,
    jetMixer: 23_052_568,
    mlp: 41_287_680,
    embedding: 233_373_696,
    architecture: 'JJJJJJJJJJJJJJAJJJJAWWJJJJJJ',
    jet: { heads: 12, keyDim: 96, valueDim: 256, G: 384 },
    window: 1152,
    bytes: (T: number) => 2048 * T + 2048 * Math.min(T, 1152) + 28_311_552 + 589_824,
    parentBytes: 28_672,
    mebibytes: { 1024: 31.6, 4096: 37.8, 65536: 157.8, 262144: 541.8 },
  },
  {
    size: '4B',
    parameters: 3_960_424_768,
    parent: 3_085_938_688,
    H: 2048,
    I: 11_008,
    heads: 16,
    attentionMixer: 9_439_744,
    jetMixer: 43_073_824,
    mlp: 67_633_152,
    embedding: 311_164_928,
    architecture: 'JJJJJWJJJJJJJJJJWAJWAWWJJWJWJJJJAJJJ',
    jet: { heads: 16, keyDim: 128, valueDim: 256, G: 512 },
    window: 2048,
    bytes: (T: number) => 3072 * T + 7168 * Math.min(T, 2048) + 54_525_952 + 851_968,
    parentBytes: 36_864,
    mebibytes: { 1024: 62.8, 4096: 78.8, 65536: 258.8, 262144: 834.8 },
  },
] as const;

describe.each(RELEASED)('the released $size', (released) => {
  const json = releasedConfig(released.size);
  const config = read(json);

  test('is read', () => {
    const { heads, keyDim, valueDim } = released.jet;
    expect(config).toMatchObject({
      modelType: 'jet_nemotron',
      vocabSize: 151_936,
      numKvHeads: 2,
      headDim: 128,
      ropeTheta: 1e6,
      ropeScaling: null,
      qkvBias: true,
      oBias: false,
      mlpBias: false,
      qkNorm: false,
      tieWordEmbeddings: true,
      maxPositionEmbeddings: released.size === '2B' ? 131_072 : 32_768,
      bosTokenId: 151_643,
      eosTokenIds: [151_643],
    });
    expect(config.layers[0]).toEqual({
      kind: 'jet_block',
      heads,
      keyDim,
      valueDim,
      qConv: 'none',
      kConv: 'none',
      vConv: 'dynamic',
      convSize: 4,
      generatorReduction: 8,
      generatorInput: 'hidden',
      gate: 'silu',
    });
    expect(config.layers.find((layer) => layer.kind === 'sliding_window')).toEqual({
      kind: 'sliding_window',
      window: released.window,
    });
  });

  test('has the parameters that were counted', () => {
    const { architecture, parameters, embeddingParameters, layers, parent } = summarise(config, 1, 2);
    expect(architecture).toBe(released.architecture);
    expect(parameters).toBe(released.parameters);
    expect(embeddingParameters).toBe(released.embedding);
    expect(parent.parameters).toBe(released.parent);
    for (const layer of layers) {
      const mixer = layer.mixer.kind === 'jet_block' ? released.jetMixer : released.attentionMixer;
      expect(layer.mixerParameters).toBe(mixer);
      expect(layer.parameters).toBe(mixer + released.mlp + 2 * released.H);
    }
  });

  test('has the tensors of the reference', () => {
    const { H, I, heads, jet } = released;
    const D = jet.heads * jet.valueDim;
    const attention = {
      'q_proj.weight': [heads * 128, H],
      'q_proj.bias': [heads * 128],
      'k_proj.weight': [256, H],
      'k_proj.bias': [256],
      'v_proj.weight': [256, H],
      'v_proj.bias': [256],
      'o_proj.weight': [H, heads * 128],
    };
    const jetBlock = {
      'q_proj.weight': [jet.heads * jet.keyDim, H],
      'k_proj.weight': [jet.heads * jet.keyDim, H],
      'v_proj.weight': [D, H],
      'b_proj.weight': [jet.heads, H],
      'a_proj.weight': [jet.heads, H],
      A_log: [jet.heads],
      dt_bias: [jet.heads],
      'dynamic_conv1d.kernel_generator.w1.weight': [jet.G, H],
      'dynamic_conv1d.kernel_generator.w2.weight': [D * 4, jet.G],
      'dynamic_conv1d.kernel_generator.w2.bias': [D * 4],
      'g_proj.weight': [D, H],
      'o_norm.weight': [256],
      'o_proj.weight': [H, D],
    };
    const expected: Record<string, number[]> = {
      'model.embed_tokens.weight': [151_936, H],
      'model.norm.weight': [H],
    };
    for (const [i, type] of (json.layer_types as string[]).entries()) {
      const layer = {
        'input_layernorm.weight': [H],
        'post_attention_layernorm.weight': [H],
        'mlp.gate_proj.weight': [I, H],
        'mlp.up_proj.weight': [I, H],
        'mlp.down_proj.weight': [H, I],
      };
      for (const [name, shape] of Object.entries(layer)) expected[`model.layers.${i}.${name}`] = shape;
      for (const [name, shape] of Object.entries(type === 'jet' ? jetBlock : attention)) {
        expected[`model.layers.${i}.self_attn.${name}`] = shape;
      }
    }
    expect(Object.fromEntries(modelParameters(config).map(({ name, shape }) => [name, shape]))).toEqual(
      expected,
    );
  });

  test.each([1, 1000, 1024, 1152, 2048, 4096, 65_536, 262_144])('state at %i tokens', (T) => {
    const { stateBytes, parent } = summarise(config, T, 2);
    expect(stateBytes).toBe(released.bytes(T));
    expect(parent.stateBytes).toBe(released.parentBytes * T);
    const figure = (released.mebibytes as Record<number, number>)[T];
    if (figure !== undefined) expect(Number((stateBytes / 2 ** 20).toFixed(1))).toBe(figure);
  });

  test('is written as it was', () => {
    const written = configToHf(config, 'bfloat16');
    const { efficient_attention_config: efficient } = json as { efficient_attention_config: { jet: object } };
    const names = ['architectures', 'model_type', 'layer_types', 'rope_theta', 'num_hidden_layers'];
    for (const name of names) expect(written[name]).toEqual(json[name]);
    expect(written.efficient_attention_config).toEqual({
      ...efficient,
      jet: { ...efficient.jet, norm_eps: 1e-5 },
    });
    expect(read(JSON.parse(JSON.stringify(written)))).toEqual(config);
  });
});

const TINY = {
  model_type: 'jet_nemotron',
  vocab_size: 64,
  hidden_size: 24,
  intermediate_size: 32,
  num_hidden_layers: 3,
  num_attention_heads: 4,
};
const withTypes = (types: unknown, efficient: unknown = { jet: {}, swa: { window_size: 9 } }) =>
  read({ ...TINY, layer_types: types, efficient_attention_config: efficient });

describe('fields that vary', () => {
  test('defaults of the reference', () => {
    expect(read(TINY)).toMatchObject({
      numKvHeads: 2,
      maxPositionEmbeddings: 32_768,
      ropeTheta: 1e6,
      rmsNormEps: 1e-6,
      tieWordEmbeddings: true,
      layers: [{ kind: 'attention' }, { kind: 'attention' }, { kind: 'attention' }],
    });
    expect(read({ ...TINY, layer_types: null, num_key_value_heads: null }).numKvHeads).toBe(4);
    expect(withTypes(['jet', 'swa', 'jet']).layers).toEqual([
      releasedJetBlock({ heads: 6, keyDim: 256, valueDim: 512 }),
      { kind: 'sliding_window', window: 9 },
      releasedJetBlock({ heads: 6, keyDim: 256, valueDim: 512 }),
    ]);
  });

  test('layer_types as a string, norm_eps as either', () => {
    const { layers } = withTypes('["attn", "jet", "swa"]', {
      jet: { num_heads: 2, head_dim: 9, expand_v: 2.6666666667, conv_size: 3, norm_eps: 1e-5 },
      swa: { window_size: 9 },
    });
    expect(layers[1]).toEqual({ ...releasedJetBlock({ heads: 2, keyDim: 9, valueDim: 24 }), convSize: 3 });
    const asString = withTypes(['jet', 'jet', 'jet'], { jet: { norm_eps: '0.00001' } });
    expect(asString.layers).toEqual(withTypes(['jet', 'jet', 'jet'], { jet: {} }).layers);
  });

  test('sizes of values survive that the factor cannot give exactly', () => {
    const changed: number[][] = [];
    let inexact = 0;
    for (let keyDim = 1; keyDim <= 128; keyDim++) {
      for (let valueDim = 1; valueDim <= 96; valueDim++) {
        const layers = [{ ...releasedJetBlock({ heads: 12, keyDim, valueDim }), generatorReduction: 1 }];
        const [back] = jetLayersFromHf(new Fields('c', jetLayersToHf(layers)), 1);
        if (!isDeepStrictEqual(back, layers[0])) changed.push([keyDim, valueDim]);
        if (Math.trunc(12 * keyDim * (valueDim / keyDim)) !== 12 * valueDim) inexact++;
      }
    }
    expect(changed).toEqual([]);
    expect(inexact).toBeGreaterThan(0);
  });
});

describe('what is refused', () => {
  const jets = ['jet', 'jet', 'jet'];
  test.each<[unknown, unknown, string]>([
    [['attn', 'jet'], {}, 'layer_types has 2 entries, num_hidden_layers is 3'],
    [['attn', 'gla', 'jet'], {}, 'layer_types[1] is "gla", expected one of attn, swa, jet'],
    [['attn', 'toString', 'jet'], {}, 'layer_types[1] is "toString", expected one of attn, swa, jet'],
    [
      "['attn'] * 3",
      {},
      `layer_types is "['attn'] * 3", expected a list, or a string that holds one in JSON`,
    ],
    ['{"0": "attn"}', {}, 'layer_types is "{\\"0\\": \\"attn\\"}", expected a list'],
    [jets, null, "efficient_attention_config is missing, expected the settings of layers of type 'jet'"],
    [
      ['attn', 'swa', 'jet'],
      { jet: {} },
      "efficient_attention_config: swa is missing, expected the settings of layers of type 'swa'",
    ],
    [jets, { jet: 'auto' }, 'efficient_attention_config: jet is "auto", expected an object'],
    [
      ['swa', 'swa', 'swa'],
      { swa: { window_size: '1152' } },
      'efficient_attention_config: swa: window_size is "1152", expected a whole number of at least 1',
    ],
    [
      jets,
      { jet: { head_dim: 96.5 } },
      'efficient_attention_config: jet: head_dim is 96.5, expected a whole number of at least 1',
    ],
    [
      jets,
      { jet: { num_heads: 12, head_dim: 96, expand_v: 2.6666 } },
      'efficient_attention_config: jet: expand_v is 2.6666, expected a factor that makes a whole number, or slightly ' +
        'more, of head_dim (96) and of all heads (1152)',
    ],
    [
      jets,
      { jet: { norm_eps: '1e-6' } },
      'efficient_attention_config: jet: norm_eps is "1e-6", expected 1e-5',
    ],
    [
      jets,
      { jet: { norm_eps: [1e-5] } },
      'efficient_attention_config: jet: norm_eps is [0.00001], expected 1e-5',
    ],
    [
      jets,
      { jet: { num_heads: 1, head_dim: 8, expand_v: 1, dconv_generator_reduction: 9 } },
      'efficient_attention_config: jet: dconv_generator_reduction is 9, expected at most the width of the values (8)',
    ],
    [
      jets,
      { jet: { rope: true } },
      'efficient_attention_config: jet: rope is no field of a JetBlock (mode, num_heads, head_dim, expand_v, ' +
        'conv_size, dconv_generator_reduction, dconv_implementation, norm_eps)',
    ],
  ])('layers %j with %j', (types, efficient, message) => {
    expect(() => withTypes(types, efficient)).toThrow(
      expect.objectContaining({ name: 'InputError', message: `x/config.json: ${message}` }),
    );
  });
});

describe('a folder whose tensors are not those of its configuration', () => {
  const golden = join(import.meta.dirname, '../../test/golden/models/jet_nemotron');
  const json = JSON.parse(readFileSync(join(golden, 'config.json'), 'utf8'));
  const { jet, swa } = json.efficient_attention_config;

  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'postnas-jet-'));
    copyFileSync(join(golden, 'model.safetensors'), join(dir, 'model.safetensors'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test.each<[Record<string, unknown>, string]>([
    [
      { efficient_attention_config: { jet: { ...jet, expand_v: 2 }, swa } },
      "tensor 'model.layers.0.self_attn.v_proj.weight' has shape [48,24], the configuration asks for [36,24]",
    ],
    [
      { layer_types: ['attn', 'swa', 'jet', 'attn'] },
      "tensor 'model.layers.0.self_attn.q_proj.weight' has shape [18,24], the configuration asks for [24,24]",
    ],
    [
      { layer_types: ['jet', 'swa', 'jet', 'jet'] },
      "tensor 'model.layers.3.self_attn.q_proj.weight' has shape [24,24], the configuration asks for [18,24]",
    ],
    [
      { num_hidden_layers: 5, layer_types: [...json.layer_types, 'jet'] },
      "tensor 'model.layers.4.input_layernorm.weight' of shape [24] is missing",
    ],
    [
      { num_hidden_layers: 3, layer_types: json.layer_types.slice(0, 3) },
      "tensor 'model.layers.3.input_layernorm.weight' has no place in the configured model, nor have 11 others",
    ],
    [{ tie_word_embeddings: false }, "tensor 'lm_head.weight' of shape [64,24] is missing"],
  ])('%j', (change, message) => {
    writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...json, ...change }));
    expect(() => openCheckpoint(dir)).toThrow(
      expect.objectContaining({ name: 'InputError', message: `${dir}: ${message}` }),
    );
  });
});

describe('a hybrid of ours over a Qwen2-like parent', () => {
  const jet = releasedJetBlock({ heads: 2, keyDim: 9, valueDim: 24 });
  const layers: MixerSpec[] = [jet, { kind: 'sliding_window', window: 5 }, jet, { kind: 'attention' }];
  const hybrid = tinyConfig(layers, { qkvBias: true, tieWordEmbeddings: true, ropeTheta: 1e6 });

  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'postnas-jet-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test('is saved as jet_nemotron and loaded with the same logits', async () => {
    const weights = randomWeights(hybrid, 5);
    await saveCheckpoint(dir, asJetNemotron(hybrid), weights, { dtype: 'F32' });
    const json = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'));
    expect(json).toMatchObject({
      model_type: 'jet_nemotron',
      layer_types: ['jet', 'swa', 'jet', 'attn'],
      efficient_attention_config: {
        jet: { num_heads: 2, head_dim: 9, expand_v: 2.6666666667, dconv_implementation: 'triton' },
        swa: { window_size: 5 },
      },
    });
    const opened = openCheckpoint(dir);
    expect(opened.config).toEqual({ ...hybrid, modelType: 'jet_nemotron' });
    const ids = Array.from({ length: 12 }, (_, i) => (7 * i + 3) % 64);
    const [before, after] = [
      new FullSequence(hybrid, weights),
      new FullSequence(opened.config, opened.weights),
    ];
    expect(await after.logits(ids)).toEqual(await before.logits(ids));
    await before.dispose();
    await after.dispose();
  });

  test.each<[string, Partial<ModelConfig>, string]>([
    ['no biases', { qkvBias: false }, 'the family has biases on q_proj, k_proj and v_proj, and no others'],
    [
      'biases in the MLP',
      { mlpBias: true },
      'the family has biases on q_proj, k_proj and v_proj, and no others',
    ],
    ['norms', { qkNorm: true }, 'the family does not normalise the queries and keys of attention'],
    [
      'another mixer',
      { layers: layers.with(2, { kind: 'gla', heads: 2, keyDim: 8, valueDim: 8, gateRank: 4, rope: true }) },
      'layer 2 is gla, the family has attention, sliding_window, jet_block',
    ],
    [
      'windows of two sizes',
      { layers: layers.with(3, { kind: 'sliding_window', window: 6 }) },
      'layer 1 is {"kind":"sliding_window","window":5}, the family would have to make it {"kind":"sliding_window","window":6}',
    ],
  ])('is refused with %s', (_, change, why) => {
    const other = { ...hybrid, ...change };
    expect(() => asJetNemotron(other)).toThrow(
      expect.objectContaining({
        name: 'InputError',
        message: `the model cannot be saved as jet_nemotron: ${why}`,
      }),
    );
    // A loaded jet_nemotron that was changed so is saved as a model of ours.
    const changed: ModelConfig = { ...other, modelType: 'jet_nemotron' };
    expect(configToHf(changed, 'float32').model_type).toBe('postnas');
    expect(read(JSON.parse(JSON.stringify(configToHf(changed, 'float32'))))).toEqual({
      ...changed,
      modelType: 'postnas',
    });
  });

  test.each<[string, Partial<typeof jet>]>([
    ['another gate', { gate: 'sigmoid' }],
    ['another convolution', { qConv: 'static' }],
    ['no convolution', { vConv: 'none' }],
    ['filters from the values', { generatorInput: 'projection' }],
    ['other heads than the other JetBlocks', { heads: 3 }],
  ])('is refused with %s in a JetBlock', (_, change) => {
    const other = { ...hybrid, layers: layers.with(2, { ...jet, ...change }) };
    expect(() => asJetNemotron(other)).toThrow(/^the model cannot be saved as jet_nemotron: layer [02] is /);
  });
});
