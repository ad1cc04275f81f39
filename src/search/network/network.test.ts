import { expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { tinyGla, tinyParent, tinySupernet } from '../../../test/support/tiny-network.ts';
import { showArchitecture } from '../../mixers/registry.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { modelParameters } from '../../model/parameters.ts';
import { BranchWeights } from './branches.ts';
import { hybridOf } from './hybrid.ts';
import { Network } from './network.ts';

test('a path is an architecture with the weights of its branches around the frozen rest', () => {
  const branches = tinySupernet();
  const { network } = branches;
  expect(showArchitecture(network.architecture([0, 1, 1]))).toBe('AGG');
  const [full, linear] = [network.layerValues(1, 0), network.layerValues(1, 1)];
  expect(linear['mlp.up_proj.weight']).toBe(full['mlp.up_proj.weight']);
  expect(linear['self_attn.gk_proj.1.bias']).toBeDefined();
  expect(full['self_attn.gk_proj.1.bias']).toBeUndefined();
  // Training the vector trains the branch in its place.
  branches.vector.view('1.q_proj.weight')[0] = 42;
  expect(network.layerValues(1, 1)['self_attn.q_proj.weight']!.data[0]).toBe(42);
  expect(network.addBranch(0, { spec: tinyGla, weights: branches.values(0) })).toBe(2);
});

test('a block beside a window starts from attention, from its like with all of its weights', () => {
  const spec: MixerSpec = { kind: 'window_linear', window: 4, sinks: 1, linear: tinyGla };
  expect(() => new BranchWeights(tinyParent([{ kind: 'attention' }, tinyGla]), [0, 1], spec)).toThrow(
    /layer 1 is gla: a block beside a window starts from attention/,
  );
  const parent = tinyParent([{ kind: 'attention' }, { kind: 'sliding_window', window: 3 }, spec]);
  const { network } = tinySupernet(parent, spec);
  for (const layer of [0, 1, 2]) {
    const [own, branch] = [network.branches[layer]![0]!.weights, network.branches[layer]![1]!.weights];
    for (const [name, { data }] of Object.entries(own)) expect(branch[name]!.data, name).toEqual(data);
  }
  expect([...(network.branches[1]![1]!.weights.linear_gate!.data as Float32Array)]).toEqual(
    new Array(16).fill(0),
  );
});

test('a mixer that takes values from another layer is refused', () => {
  const rwkv7 = {
    kind: 'rwkv7',
    heads: 2,
    keyDim: 8,
    valueDim: 8,
    decayRank: 4,
    rateRank: 4,
    gateRank: 4,
  } as const;
  const { network } = tinySupernet();
  expect(network.addBranch(2, { spec: { ...rwkv7, valueRank: 0 }, weights: {} })).toBe(2);
  const refused = expect.objectContaining({
    name: 'InputError',
    message: expect.stringMatching(/layer 1 is a rwkv7 mixer that takes values from another layer/),
  });
  expect(() => network.addBranch(1, { spec: { ...rwkv7, valueRank: 4 }, weights: {} })).toThrow(refused);
  const parent = tinyConfig([{ kind: 'attention' }, { ...rwkv7, valueRank: 4 }]);
  expect(() => new Network(parent, randomWeights(parent))).toThrow(refused);
});

test.each([true, false])(
  'a hybrid has just the weights that its configuration asks for (tied: %s)',
  (tied) => {
    const { network } = tinySupernet(tinyParent(undefined, { tieWordEmbeddings: tied, modelType: 'llama' }));
    for (const path of [
      [0, 1, 0],
      [1, 1, 1],
      [0, 0, 0],
    ]) {
      const { config, weights } = hybridOf(network, path);
      expect(config.layers).toEqual(path.map((branch) => (branch ? tinyGla : { kind: 'attention' })));
      expect(config.modelType).toBe(path.includes(1) ? 'postnas' : 'llama');
      const expected = new Map(modelParameters(config).map(({ name, shape }) => [name, shape]));
      expect(new Set(weights.names())).toEqual(new Set(expected.keys()));
      for (const name of weights.names()) expect(weights.info(name).shape, name).toEqual(expected.get(name));
    }
  },
);

test('the fingerprint tells networks apart by configuration, weights and branches', () => {
  const plain = tinyParent();
  const same = plain.fingerprint();
  expect(tinyParent().fingerprint()).toBe(same);
  expect(tinyParent(undefined, { ropeTheta: 5000 }).fingerprint()).not.toBe(same);
  const branches = tinySupernet(plain);
  const attached = plain.fingerprint();
  expect(attached).not.toBe(same);
  branches.vector.view('2.gk_proj.1.bias')[3]! += 1e-3;
  expect(plain.fingerprint()).not.toBe(attached);
});
