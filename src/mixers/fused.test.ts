import { expect, test } from 'vitest';
import { float32, input, Program, swapLast, type Tensor, Value } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { releasedJetBlock } from './jet-block.ts';
import type { Form } from './mixer.ts';
import { mixerOf } from './registry.ts';
import type { MixerContext, MixerSpec } from './spec.ts';

const size = { heads: 2, keyDim: 8, valueDim: 16 };
const jet = releasedJetBlock(size);
const SPECS: Record<string, MixerSpec> = {
  'Gated DeltaNet': { kind: 'gated_deltanet', ...size, convSize: 4, rope: false },
  'Gated DeltaNet, rotated': { kind: 'gated_deltanet', ...size, convSize: 4, rope: true },
  'with biases': { kind: 'gated_deltanet', ...size, convSize: 4, rope: true, qkvBias: true },
  'with biases, without convolutions': {
    ...{ kind: 'gated_deltanet', ...size, convSize: 0, rope: false, qkvBias: true },
  },
  'without convolutions': { kind: 'gated_deltanet', ...size, convSize: 0, rope: false },
  Mamba2: { kind: 'mamba2', heads: 4, keyDim: 8, valueDim: 4, headsPerGroup: 2, convSize: 4 },
  JetBlock: jet,
  'JetBlock with biases': { ...jet, qkvBias: true },
  'JetBlock, q static': { ...jet, qConv: 'static' },
  'JetBlock, all static': { ...jet, qConv: 'static', kConv: 'static', vConv: 'static' },
  'JetBlock, q dynamic, k and v static': { ...jet, qConv: 'dynamic', kConv: 'static', vConv: 'static' },
};
const context = { hiddenSize: 32, headDim: 8, ropeTheta: 10_000, ropeScaling: null } as MixerContext;

for (const [name, spec] of Object.entries(SPECS)) {
  test.each([1, 7])(`${name}: fused is what it is token by token, %i tokens`, async (T) => {
    const mixer = mixerOf(spec);
    const random = new Random(1);
    const normal = (shape: readonly number[], scale = 1): Value => {
      const count = shape.reduce((a, b) => a * b, 1);
      return float32(
        Float32Array.from({ length: count }, () => scale * random.normal()),
        shape,
      );
    };
    const positions = BigInt64Array.from({ length: 2 * T }, (_, i) => BigInt(i % T));
    const feeds: Record<string, Value> = {
      x: normal([2, T, 32]),
      positions: new Value('int64', positions, [2, T]),
    };
    for (const { name, shape } of mixer.parameters(spec, context)) feeds[name] = normal(shape, 0.3);
    for (const { name, shape, transposed } of mixer.state(spec, context)) {
      const past = normal(shape.map((dim) => (dim === 'B' ? 2 : (dim as number))));
      feeds[`past.${name}`] = past;
      if (!transposed) continue;
      const [B, D, W] = past.dims as [number, number, number];
      const swapped = Float32Array.from({ length: past.size }, (_, i) => {
        const [b, w, d] = [Math.floor(i / (D * W)), Math.floor(i / D) % W, i % D];
        return past.data[(b * D + d) * W + w] as number;
      });
      feeds[`kept.${name}`] = float32(swapped, [B, W, D]);
    }
    /** @param kept states that are kept transposed are given as [B, W, D] */
    const run = async (form: Form, tokens: number | 'T', kept = false) => {
      const declared = new Map<string, Tensor>();
      const declare = (name: string) => {
        const { dims } = feeds[name]!;
        const shape = name === 'x' ? [2, tokens, 32] : dims;
        declared.set(name, input(name, 'float32', shape));
        return declared.get(name)!;
      };
      const outputs = mixer.forward(spec, context, {
        x: declare('x'),
        params: Object.fromEntries(mixer.parameters(spec, context).map(({ name }) => [name, declare(name)])),
        state: Object.fromEntries(
          mixer.state(spec, context).map(({ name, transposed }) => {
            return [name, kept && transposed ? swapLast(declare(`kept.${name}`)) : declare(`past.${name}`)];
          }),
        ),
        form,
        maxPositions: T,
        positions: input('positions', 'int64', [2, tokens]),
      });
      const all = { y: outputs.y, ...outputs.state };
      await using program = await Program.compile(all, { threads: 1 });
      const given = Object.fromEntries(program.inputNames.map((name) => [name, feeds[name]!]));
      return program.run(given);
    };
    const expected = await run('recurrent', T);
    for (const kept of [false, true]) {
      const actual = await run('fused', T === 1 ? 1 : 'T', kept);
      expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
      for (const [name, { data, dims }] of Object.entries(expected)) {
        expect(actual[name]!.dims, name).toEqual(dims);
        const values = actual[name]!.data as Float32Array;
        for (const [i, value] of (data as Float32Array).entries()) {
          expect(Math.abs(values[i]! - value), name).toBeLessThan(1e-4 * (1 + Math.abs(value)));
        }
      }
    }
  });
}
