import { expect, test } from 'vitest';
import { tinyConfig } from '../../../test/support/random-model.ts';
import { mixerOf } from '../../mixers/registry.ts';
import { linearKinds, linearMixer } from './linear-mixer.ts';

const size = { heads: 4, keyDim: 8, valueDim: 8 };
const config = tinyConfig([{ kind: 'attention' }], { numHeads: size.heads, headDim: size.keyDim });

test.each(linearKinds())('%s has the heads of the attention', (kind) => {
  const spec = linearMixer(kind, config);
  expect(spec).toMatchObject({ kind, ...size });
  const [recurrent] = mixerOf(spec).state(spec, config);
  expect(recurrent).toEqual({ name: 'recurrent', shape: ['B', 4, 8, 8] });
});

test('queries and keys rotated as in the parent', () => {
  expect(linearMixer('gla', config)).toMatchObject({ kind: 'gla', rope: false });
  expect(linearMixer('gla+rope', config)).toEqual({ ...linearMixer('gla', config), rope: true });
  expect(linearMixer('jet_block+rope', config)).toEqual({ ...linearMixer('jet_block', config), rope: true });
  expect(() => linearMixer('retnet+rope', config)).toThrow('a retnet block has no rotation to choose');
  expect(() => linearMixer('s4+rope', config)).toThrow("unknown mixer 's4'");
});

test('queries and keys normalised as in the parent', () => {
  expect(linearMixer('gla+qk_norm', config)).toEqual({ ...linearMixer('gla', config), qkNorm: true });
  const both = { ...linearMixer('gla', config), rope: true, qkNorm: true };
  expect(linearMixer('gla+rope+qk_norm', config)).toEqual(both);
  expect(linearMixer('gla+qk_norm+rope', config)).toEqual(both);
  for (const kind of ['retnet', 'mamba2'])
    expect(linearMixer(`${kind}+qk_norm`, config)).toMatchObject({ kind, qkNorm: true });
  for (const kind of ['deltanet', 'gated_deltanet', 'kda', 'rwkv7', 'jet_block'])
    expect(() => linearMixer(`${kind}+qk_norm`, config)).toThrow(
      `mixer '${kind}+qk_norm': a ${kind} block normalises its queries and keys by itself`,
    );
  for (const name of ['gla+norm', 'gla+rope+rope', 'gla+'])
    expect(() => linearMixer(name, config)).toThrow('expected +rope or +qk_norm, each once');
});

test('an unknown kind', () => {
  expect(() => linearMixer('attention', config)).toThrow(
    expect.objectContaining({ name: 'InputError', message: expect.stringContaining(linearKinds()[0]!) }),
  );
});
