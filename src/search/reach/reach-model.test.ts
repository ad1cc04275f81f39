import { afterAll, describe, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { input, int64, logSoftmax, Program } from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { decoder, head, weightInputs } from '../../model/decoder.ts';
import { readValues } from '../../model/layer-programs.ts';
import { modelParameters } from '../../model/parameters.ts';
import { Random } from '../../util/random.ts';
import { placementSpecs, type ReachPlacement } from './placement.ts';
import { ReachModel } from './reach-model.ts';
import type { Tail } from './tail-answers.ts';

const LAYERS = 3;
const attention = Array.from({ length: LAYERS }, () => ({ kind: 'attention' as const }));
const CONFIGS: [string, ModelConfig][] = [
  ['Llama', tinyConfig(attention)],
  ['Qwen2', tinyConfig(attention, { qkvBias: true, numHeads: 14, numKvHeads: 2, tieWordEmbeddings: true })],
  ['Qwen3', tinyConfig(attention, { qkNorm: true, numHeads: 4, numKvHeads: 4 })],
  ['OLMo 2', tinyConfig(attention, { qkNorm: true, qkNormOfAll: true, norms: 'after' })],
  [
    'norms around, GELU, a layer without rotation',
    tinyConfig([attention[0]!, { kind: 'attention', noRope: true }, attention[2]!], {
      norms: 'around',
      activation: 'gelu_tanh',
    }),
  ],
];

/** Logarithms of the probabilities behind every token, by the definition of the whole model [T, vocabulary]. */
async function wholePass(
  config: ModelConfig,
  weights: ReturnType<typeof randomWeights>,
  placement: ReachPlacement,
  ids: readonly number[],
): Promise<Float32Array> {
  const hybrid = { ...config, layers: placementSpecs(placement, config) };
  const parameters = modelParameters(hybrid);
  const inputs = weightInputs(parameters);
  const x = decoder(hybrid, input('ids', 'int64', [1, ids.length]), inputs, { form: 'chunk' });
  const program = await Program.compile({ logProbs: logSoftmax(head(hybrid, x, inputs)) });
  const values = readValues(
    weights,
    parameters.map(({ name }) => name),
  );
  const { logProbs } = await program.run({ ids: int64(ids, [1, ids.length]), ...values });
  await program.dispose();
  return logProbs!.data as Float32Array;
}

const reach = (fullHeads: number[], window = 7, sinks = 2) => ({ fullHeads, window, sinks });

describe.each(CONFIGS)('%s', (_, config) => {
  const weights = randomWeights(config);
  const model = new ReachModel(config, weights);
  afterAll(() => model.dispose());
  const random = new Random(5);
  const ids = Array.from({ length: 300 }, () => random.below(config.vocabSize));
  const placements: ReachPlacement[] = [
    [reach([]), reach([1]), reach([])],
    [reach([0]), reach([]), reach([1], 30)],
    [reach([0, 1]), reach([0], 5, 0), reach([])],
    Array.from({ length: LAYERS }, () => reach(Array.from({ length: config.numKvHeads }, (_, i) => i))),
  ];

  test.each([
    [270, 3],
    [5, 20],
    [1, 9],
  ])('a tail behind %i tokens is what the whole pass says, of %i tokens', async (length, count) => {
    const tails: Tail[] = [
      { ids: ids.slice(length, length + count), places: [0, count - 2] },
      { ids: ids.slice(length, length + count - 1).reverse(), places: [0] },
    ];
    // Long texts take long to compile whole.
    for (const placement of length > 100 ? placements.slice(1, 2) : placements) {
      const kept = await model.read(ids.slice(0, length), placement);
      const [judged] = await model.follow(kept, length, tails, [placement]);
      for (const [t, tail] of tails.entries()) {
        const whole = await wholePass(config, weights, placement, [...ids.slice(0, length), ...tail.ids]);
        const losses = tail.places.map(
          (place) => -whole[(length + place) * config.vocabSize + tail.ids[place + 1]!]!,
        );
        for (const [i, loss] of losses.entries()) expect(judged![t]!.losses[i]).toBeCloseTo(loss, 4);
      }
    }
  });

  test('of many placements each is judged as alone, over what another has read', async () => {
    const [read] = placements;
    const kept = await model.read(ids.slice(0, 280), read!);
    const tails: Tail[] = [0, 1, 2].map((i) => ({ ids: ids.slice(280 - i, 296), places: [2, 5, 7] }));
    const together = await model.follow(kept, 280, tails, placements);
    for (const [p, placement] of placements.entries()) {
      const [alone] = await model.follow(kept, 280, tails, [placement]);
      for (const [t, { losses, right }] of alone!.entries()) {
        expect(together[p]![t]!.right).toBe(right);
        for (const [i, loss] of losses.entries()) expect(together[p]![t]!.losses[i]).toBeCloseTo(loss, 5);
      }
    }
    expect(together[1]![0]!.losses).not.toEqual(together[0]![0]!.losses);
  });

  test('divergence from a reference is what its definition says', async () => {
    const [windows, , , full] = placements as [
      ReachPlacement,
      ReachPlacement,
      ReachPlacement,
      ReachPlacement,
    ];
    const tail: Tail = { ids: ids.slice(200, 230), places: [3, 9, 28] };
    const ofFull = await model.read(ids.slice(0, 200), full);
    const reference = await model.reference(ofFull, 200, [tail], full);
    const kept = await model.read(ids.slice(0, 200), windows);
    const [judged] = await model.follow(kept, 200, [tail], [windows], { reference });
    const whole = await wholePass(config, weights, windows, ids.slice(0, 230));
    const parent = await wholePass(config, weights, full, ids.slice(0, 230));
    for (const [i, place] of tail.places.entries()) {
      let kl = 0;
      for (let id = 0; id < config.vocabSize; id++) {
        const at = (200 + place) * config.vocabSize + id;
        kl += Math.exp(parent[at]!) * (parent[at]! - whole[at]!);
      }
      expect(judged![0]!.kl[i]).toBeCloseTo(kl, 5);
      expect(kl).toBeGreaterThan(1e-4);
    }
    const [same] = await model.follow(ofFull, 200, [tail], [full], { reference });
    for (const kl of same![0]!.kl) expect(Math.abs(kl)).toBeLessThan(1e-6);
  });
});
