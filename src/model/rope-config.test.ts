import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ropeFrequencies, ropeMagnitude } from '../mixers/rope.ts';
import { configFromHf, configToHf } from './hf-config.ts';
import type { JsonObject } from './json-fields.ts';
import { unusedTheta } from './rope-config.ts';

interface Golden {
  common: JsonObject;
  /** What transformers computes, or that it refuses to. */
  cases: Record<string, { config: JsonObject; inv_freq?: number[]; magnitude?: number; error?: string }>;
}

const { common, cases } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../test/golden/rope.json'), 'utf8'),
) as Golden;
const read = (fields: JsonObject) => configFromHf('config.json', { ...common, ...fields });

describe('as transformers has it', () => {
  test.each(Object.entries(cases))('%s', (_, { config: fields, inv_freq: expected, magnitude }) => {
    if (!expected) {
      expect(() => read(fields)).toThrow(expect.objectContaining({ name: 'InputError' }));
      return;
    }
    const config = read(fields);
    const written = configFromHf('again', configToHf(config, 'float32'));
    for (const found of [config, written]) {
      const frequencies = ropeFrequencies(found);
      expect(frequencies).toHaveLength(expected.length);
      for (const [i, x] of expected.entries()) expect(frequencies[i]! / x, `${i}`).toBeCloseTo(1, 5);
      expect(ropeMagnitude(found)).toBeCloseTo(magnitude!, 12);
    }
  });
});

test('what is not followed is refused by name', () => {
  const scaling = (rope: JsonObject) => () => read({ rope_scaling: { type: 'linear', factor: 2, ...rope } });
  expect(scaling({ partial_rotary_factor: 0.5 })).toThrow(
    /rope_scaling: partial_rotary_factor is 0\.5, expected 1: heads are rotated as a whole/,
  );
  expect(scaling({ mrope_section: [1, 2] })).toThrow(
    /rope_scaling: mrope_section is not known, expected some/,
  );
  expect(scaling({ mrope_section: null })).not.toThrow();
  expect(scaling({ full_attention: { rope_type: 'default' } })).toThrow(
    /rope_scaling: full_attention: settings for each type of layers are not supported/,
  );
  expect(scaling({ factor: -2 })).toThrow(/factor is -2, expected a positive number/);
  expect(scaling({ factor: '2' })).toThrow(/factor is "2"/);
  expect(scaling({ type: 'yarn', rope_theta: 1 })).toThrow(/rope_theta is 1, expected a number above 1/);
  const llama3 = { type: 'llama3', low_freq_factor: 4, high_freq_factor: 4 };
  expect(scaling(llama3)).toThrow(/high_freq_factor is 4, expected a number above low_freq_factor \(4\)/);
  for (const type of ['dynamic', 'longrope', 'proportional', 'axial', 'su', 'ntk', '__proto__']) {
    expect(scaling({ type })).toThrow(`rope_scaling: type is "${type}", expected 'default', 'linear'`);
  }
});

test('a theta that is lost is told', () => {
  const parameters = { rope_type: 'default', rope_theta: 5000 };
  const scaling = { type: 'linear', factor: 2 };
  expect(unusedTheta({ rope_parameters: parameters, rope_scaling: scaling })).toMatch(
    /rope_theta of 5000 is not/,
  );
  expect(unusedTheta({ rope_parameters: parameters, rope_scaling: {} })).toBeNull();
  expect(unusedTheta({ rope_parameters: parameters, rope_scaling: scaling, rope_theta: 5000 })).toBeNull();
});
