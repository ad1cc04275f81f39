import { describe, expect, test } from 'vitest';
import {
  type Arrays,
  draw,
  drawParameters,
  drawState,
  evaluateAll,
  exactly,
  expectClose,
  inFloat32,
  named,
  recordGradients,
  recordMixer,
  slice,
} from '../../test/mixers/harness.ts';
import { mixerSuite } from '../../test/mixers/suite.ts';
import { input, type NdArray, ndarray, type Tensor } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { releasedJetBlock } from './jet-block.ts';
import { isLinearWeight, mixerOf, registerMixer } from './registry.ts';
import type { LinearSpec, MixerContext, WindowLinearSpec } from './spec.ts';

const context: MixerContext = {
  hiddenSize: 8,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 4,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  qkvBias: false,
  oBias: false,
  qkNorm: false,
};
const size = { heads: 2, keyDim: 4, valueDim: 3 };
const gatedDeltaNet: LinearSpec = { kind: 'gated_deltanet', ...size, convSize: 4, rope: true };
const rwkv7: LinearSpec = {
  kind: 'rwkv7',
  ...size,
  decayRank: 2,
  rateRank: 2,
  gateRank: 3,
  valueRank: 0,
};

mixerSuite('a window with sinks and Gated DeltaNet', {
  spec: { kind: 'window_linear', window: 10, sinks: 3, linear: gatedDeltaNet },
  context,
});
mixerSuite('a window without sinks, with biases and query and key norms, and RWKV7', {
  spec: { kind: 'window_linear', window: 7, linear: rwkv7 },
  context: { ...context, qkvBias: true, oBias: true, qkNorm: true },
});

// A mixer from outside is composed like those of the package.
registerMixer({
  ...mixerOf<LinearSpec>({ kind: 'retnet', ...size }),
  kind: 'custom_beside',
  letter: '9',
});

const LINEAR: LinearSpec[] = [
  { kind: 'retnet', ...size },
  { kind: 'gla', ...size, gateRank: 2, rope: true },
  { kind: 'deltanet', ...size, convSize: 4, rope: true },
  gatedDeltaNet,
  { kind: 'kda', ...size, gateRank: 2, convSize: 4 },
  { ...releasedJetBlock(size), generatorReduction: 2 },
  { kind: 'mamba2', ...size, headsPerGroup: 1, convSize: 4 },
  rwkv7,
  { kind: 'custom_beside', ...size },
];

const PAST = 3;
const T = 21;
const windowed = { kind: 'sliding_window', window: 5, sinks: 2 } as const;

describe.each(LINEAR.map((linear) => [linear.kind, linear] as const))('beside a window: %s', (_, linear) => {
  const spec: WindowLinearSpec = { ...windowed, kind: 'window_linear', linear };
  const random = new Random(5);
  const parameters = drawParameters({ spec, context }, random);
  const under = (prefix: string, arrays: Arrays): Arrays =>
    Object.fromEntries(
      Object.entries(arrays)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name.slice(prefix.length), value]),
    );
  const ofWindow = Object.fromEntries(
    Object.entries(parameters).filter(([name]) => !isLinearWeight(spec, name)),
  );
  const state = drawState({ spec, context }, random, 2, PAST);
  const mask = ndarray(
    [2, T],
    Array.from({ length: 2 * T }, (_, i) => (i < 15 ? 1 : i < T ? 0 : 1)),
  );
  const positions = ndarray(
    [2, T],
    Array.from({ length: 2 * T }, (_, i) => PAST + (i % T)),
  );
  const call = { x: draw(random, [2, T, context.hiddenSize]), mask, positions };
  const atStart = { ...parameters, linear_gate: ndarray([context.hiddenSize]) };

  test('the sum of the window and of the gated mixer, each as it is by itself', () => {
    const isWindow = ([name]: [string, unknown]) => name.startsWith('window_');
    const split = Object.entries(state);
    const others = Object.fromEntries(split.filter((part) => !isWindow(part)));
    for (const form of ['recurrent', 'chunk'] as const) {
      const both = exactly({ spec, context }, form, parameters, { ...call, state });
      const near = exactly({ spec: windowed, context }, form, ofWindow, {
        ...call,
        state: under('window_', state),
      });
      const far = exactly({ spec: linear, context }, form, under('linear.', parameters), {
        ...call,
        state: others,
      });
      const gate = parameters.linear_gate!.data;
      const sum = near.y.data.map((value, i) => value + gate[i % gate.length]! * far.y.data[i]!);
      expectClose(`${form}: y`, both.y, ndarray(near.y.shape, sum), 1e-12);
      for (const [name, value] of Object.entries(near.state)) {
        expect(both.state[`window_${name}`], name).toEqual(value);
      }
      for (const [name, value] of Object.entries(far.state)) expect(both.state[name], name).toEqual(value);
    }
  });

  test('rows whose window is left out have the gated mixer alone', () => {
    const outputs = (rows?: number[]) => {
      const given: Arrays = { x: call.x, ...parameters };
      const inputs = Object.fromEntries(
        Object.entries(given).map(([name, { shape }]) => [name, input(name, 'float32', shape)]),
      );
      const { x, ...params } = inputs as { x: Tensor } & Record<string, Tensor>;
      const windowKept = rows && input('kept', 'float32', [2]);
      const { y } = mixerOf(spec).forward(spec, context, {
        x,
        params,
        form: 'chunk',
        ...(windowKept && { windowKept }),
      });
      const all = windowKept ? { ...inputs, kept: windowKept } : inputs;
      return evaluateAll({ y }, all, { ...given, ...(rows && { kept: ndarray([2], rows) }) }).y!;
    };
    const row = (y: NdArray, b: number) => slice(y, 0, b, b + 1);
    const alone = exactly({ spec: linear, context }, 'chunk', under('linear.', parameters), { x: call.x });
    const gate = parameters.linear_gate!.data;
    const gated = ndarray(
      alone.y.shape,
      alone.y.data.map((value, i) => gate[i % gate.length]! * value),
    );
    const [whole, kept] = [outputs(), outputs([0, 1])];
    expectClose('left out', row(kept, 0), row(gated, 0), 1e-12);
    expect(row(kept, 1)).toEqual(row(whole, 1));
  });

  test('with a gate of 0 it is the window bit by bit', async () => {
    const both = await inFloat32({ spec, context }, 'chunk', atStart, { ...call, state });
    const near = await inFloat32({ spec: windowed, context }, 'chunk', ofWindow, {
      ...call,
      state: under('window_', state),
    });
    const bits = (x: ArrayLike<number>) => [...new Uint32Array(Float32Array.from(x).buffer)];
    expect(bits(both.y.data)).toEqual(bits(near.y.data));
  });

  test('with a gate of 0 the gate has a gradient, the mixer behind it none, and the window its own', () => {
    const gradientsOf = (of: WindowLinearSpec | typeof windowed, weights: Arrays) => {
      const recorded = recordMixer({ spec: of, context }, 'chunk', T, call);
      const { seeds, gradients } = recordGradients({ ...recorded, state: {} });
      const seed = draw(new Random(6), call.x.shape);
      return under(
        'parameter ',
        evaluateAll(gradients, { ...recorded.inputs, ...seeds }, { ...named(weights, call), 'seed y': seed }),
      );
    };
    const both = gradientsOf(spec, atStart);
    const near = gradientsOf(windowed, ofWindow);
    for (const [name, value] of Object.entries(near)) expect(both[name], name).toEqual(value);
    expect(both.linear_gate!.data.every((value) => value !== 0)).toBe(true);
    const behind = Object.entries(under('linear.', both));
    expect(behind.every(([, { data }]) => data.every((value) => value === 0))).toBe(true);
  });

  test('starts as the window of the parent, and as the mixer would in its place', () => {
    const attention = new Map(
      Object.entries(ofWindow).map(([name, { data }]) => [name, Float32Array.from(data)]),
    );
    const start = mixerOf(spec).fromAttention(spec, context, attention, new Random(1));
    for (const [name, values] of attention) expect(start.get(name), name).toEqual(values);
    const alone = mixerOf(linear).fromAttention(linear, context, attention, new Random(1));
    for (const [name, values] of alone) expect(start.get(`linear.${name}`), name).toEqual(values);
    expect([...start.get('linear_gate')!]).toEqual([...new Float32Array(context.hiddenSize)]);
  });
});

test('its letter is taken', () => {
  const { forward, state, parameters, fromAttention } = mixerOf<LinearSpec>({ kind: 'retnet', ...size });
  const mixer = { kind: 'custom_letter', letter: 'L', forward, state, parameters, fromAttention } as const;
  expect(() => registerMixer(mixer)).toThrow(/the letter L belongs to window_linear already/);
});

test('a mixer from outside whose state has the name of a window’s is refused beside one', () => {
  const { forward, parameters, fromAttention } = mixerOf<LinearSpec>({ kind: 'retnet', ...size });
  const state = () => [{ name: 'window_k', shape: ['B', 1] }];
  registerMixer({ kind: 'custom_taken', letter: '8', forward, state, parameters, fromAttention });
  const spec: WindowLinearSpec = {
    ...windowed,
    kind: 'window_linear',
    linear: { kind: 'custom_taken', ...size },
  };
  expect(() => mixerOf(spec).state(spec, context)).toThrow(
    /custom_taken has a state window_k: beside a window/,
  );
});
