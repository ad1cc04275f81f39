import { expect, test } from 'vitest';
import { tinyConfig } from '../../../test/support/random-model.ts';
import { mixerOf } from '../../mixers/registry.ts';
import { sizedPart, withSizedPart } from '../../mixers/sized-part.ts';
import { linearKinds, linearMixer, type SizedSpec } from './linear-mixer.ts';

const size = { heads: 4, keyDim: 8, valueDim: 8 };
const size4: SizedSpec = { kind: 'retnet', heads: 1, keyDim: 4, valueDim: 4 };
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
    expect(() => linearMixer(name, config)).toThrow(
      'expected +rope, +qk_norm, +qkv_bias, +window128 or +sinks4, each once',
    );
});

test('biases of queries, keys and values as in the parent', () => {
  const biased = { ...config, qkvBias: true };
  for (const kind of linearKinds().filter((kind) => kind !== 'mamba2')) {
    expect(linearMixer(`${kind}+qkv_bias`, biased)).toEqual({ ...linearMixer(kind, config), qkvBias: true });
  }
  expect(() => linearMixer('mamba2+qkv_bias', biased)).toThrow(
    'a mamba2 block holds them in the biases of its convolution anyway',
  );
  expect(() => linearMixer('gla+qkv_bias', config)).toThrow(
    "the parent's attention has no biases of queries, keys and values",
  );
});

test.each(linearKinds())('%s beside a window', (kind) => {
  const linear = linearMixer(kind, config);
  const window = { kind: 'window_linear', window: 128 };
  expect(linearMixer(`${kind}+window128`, config)).toEqual({ ...window, sinks: 4, linear });
  expect(linearMixer(`${kind}+window128+sinks8`, config)).toEqual({ ...window, sinks: 8, linear });
  expect(linearMixer(`${kind}+sinks0+window128`, config)).toEqual({ ...window, linear });
});

test('a window beside a block with other variants', () => {
  const block = linearMixer('gla+window9+rope+qk_norm', config);
  const linear = linearMixer('gla+rope+qk_norm', config);
  expect(block).toEqual({ kind: 'window_linear', window: 9, sinks: 4, linear });
  expect(sizedPart(block)).toEqual(linear);
  expect(withSizedPart(block, size4)).toEqual({ ...block, linear: size4 });
  expect([sizedPart(linear), withSizedPart(linear, size4)]).toEqual([linear, size4]);
});

test('a window that is none', () => {
  for (const [name, message] of [
    ['gla+window0', '+window0, expected 1 to 16777216 tokens'],
    ['gla+window16777217', 'expected 1 to 16777216'],
    ['gla+window9+sinks16777217', '+sinks16777217, expected 0 to 16777216'],
    ['gla+window09', '+window09, expected +rope'],
    ['gla+window', '+window, expected +rope'],
    ['gla+window-1', '+window-1, expected +rope'],
    ['gla+window8+window9', '+window9, expected +rope'],
    ['gla+sinks4', '+sinks4 goes with a window, such as +window128'],
    ['window128', "unknown mixer 'window128'"],
    ['retnet+window9+rope', 'a retnet block has no rotation to choose'],
  ] as const) {
    expect(() => linearMixer(name, config), name).toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringContaining(message) }),
    );
  }
});

test('an unknown kind', () => {
  expect(() => linearMixer('attention', config)).toThrow(
    expect.objectContaining({ name: 'InputError', message: expect.stringContaining(linearKinds()[0]!) }),
  );
});
