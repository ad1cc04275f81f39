import { expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/random-model.ts';
import { mixerOf } from '../mixers/registry.ts';
import { LINEAR_KINDS, linearMixer } from './linear-mixer.ts';

const config = tinyConfig([{ kind: 'attention' }], { numHeads: 4, headDim: 8 });

test.each([...LINEAR_KINDS])('%s takes all of the attention’s projections', (kind) => {
  const spec = linearMixer(kind, config);
  const shapes = new Map(
    mixerOf(spec)
      .parameters(spec, config)
      .map(({ name, shape }) => [name, shape]),
  );
  for (const name of ['q_proj', 'k_proj', 'v_proj']) expect(shapes.get(`${name}.weight`)).toEqual([32, 32]);
  expect(shapes.get('o_proj.weight')).toEqual([32, 32]);
});

test('an unknown kind', () => {
  expect(() => linearMixer('attention', config)).toThrow(
    expect.objectContaining({ name: 'InputError', message: expect.stringContaining(LINEAR_KINDS[0]!) }),
  );
});
