/** The mixer of docs/guides/mixer.md: it is a mixer like any other, through the public interface alone. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import '../../examples/hgrn2.mjs';
import { ndarray } from '../../src/graph/index.ts';
import { registerMixer, showArchitecture } from '../../src/mixers/registry.ts';
import type { CustomSpec, MixerContext } from '../../src/mixers/spec.ts';
import { openCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.ts';
import { Model } from '../../src/runtime/model.ts';
import { linearKinds, linearMixer } from '../../src/search/network/linear-mixer.ts';
import { InputError } from '../../src/util/errors.ts';
import { Random } from '../../src/util/random.ts';
import { randomWeights, tinyConfig } from '../support/random-model.ts';
import { draw, drawParameters, exactly, expectClose } from './harness.ts';
import { mixerSuite } from './suite.ts';

const context: MixerContext = {
  ...{ hiddenSize: 8, numHeads: 4, numKvHeads: 2, headDim: 4, rmsNormEps: 1e-5, ropeTheta: 10_000 },
  ...{ ropeScaling: null, qkvBias: false, oBias: false, qkNorm: false },
};
const spec: CustomSpec = { kind: 'custom_hgrn2', heads: 2, keyDim: 4, valueDim: 3 };

mixerSuite('HGRN2 of the guide', { spec, context });

test('HGRN2 by plain loops over the paper’s formula', () => {
  const { hiddenSize: D } = context;
  const { heads: H, keyDim: K, valueDim: V } = spec;
  const T = 7;
  const random = new Random(4);
  const parameters = drawParameters({ spec, context }, random);
  const x = draw(random, [1, T, D]);
  const row = (name: string, out: number, input: (i: number) => number, width: number) =>
    Array.from({ length: width }, (_, i) => parameters[name]!.data[out * width + i]! * input(i)).reduce(
      (a, b) => a + b,
      0,
    );
  const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
  const states = Array.from({ length: H }, () => Array.from({ length: K }, () => new Float64Array(V)));
  const y: number[] = [];
  for (let t = 0; t < T; t++) {
    const project = (name: string, out: number) => row(name, out, (i) => x.data[t * D + i]!, D);
    const mixed: number[] = [];
    for (let h = 0; h < H; h++) {
      const o = new Float64Array(V);
      for (let i = 0; i < K; i++) {
        const forget = sigmoid(project('k_proj.weight', h * K + i));
        const q = project('q_proj.weight', h * K + i);
        for (let j = 0; j < V; j++) {
          const S = states[h]![i]!;
          S[j] = forget * S[j]! + (1 - forget) * project('v_proj.weight', h * V + j);
          o[j]! += S[j]! * q * sigmoid(q);
        }
      }
      const scale = 1 / Math.sqrt(o.reduce((sum, value) => sum + value * value, 0) / V + 1e-5);
      mixed.push(...Array.from(o, (value, j) => value * scale * parameters['g_norm.weight']!.data[j]!));
    }
    for (let d = 0; d < D; d++) y.push(row('o_proj.weight', d, (i) => mixed[i]!, H * V));
  }
  const computed = exactly({ spec, context }, 'chunk', parameters, { x });
  expectClose('y', computed.y, ndarray([1, T, D], y), 1e-9);
});

describe('in a model', () => {
  test('it is saved, opened and decoded; batches do not change what it writes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postnas-custom-'));
    try {
      const attention = { kind: 'attention' } as const;
      const config = tinyConfig([attention, { ...spec, valueDim: 4 }], { modelType: 'llama' });
      await saveCheckpoint(folder, config, randomWeights(config, 3), { dtype: 'F32' });
      expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')).layers[1]).toEqual({
        ...{ kind: 'custom_hgrn2', heads: 2, key_dim: 4, value_dim: 4 },
      });
      expect(showArchitecture(openCheckpoint(folder).config.layers)).toBe('AQ');
      await using model = await Model.fromPretrained(folder);
      const tokens: number[] = [];
      for await (const { id } of model.generate([3, 4, 5], { maxNewTokens: 4, eosTokenIds: [] }))
        tokens.push(id);
      expect(tokens).toHaveLength(4);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('it is sized to its parent, as every block', () => {
    expect(linearKinds().at(-1)).toBe('custom_hgrn2');
    const config = tinyConfig([{ kind: 'attention' }], { numHeads: 4, headDim: 6 });
    expect(linearMixer('custom_hgrn2', config)).toEqual({
      ...{ kind: 'custom_hgrn2', heads: 4, keyDim: 6, valueDim: 6 },
    });
    expect(() => linearMixer('custom_hgrn2+rope', config)).toThrow('no rotation to choose');
  });
});

describe('refused', () => {
  const mixer = {
    parameters: () => [],
    state: () => [],
    forward: () => ({}) as never,
    fromAttention: () => new Map(),
  };
  test.each([
    ['hgrn3', 'X', /"hgrn3": expected a kind such as custom_hgrn2/],
    ['custom_hgrn2', 'X', /the kind custom_hgrn2 belongs to custom_hgrn2 already/],
    ['custom_x', 'A', /the letter A belongs to attention already/],
    ['custom_x', 'ab', /expected a capital letter or a digit, not "ab"/],
  ])('%s, %s', (kind, letter, message) => {
    const given = { ...mixer, kind: kind as CustomSpec['kind'], letter };
    expect(() => registerMixer(given)).toThrow(message);
    expect(() => registerMixer(given)).toThrow(InputError);
  });

  test('a folder whose mixer is not registered', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postnas-custom-'));
    try {
      const config = tinyConfig([spec], { modelType: 'llama' });
      await saveCheckpoint(folder, config, randomWeights(config, 3), { dtype: 'F32' });
      const path = join(folder, 'config.json');
      writeFileSync(path, readFileSync(path, 'utf8').replace('custom_hgrn2', 'custom_other'));
      expect(() => openCheckpoint(folder)).toThrow(
        /the mixer custom_other is not registered: import the module/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
