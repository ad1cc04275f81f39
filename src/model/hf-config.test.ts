import { describe, expect, test } from 'vitest';
import { releasedJetBlock } from '../mixers/jet-block.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from './config.ts';
import { defaultGeneration, generationFromHf, generationToHf } from './generation-config.ts';
import { configFromHf, configToHf } from './hf-config.ts';
import { mixerToJson } from './mixer-json.ts';

const SIZES = {
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 4,
};
const read = (json: Record<string, unknown>) => configFromHf('x/config.json', { ...SIZES, ...json });
const llama = (json: Record<string, unknown> = {}) => read({ model_type: 'llama', ...json });
/** What is left after a file was written and read again. */
const again = (config: ModelConfig) =>
  configFromHf('y', JSON.parse(JSON.stringify(configToHf(config, 'float32'))));

describe('families', () => {
  test('llama with the defaults of transformers', () => {
    expect(llama()).toEqual({
      modelType: 'llama',
      vocabSize: 100,
      hiddenSize: 64,
      intermediateSize: 96,
      numHeads: 4,
      numKvHeads: 4,
      headDim: 16,
      rmsNormEps: 1e-6,
      ropeTheta: 10000,
      ropeScaling: null,
      qkvBias: false,
      oBias: false,
      mlpBias: false,
      qkNorm: false,
      tieWordEmbeddings: false,
      maxPositionEmbeddings: 2048,
      initializerRange: 0.02,
      bosTokenId: null,
      eosTokenIds: [],
      layers: [{ kind: 'attention' }, { kind: 'attention' }, { kind: 'attention' }],
    });
  });

  test('biases, norms and head_dim of each', () => {
    expect(llama({ attention_bias: true, mlp_bias: true, head_dim: 8 })).toMatchObject({
      qkvBias: true,
      oBias: true,
      mlpBias: true,
      headDim: 8,
    });
    expect(read({ model_type: 'qwen2', num_key_value_heads: 2, eos_token_id: [5, 6] })).toMatchObject({
      qkvBias: true,
      oBias: false,
      mlpBias: false,
      qkNorm: false,
      headDim: 16,
      numKvHeads: 2,
      eosTokenIds: [5, 6],
    });
    expect(read({ model_type: 'qwen3' })).toMatchObject({ qkvBias: false, qkNorm: true, headDim: 128 });
    expect(read({ model_type: 'qwen3', attention_bias: true })).toMatchObject({ qkvBias: true, oBias: true });
  });

  test('rope: llama3, linear, the rope_parameters of transformers 5, and what is not supported', () => {
    const llama3 = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const scaling = {
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 8192,
    };
    expect(llama({ rope_theta: 5e5, rope_scaling: { rope_type: 'llama3', ...llama3 } })).toMatchObject({
      ropeTheta: 5e5,
      ropeScaling: scaling,
    });
    expect(llama({ rope_parameters: { rope_type: 'llama3', rope_theta: 7, ...llama3 } })).toMatchObject({
      ropeTheta: 7,
      ropeScaling: scaling,
    });
    expect(llama({ rope_scaling: { type: 'linear', factor: 2 } }).ropeScaling).toEqual({
      type: 'linear',
      factor: 2,
    });
    expect(llama({ rope_parameters: { rope_type: 'default', rope_theta: 9 } })).toMatchObject({
      ropeTheta: 9,
      ropeScaling: null,
    });
    expect(() => llama({ rope_scaling: { rope_type: 'longrope', factor: 2 } })).toThrow(
      /rope_scaling: rope_type is "longrope", expected 'default', 'linear', 'llama3' or 'yarn'/,
    );
    expect(() => llama({ rope_scaling: { rope_type: 'llama3', factor: 2 } })).toThrow(
      /low_freq_factor is missing/,
    );
  });

  test("qwen's sliding windows: off, by max_window_layers, by layer_types", () => {
    const kinds = (json: Record<string, unknown>) =>
      read({ model_type: 'qwen2', sliding_window: 32, ...json }).layers.map((layer) =>
        layer.kind === 'sliding_window' ? layer.window : layer.kind,
      );
    const attention = 'attention';
    expect(kinds({ max_window_layers: 1 })).toEqual([attention, attention, attention]);
    expect(kinds({ use_sliding_window: true, max_window_layers: 1 })).toEqual([attention, 32, 32]);
    expect(kinds({ use_sliding_window: true })).toEqual([attention, attention, attention]);
    expect(kinds({ use_sliding_window: true, max_window_layers: 0, sliding_window: null })).toEqual([
      attention,
      attention,
      attention,
    ]);
    const types = ['sliding_attention', 'full_attention', 'sliding_attention'];
    expect(kinds({ use_sliding_window: true, layer_types: types })).toEqual([32, attention, 32]);
    expect(() => kinds({ use_sliding_window: true, layer_types: ['full_attention'] })).toThrow(/3 entries/);
    expect(() => kinds({ layer_types: types })).toThrow(
      /layer_types is .*expected 'full_attention' alone where use_sliding_window/,
    );
  });
});

describe('what is refused', () => {
  test.each<[Record<string, unknown>, RegExp]>([
    [
      { model_type: 'mamba' },
      /model_type 'mamba' is not supported; supported are llama, qwen2, qwen3, jet_nemotron, postnas/,
    ],
    [{ model_type: undefined }, /x\/config\.json: model_type is missing/],
    [{ hidden_size: '64' }, /hidden_size is "64", expected a whole number/],
    [{ hidden_size: undefined }, /hidden_size is missing/],
    [{ num_hidden_layers: 0 }, /num_hidden_layers is 0/],
    [{ num_key_value_heads: 3 }, /num_key_value_heads is 3, expected a divisor of num_attention_heads \(4\)/],
    [{ hidden_size: 66 }, /hidden_size is 66, expected a multiple/],
    [{ head_dim: 7 }, /head_dim is 7, expected an even number/],
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu", expected 'silu' \(model_type 'llama'/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0.5/],
    [{ quantization_config: { bits: 4 } }, /quantization_config/],
    [{ tie_word_embeddings: 'yes' }, /tie_word_embeddings is "yes", expected true or false/],
    [{ eos_token_id: [-1] }, /eos_token_id is \[-1\], expected a token id or a list/],
  ])('%o', (json, message) => {
    expect(() => llama(json)).toThrow(expect.objectContaining({ name: 'InputError' }));
    expect(() => llama(json)).toThrow(message);
  });
});

describe('round trips', () => {
  const base = llama({ rope_theta: 1234, eos_token_id: 2, bos_token_id: 1, num_key_value_heads: 2 });
  const hybrid: MixerSpec[] = [
    { kind: 'gla', heads: 4, keyDim: 16, valueDim: 32, gateRank: 16, rope: true },
    { kind: 'gated_deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 0, rope: false },
    { kind: 'sliding_window', window: 64 },
    { kind: 'sliding_window', window: 64, sinks: 4 },
    { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 16 },
    { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 16, qkNorm: true },
    { kind: 'gla', heads: 4, keyDim: 16, valueDim: 32, gateRank: 16, rope: true, qkNorm: true },
    { kind: 'deltanet', heads: 2, keyDim: 8, valueDim: 8, convSize: 4, rope: true },
    {
      ...releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 }),
      kConv: 'dynamic',
      generatorInput: 'projection',
      gate: 'sigmoid',
      rope: true,
    },
    { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 16, headsPerGroup: 2, convSize: 4 },
    {
      kind: 'rwkv7',
      heads: 2,
      keyDim: 8,
      valueDim: 16,
      decayRank: 4,
      rateRank: 3,
      gateRank: 5,
      valueRank: 0,
    },
    { kind: 'kda', heads: 2, keyDim: 8, valueDim: 16, gateRank: 4, convSize: 0 },
  ];

  describe('parents that are read as something known', () => {
    const kinds = ({ layers }: ModelConfig) =>
      layers.map((spec) => (spec.kind === 'sliding_window' ? spec.window : spec.kind));
    const attention = 'attention';

    test('Mistral: windows in all layers, 4,096 where nothing is said, none where null or as long as the context', () => {
      const mistral = (json: Record<string, unknown>) =>
        read({ model_type: 'mistral', num_key_value_heads: 2, ...json });
      expect(kinds(mistral({}))).toEqual([4096, 4096, 4096]);
      expect(kinds(mistral({ sliding_window: 32 }))).toEqual([32, 32, 32]);
      for (const sliding_window of [null, 32768]) {
        const config = mistral({ sliding_window, max_position_embeddings: 32768 });
        expect(kinds(config)).toEqual([attention, attention, attention]);
        expect(config.modelType).toBe('llama');
      }
    });

    test('SmolLM3: every fourth layer is not rotated, or those of a list', () => {
      const rotated = (json: Record<string, unknown>) =>
        read({ model_type: 'smollm3', num_hidden_layers: 5, ...json }).layers.map(
          (spec) => !('noRope' in spec && spec.noRope),
        );
      expect(rotated({})).toEqual([true, true, true, false, true]);
      expect(rotated({ no_rope_layer_interval: 2 })).toEqual([true, false, true, false, true]);
      expect(rotated({ no_rope_layers: [1, 1, 1, 1, 0] })).toEqual([true, true, true, true, false]);
      expect(() => rotated({ no_rope_layers: [1, 1] })).toThrow(
        /no_rope_layers is \[1,1\], expected 5 times 1/,
      );
    });

    test('what their decoders have goes into a postnas config.json and back', () => {
      const types = ['sliding_attention', 'sliding_attention', 'full_attention'];
      const gemma3 = {
        model_type: 'gemma3_text',
        num_key_value_heads: 2,
        layer_types: types,
        sliding_window: 8,
        rope_local_base_freq: 500,
      };
      const olmo2 = { model_type: 'olmo2', num_key_value_heads: 2 };
      const smollm3 = { model_type: 'smollm3', no_rope_layers: [1, 0, 1] };
      const qwen35 = { model_type: 'qwen3_5_text', num_key_value_heads: 2, num_hidden_layers: 4 };
      expect(read(qwen35)).toMatchObject({
        ...{ rotaryShare: 0.25, attentionGate: true, qkNorm: true, headDim: 256 },
        layers: [
          ...Array(3).fill({ kind: 'gated_deltanet', heads: 32, normEps: 1e-6 }),
          { kind: 'attention' },
        ],
      });
      for (const json of [
        qwen35,
        gemma3,
        olmo2,
        smollm3,
        { model_type: 'gemma', num_key_value_heads: 1, head_dim: 8 },
      ]) {
        const config = read(json);
        expect(config.modelType).toBe('postnas');
        expect(again(config)).toEqual(config);
      }
      expect(read(gemma3)).toMatchObject({
        ...{ activation: 'gelu_tanh', norms: 'around', qkNorm: true, ropeTheta: 1e6, localRopeTheta: 500 },
        layers: [
          { kind: 'sliding_window', window: 8, localRope: true },
          { kind: 'sliding_window', window: 8, localRope: true },
          { kind: 'attention' },
        ],
      });
      expect(read(olmo2)).toMatchObject({ norms: 'after', qkNorm: true, qkNormOfAll: true });
    });

    test('of a model of pictures and text the part that is about text', () => {
      const text_config = { ...SIZES, model_type: 'gemma3_text', num_key_value_heads: 2 };
      const config = configFromHf('x', { model_type: 'gemma3', tie_word_embeddings: false, text_config });
      expect(config).toEqual(
        read({ model_type: 'gemma3_text', num_key_value_heads: 2, tie_word_embeddings: false }),
      );
    });

    test.each([
      [{ model_type: 'gemma', hidden_act: 'relu' }, /hidden_act is "relu", expected 'gelu_pytorch_tanh'/],
      [
        { model_type: 'gemma3_text', final_logit_softcapping: 30 },
        /final_logit_softcapping is 30, expected none/,
      ],
      [
        { model_type: 'gemma3_text', use_bidirectional_attention: true },
        /use_bidirectional_attention is true/,
      ],
      [{ model_type: 'llama', partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0.5, expected 1/],
      [
        { model_type: 'phi3', partial_rotary_factor: 0.7 },
        /partial_rotary_factor is 0.7, .*even number of 16/,
      ],
      [{ model_type: 'qwen3_5_text', linear_num_key_heads: 3 }, /linear_num_value_heads.*multiple of.*\(3\)/],
      [{ model_type: 'phi3', rope_scaling: { type: 'longrope' } }, /type is "longrope", expected 'default'/],
      [{ model_type: 'mistral', hidden_act: 'gelu' }, /hidden_act is "gelu", expected 'silu'.*'mistral'/],
      [{ model_type: 'llama', embedding_multiplier: 2 }, /embedding_multiplier is 2, expected 1.*'llama'/],
      [{ model_type: 'gemma2' }, /model_type 'gemma2' is not supported; supported are llama,.*gemma3_text/],
    ])('refused by name: %j', (json, message) =>
      expect(() => read({ num_key_value_heads: 2, ...json })).toThrow(message),
    );
  });

  test("models that are their family's stay so", () => {
    const windowed = { use_sliding_window: true, sliding_window: 8, max_window_layers: 2 };
    const models = [
      base,
      llama({ attention_bias: true, mlp_bias: true, rope_scaling: { type: 'linear', factor: 4 } }),
      read({ model_type: 'qwen2', tie_word_embeddings: true, eos_token_id: [1, 2], ...windowed }),
      read({ model_type: 'qwen3', attention_bias: true }),
    ];
    for (const model of models) {
      expect(configToHf(model, 'bfloat16').model_type).toBe(model.modelType);
      expect(again(model)).toEqual(model);
    }
    expect(configToHf(base, 'bfloat16')).toMatchObject({
      torch_dtype: 'bfloat16',
      architectures: ['LlamaForCausalLM'],
      eos_token_id: 2,
    });
  });

  test('hybrids become postnas, with snake_case mixers', () => {
    const model = { ...base, layers: hybrid };
    const json = configToHf(model, 'float32');
    expect(json.model_type).toBe('postnas');
    expect((json.layers as unknown[])[0]).toEqual({
      kind: 'gla',
      heads: 4,
      key_dim: 16,
      value_dim: 32,
      gate_rank: 16,
      rope: true,
    });
    expect(again(model)).toEqual({ ...model, modelType: 'postnas' });
  });

  test('what a family cannot express becomes postnas rather than something else', () => {
    const window: MixerSpec = { kind: 'sliding_window', window: 8 };
    const full: MixerSpec = { kind: 'attention' };
    const qwen = read({ model_type: 'qwen2' });
    for (const model of [
      { ...base, qkvBias: true },
      { ...qwen, layers: [window, full, window] },
      { ...qwen, layers: [full, { ...window, sinks: 4 }, { ...window, sinks: 4 }] },
      { ...qwen, layers: [full, window, { ...window, sinks: 4 }] },
      { ...qwen, headDim: 32 },
      { ...base, qkNorm: true },
    ]) {
      expect(configToHf(model, 'float32').model_type).toBe('postnas');
      expect(again(model)).toEqual({ ...model, modelType: 'postnas' });
    }
  });

  test('mixers with mistakes are named', () => {
    const broken = (layer: unknown) => read({ model_type: 'postnas', num_hidden_layers: 1, layers: [layer] });
    expect(() => broken({ kind: 'hyena' })).toThrow(
      /layers\[0\]: kind is "hyena", expected one of attention/,
    );
    expect(() => broken({ kind: 'sliding_window' })).toThrow(/layers\[0\]: window is missing/);
    expect(() => broken({ kind: 'sliding_window', window: 8, sinks: -1 })).toThrow(
      /sinks is -1.* at least 0/,
    );
    expect(
      read({
        model_type: 'postnas',
        num_hidden_layers: 1,
        layers: [{ kind: 'sliding_window', window: 8, sinks: 0 }],
      }).layers,
    ).toEqual([{ kind: 'sliding_window', window: 8 }]);
    expect(() => broken({ kind: 'attention', window: 3 })).toThrow(/window is no field of a attention mixer/);
    const mamba2 = { kind: 'mamba2', heads: 4, key_dim: 8, value_dim: 8, conv_size: 4 };
    expect(() => broken({ ...mamba2, heads_per_group: 3 })).toThrow(
      /heads_per_group is 3, expected a divisor of heads.* 4/,
    );
    expect(() => broken({ ...mamba2, heads_per_group: 2, conv_size: 0 })).toThrow(
      /conv_size is 0.* at least 1/,
    );
    expect(() => broken('gla')).toThrow(/layers\[0\] is "gla", expected a mixer/);
    const jet = { ...mixerToJson(releasedJetBlock({ heads: 2, keyDim: 8, valueDim: 16 })) };
    expect(() => broken({ ...jet, gate: 'tanh' })).toThrow(/gate is "tanh", expected one of silu, sigmoid/);
    expect(() => broken({ ...jet, conv_size: 0 })).toThrow(
      /conv_size is 0, expected a whole number of at least 1/,
    );
    const both = { kind: 'window_linear', window: 8, sinks: 0, linear: { ...jet } };
    const { sinks: _, ...same } = both;
    const { layers } = read({ model_type: 'postnas', num_hidden_layers: 1, layers: [both] });
    expect(layers.map(mixerToJson)).toEqual([same]);
    for (const linear of [
      undefined,
      null,
      'gla',
      { kind: 'attention' },
      { kind: 'sliding_window', window: 3 },
      both,
    ]) {
      expect(() => broken({ ...both, linear })).toThrow(
        /layers\[0\]: linear is .* expected a linear mixer, such/,
      );
    }
    expect(() => broken({ ...both, linear: { ...jet, conv_size: 0 } })).toThrow(
      /layers\[0\]: linear: conv_size is 0/,
    );
    expect(() => broken({ ...both, linear: { ...jet, size: 3 } })).toThrow(
      /layers\[0\]: linear: size is no field of a jet_block mixer/,
    );
    expect(() => read({ model_type: 'postnas', layers: [] })).toThrow(/layers has 0 entries/);
  });
});

test('generation_config.json', () => {
  const config = llama({ bos_token_id: 1, eos_token_id: [2, 3] });
  expect(defaultGeneration(config)).toEqual({ bosTokenId: 1, eosTokenIds: [2, 3] });
  const json = { eos_token_id: 7, do_sample: true, temperature: 0.6, top_k: 20, top_p: 0.95, top: null };
  const generation = generationFromHf('g', json, config);
  expect(generation).toEqual({
    bosTokenId: 1,
    eosTokenIds: [7],
    doSample: true,
    temperature: 0.6,
    topK: 20,
    topP: 0.95,
  });
  expect(generationFromHf('g', generationToHf(generation), config)).toEqual(generation);
  expect(() => generationFromHf('g.json', { temperature: 'hot' }, config)).toThrow(
    /g\.json: temperature is "hot"/,
  );
});
