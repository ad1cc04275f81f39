import { expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { checkWeights } from '../../model/weights.ts';
import { retied, untied } from './tied-embeddings.ts';

const EMBEDDING = 'model.embed_tokens.weight';

test('a head of its own, and back', () => {
  const config = tinyConfig([{ kind: 'attention' }], { tieWordEmbeddings: true });
  const weights = randomWeights(config);
  const apart = untied({ config, weights });
  expect(apart.config).toEqual({ ...config, tieWordEmbeddings: false });
  checkWeights(apart.config, apart.weights, { where: 'untied' });
  expect(apart.weights.read('lm_head.weight')).toEqual(weights.read(EMBEDDING));
  const back = retied(apart);
  checkWeights(back.config, back.weights, { where: 're-tied' });
  expect(back.config).toEqual(config);
  for (const name of weights.names()) expect(back.weights.read(name)).toEqual(weights.read(name));
});

test.each([
  [0, 1],
  [0.25, 2],
  [1, 5],
])('a share of %s of the head', (share, expected) => {
  const config = tinyConfig([{ kind: 'attention' }]);
  const weights = randomWeights(config);
  weights.read(EMBEDDING).fill(1);
  weights.read('lm_head.weight').fill(5);
  expect(new Set(retied({ config, weights }, share).weights.read(EMBEDDING))).toEqual(new Set([expected]));
});

test('unless told otherwise it is the head', () => {
  const config = tinyConfig([{ kind: 'attention' }]);
  const weights = randomWeights(config);
  const head = weights.read('lm_head.weight');
  expect(retied({ config, weights }).weights.read(EMBEDDING)).toEqual(head);
  expect(weights.read(EMBEDDING)).not.toEqual(head);
});
