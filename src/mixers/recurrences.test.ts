/** The two forms of the recurrences where numbers are hard: strong decays, equal keys, every kind of decay. */
import { describe, expect, test } from 'vitest';
import { type Arrays, draw, evaluateAll, expectClose, Runner } from '../../test/mixers/harness.ts';
import { gradients, input, type NdArray, ndarray, type Tensor } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { deltaRuleChunk, deltaRuleRecurrent } from './delta-rule.ts';
import { dplrChunk, dplrRecurrent } from './dplr.ts';
import { linearAttentionChunk, linearAttentionRecurrent } from './linear-attention.ts';

const [B, H, K, V] = [2, 2, 4, 3];

/** The two forms of each recurrence, of inputs that `drawCase` gives it. */
const RULES = {
  linear: { recurrent: linearAttentionRecurrent, chunk: linearAttentionChunk },
  delta: { recurrent: deltaRuleRecurrent, chunk: deltaRuleChunk },
  dplr: { recurrent: dplrRecurrent, chunk: dplrChunk },
};
type Rule = keyof typeof RULES;

interface Case {
  rule: Rule;
  decay: 'none' | 'head' | 'channel';
  tokens: number;
  /** Chunks of at most this many tokens. */
  longest: number;
  /** Log decays are uniform between this and 0. */
  strongest?: number;
  /** All keys of a head the same, and beta near 1: the triangular systems are as ill-conditioned as they get. */
  equalKeys?: boolean;
  state?: boolean;
}

function drawCase({ rule, decay, tokens: T, strongest = -0.3, equalKeys, state }: Case): Arrays {
  const random = new Random(5);
  const uniform = (shape: number[], low: number, high: number): NdArray => {
    const { data } = draw(random, shape);
    return ndarray(
      shape,
      data.map(() => Math.fround(low + (high - low) * random.uniform())),
    );
  };
  /** Keys of length 1. */
  const unitKeys = (): NdArray => {
    const keys = draw(random, [B, H, T, K]);
    for (let i = 0; i < keys.data.length; i += K) {
      const key = keys.data.subarray(i, i + K);
      if (equalKeys) key.set(keys.data.subarray(i - (i % (T * K)), i - (i % (T * K)) + K));
      const length = Math.hypot(...key);
      for (let c = 0; c < K; c++) key[c] = Math.fround(key[c]! / length);
    }
    return keys;
  };
  const strength = (shape: number[]) => uniform(shape, equalKeys ? 0.999 : 0, 1);
  const more: Arrays = {};
  if (rule === 'delta') more.beta = strength([B, H, T, 1]);
  if (rule === 'dplr') {
    // As RWKV7 makes them: what is found under a key is taken away, channel by channel more or less of it.
    const [kappa, gate] = [unitKeys(), strength([B, H, T, K])];
    more.a = ndarray(
      kappa.shape,
      kappa.data.map((x) => -x),
    );
    more.b = ndarray(
      kappa.shape,
      kappa.data.map((x, i) => Math.fround(x * gate.data[i]!)),
    );
  }
  return {
    q: draw(random, [B, H, T, K]),
    k: rule === 'delta' ? unitKeys() : draw(random, [B, H, T, K]),
    v: draw(random, [B, H, T, V]),
    ...(decay === 'none' ? {} : { g: uniform([B, H, T, decay === 'head' ? 1 : K], strongest, 0) }),
    ...more,
    ...(state ? { state: draw(random, [B, H, K, V]) } : {}),
  };
}

/** Outputs, last state and the gradients of everything, of a sum with drawn weights. */
function record({ rule, tokens: T, longest }: Case, form: 'recurrent' | 'chunk', values: Arrays) {
  const inputs: Record<string, Tensor> = Object.fromEntries(
    Object.entries(values).map(([name, { shape }]) => [name, input(name, 'float32', shape)]),
  );
  const rows = inputs as Record<'q' | 'k' | 'v' | 'g' | 'beta' | 'a' | 'b', Tensor>;
  const scaled = { ...rows, state: inputs.state, scale: 0.5 };
  const result = form === 'recurrent' ? RULES[rule].recurrent(scaled) : RULES[rule].chunk(scaled, longest);
  const seeds = {
    'seed o': input('seed o', 'float32', [B, H, T, V]),
    'seed state': input('seed state', 'float32', [B, H, K, V]),
  };
  const list = gradients(
    [
      { output: result.o, seed: seeds['seed o'] },
      { output: result.state, seed: seeds['seed state'] },
    ],
    Object.values(inputs),
  );
  const outputs: Record<string, Tensor> = { o: result.o, 'new state': result.state };
  for (const [i, name] of Object.keys(inputs).entries()) outputs[`d ${name}`] = list[i]!;
  return { inputs: { ...inputs, ...seeds }, outputs };
}

async function check(theCase: Case, tolerance: number): Promise<void> {
  const drawn = drawCase(theCase);
  const random = new Random(6);
  const values = {
    ...drawn,
    'seed o': draw(random, [B, H, theCase.tokens, V]),
    'seed state': draw(random, [B, H, K, V]),
  };
  const definition = record(theCase, 'recurrent', drawn);
  const expected = evaluateAll(definition.outputs, definition.inputs, values);
  const chunk = record(theCase, 'chunk', drawn);
  const exact = evaluateAll(chunk.outputs, chunk.inputs, values);
  const runner = await Runner.compile(chunk.outputs);
  const float32 = await runner.run(values);
  await runner.dispose();
  for (const [name, value] of Object.entries(expected)) {
    expectClose(name, exact[name]!, value, 1e-11);
    expectClose(`${name}, float32`, float32[name]!, value, tolerance);
  }
}

const DECAYS = {
  linear: ['none', 'head', 'channel'],
  delta: ['none', 'head', 'channel'],
  dplr: ['channel'],
} as const;

for (const rule of Object.keys(RULES) as Rule[]) {
  for (const decay of DECAYS[rule]) {
    describe(`${rule}, decay of ${decay}`, () => {
      for (const longest of [16, 32, 64]) {
        test(`chunks of ${longest}`, async () => {
          await check({ rule, decay, tokens: longest + 1, longest }, 2e-6);
          for (const tokens of [1, longest, longest + 1]) {
            await check({ rule, decay, tokens, longest, state: true }, 2e-6);
          }
        });
      }
      if (decay !== 'none') {
        test('decays of e^-20 and e^-200 a token', async () => {
          await check({ rule, decay, tokens: 70, longest: 64, strongest: -20, state: true }, 5e-6);
          await check({ rule, decay, tokens: 70, longest: 64, strongest: -200, state: true }, 5e-5);
        });
      }
      if (rule !== 'linear') {
        test('equal keys, beta near 1', async () => {
          const hard = { rule, decay, strongest: -0.01, equalKeys: true, state: true };
          for (const longest of [16, 32, 64, 128]) await check({ ...hard, tokens: 130, longest }, 5e-6);
        });
      }
    });
  }
}

test('a symbolic number of tokens is refused', () => {
  const x = input('x', 'float32', [1, 1, 'T', 2]);
  expect(() => linearAttentionChunk({ q: x, k: x, v: x })).toThrow(/static number of tokens, not T/);
});
