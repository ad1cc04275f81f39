import { expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { evaluate, input, ndarray, type Tensor } from '../graph/index.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import { decoder, decoderLayer, embed, under, weightInputs } from './decoder.ts';
import { layerPrefix, modelParameters } from './parameters.ts';

test('the values of the first RWKV7 layer reach the later ones, over what stands between', () => {
  const rwkv7 = {
    kind: 'rwkv7',
    heads: 2,
    keyDim: 4,
    valueDim: 4,
    decayRank: 2,
    rateRank: 2,
    gateRank: 2,
  } as const;
  const layers: MixerSpec[] = [
    { kind: 'attention' },
    { ...rwkv7, valueRank: 0 },
    { kind: 'attention' },
    { ...rwkv7, valueRank: 3 },
    { ...rwkv7, valueRank: 2 },
  ];
  const config = tinyConfig(layers);
  const weights = weightInputs(modelParameters(config));
  const ids = input('ids', 'int64', [1, 5]);
  const source = randomWeights(config);
  const values = new Map([
    [ids, ndarray([1, 5], [3, 1, 4, 1, 5])],
    ...Object.entries(weights).map(([name, tensor]) => {
      const { shape } = source.info(name);
      return [tensor, ndarray(shape, Float64Array.from(source.read(name)))] as const;
    }),
  ]);

  /** Layer by layer; each is given the values of layer `first` once they are there. */
  const byHand = (first: number): Tensor => {
    let x = embed(ids, weights);
    let firstValues: Tensor | undefined;
    for (const [i, spec] of layers.entries()) {
      const layer = decoderLayer(config, spec, x, under(layerPrefix(i), weights), {
        form: 'chunk',
        firstValues,
      });
      if (i === first) firstValues = layer.firstValues;
      x = layer.y;
    }
    return x;
  };
  const [whole, right, wrong, none] = evaluate(
    [decoder(config, ids, weights, { form: 'chunk' }), byHand(1), byHand(3), byHand(-1)],
    values,
  );
  expect(whole!.data).toEqual(right!.data);
  for (const other of [wrong!, none!]) {
    expect(Math.max(...other.data.map((value, i) => Math.abs(value - right!.data[i]!)))).toBeGreaterThan(
      1e-4,
    );
  }
});
