import { expect, test } from 'vitest';
import { tinyParent, tinySupernet } from '../../../test/support/tiny-network.ts';
import { gatherWeights } from './trained-weights.ts';

test('all weights of a network have a place in the vector, which is what the network then uses', () => {
  const network = tinyParent(undefined, { qkvBias: true });
  const before = network.fingerprint();
  const table = network.embedding.data as Float32Array;
  const { vector } = gatherWeights(network, () => 1);
  expect(network.fingerprint()).toBe(before);
  const names = vector.parameters.map(({ name }) => name);
  const size = [network.outer, ...network.branches.map((_, layer) => network.layerValues(layer, 0))]
    .flatMap((values) => Object.values(values))
    .reduce((sum, { data }) => sum + data.length, 0);
  expect(vector.size).toBe(size);
  expect(names).toContain('model.layers.2.self_attn.q_proj.bias');
  vector.data.fill(0.5);
  expect(new Set(network.embedding.data as Float32Array)).toEqual(new Set([0.5]));
  expect(table).not.toContain(0.5);
});

test('only what has a rate, of any branch, each at its own', () => {
  const { network } = tinySupernet();
  const { vector, nameOf } = gatherWeights(network, ({ layer, branch, name }) => {
    if (layer === 1 && branch === 1) return 1;
    return name === 'mlp.up_proj.weight' ? 0.1 : undefined;
  });
  const names = vector.parameters.map(({ name }) => name);
  expect(names.filter((name) => name.startsWith('model.layers.1.branch_1.self_attn.'))).toHaveLength(
    names.length - 3,
  );
  expect(vector.parameters.filter(({ rate }) => rate === 0.1).map(({ name }) => name)).toEqual(
    [0, 1, 2].map((i) => `model.layers.${i}.mlp.up_proj.weight`),
  );
  // What is trained is listed, and nothing else.
  const name = 'q_proj.weight';
  expect(nameOf({ layer: 1, branch: 1, name })).toBe('model.layers.1.branch_1.self_attn.q_proj.weight');
  expect(nameOf({ layer: 2, name: 'mlp.up_proj.weight' })).toBe('model.layers.2.mlp.up_proj.weight');
  for (const frozen of [
    { layer: 1, branch: 0, name },
    { layer: 0, branch: 1, name },
    { layer: 1, name: 'mlp.down_proj.weight' },
    { name: 'model.norm.weight' },
  ]) {
    expect(nameOf(frozen)).toBeUndefined();
  }
});
