import { describe, expect, test } from 'vitest';
import { draw, drawParameters, exactly, expectClose, slice } from '../../test/mixers/harness.ts';
import { mixerSuite } from '../../test/mixers/suite.ts';
import { ndarray } from '../graph/index.ts';
import { Random } from '../util/random.ts';
import { releasedJetBlock } from './jet-block.ts';
import { expandHeadBlocks } from './mixer.ts';
import { mixerOf, showArchitecture } from './registry.ts';
import { ropeFrequencies } from './rope.ts';
import type { GatedDeltaNetSpec, MixerContext, MixerSpec } from './spec.ts';

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

mixerSuite('attention', { spec: { kind: 'attention' }, context });
mixerSuite('attention with biases and query and key norms', {
  spec: { kind: 'attention' },
  context: { ...context, qkvBias: true, oBias: true, qkNorm: true },
});
mixerSuite('sliding window', { spec: { kind: 'sliding_window', window: 10 }, context });
mixerSuite('sliding window with sinks', { spec: { kind: 'sliding_window', window: 10, sinks: 3 }, context });
mixerSuite('more sinks than window', { spec: { kind: 'sliding_window', window: 2, sinks: 7 }, context });
mixerSuite('one full head of two', {
  spec: { kind: 'head_attention', fullHeads: [1], window: 10, sinks: 3 },
  context,
});
mixerSuite('heads 0 and 2 of four full, with biases and query and key norms', {
  spec: { kind: 'head_attention', fullHeads: [0, 2], window: 10 },
  context: { ...context, numHeads: 8, numKvHeads: 4, qkvBias: true, oBias: true, qkNorm: true },
});
mixerSuite('RetNet', { spec: { kind: 'retnet', heads: 2, keyDim: 4, valueDim: 3 }, context });
mixerSuite('GLA', {
  spec: { kind: 'gla', heads: 2, keyDim: 4, valueDim: 3, gateRank: 2, rope: false },
  context,
});
mixerSuite('GLA with rotation', {
  spec: { kind: 'gla', heads: 4, keyDim: 4, valueDim: 4, gateRank: 2, rope: true },
  context,
});
mixerSuite('RetNet with norms of queries and keys', {
  spec: { kind: 'retnet', heads: 2, keyDim: 4, valueDim: 3, qkNorm: true },
  context,
});
mixerSuite('GLA with rotation and norms of queries and keys', {
  spec: { kind: 'gla', heads: 4, keyDim: 4, valueDim: 4, gateRank: 2, rope: true, qkNorm: true },
  context,
});
mixerSuite('Mamba2 with norms of queries and keys, heads in groups', {
  spec: { kind: 'mamba2', heads: 4, keyDim: 4, valueDim: 2, headsPerGroup: 2, convSize: 3, qkNorm: true },
  context,
});
mixerSuite('DeltaNet', {
  spec: { kind: 'deltanet', heads: 2, keyDim: 4, valueDim: 3, convSize: 4, rope: true },
  context,
});
mixerSuite('Gated DeltaNet', {
  spec: { kind: 'gated_deltanet', heads: 2, keyDim: 4, valueDim: 3, convSize: 4, rope: false },
  context,
});
mixerSuite('Gated DeltaNet with rotation and without convolution', {
  spec: { kind: 'gated_deltanet', heads: 4, keyDim: 4, valueDim: 4, convSize: 0, rope: true },
  context,
});
mixerSuite('Mamba2', {
  spec: { kind: 'mamba2', heads: 2, keyDim: 4, valueDim: 3, headsPerGroup: 1, convSize: 4 },
  context,
});
mixerSuite('Mamba2 with heads in groups', {
  spec: { kind: 'mamba2', heads: 4, keyDim: 4, valueDim: 2, headsPerGroup: 2, convSize: 3 },
  context,
});
mixerSuite('RWKV7', {
  spec: {
    kind: 'rwkv7',
    heads: 2,
    keyDim: 4,
    valueDim: 3,
    decayRank: 2,
    rateRank: 2,
    gateRank: 3,
    valueRank: 0,
  },
  context,
});
mixerSuite('KDA', {
  spec: { kind: 'kda', heads: 2, keyDim: 4, valueDim: 3, gateRank: 2, convSize: 4 },
  context,
});
mixerSuite('Gated DeltaNet with biases', {
  spec: { kind: 'gated_deltanet', heads: 2, keyDim: 4, valueDim: 3, convSize: 4, rope: true, qkvBias: true },
  context,
});
mixerSuite('JetBlock with biases', {
  spec: { ...releasedJetBlock({ heads: 2, keyDim: 4, valueDim: 4 }), generatorReduction: 2, qkvBias: true },
  context,
});
mixerSuite('JetBlock with rotation', {
  spec: { ...releasedJetBlock({ heads: 2, keyDim: 4, valueDim: 4 }), generatorReduction: 2, rope: true },
  context,
});

const fullAttention = { spec: { kind: 'attention' } as const, context };
const slidingWindow = (window: number, sinks = 0) => ({
  spec: { kind: 'sliding_window', window, sinks } as const,
  context,
});

describe('attention by plain loops', () => {
  const T = 20;
  const D = context.hiddenSize;
  // Cosines and sines are held in float32.
  const ROTATION = 1e-6;
  const random = new Random(2);
  const parameters = drawParameters(fullAttention, random);
  const x = draw(random, [1, T, context.hiddenSize]);

  /** Heads one by one, scores one by one; query head h reads key head floor(h / 2). */
  function byLoops(sees: (query: number, key: number, kv: number) => boolean) {
    const { numHeads, numKvHeads, headDim: d } = context;
    const project = (name: string, t: number, row: number) =>
      Array.from({ length: D }, (_, c) => x.data[t * D + c]! * parameters[name]!.data[row * D + c]!).reduce(
        (a, b) => a + b,
        0,
      );
    const rotated = (name: string, head: number, t: number) => {
      const raw = Array.from({ length: d }, (_, i) => project(`${name}_proj.weight`, t, head * d + i));
      return raw.map((value, i) => {
        const angle = t * ropeFrequencies(context)[i % (d / 2)]!;
        const other = i < d / 2 ? -raw[i + d / 2]! : raw[i - d / 2]!;
        return value * Math.cos(angle) + other * Math.sin(angle);
      });
    };
    const y = ndarray([1, T, D]);
    for (let h = 0; h < numHeads; h++) {
      const kv = Math.floor(h / (numHeads / numKvHeads));
      for (let t = 0; t < T; t++) {
        const query = rotated('q', h, t);
        const keys = Array.from({ length: t + 1 }, (_, s) => s).filter((s) => sees(t, s, kv));
        const weights = keys.map((s) => {
          const key = rotated('k', kv, s);
          return Math.exp(query.reduce((sum, value, i) => sum + value * key[i]!, 0) / Math.sqrt(d));
        });
        const total = weights.reduce((a, b) => a + b, 0);
        for (let i = 0; i < d; i++) {
          const o = keys.reduce(
            (sum, s, n) => sum + (weights[n]! / total) * project('v_proj.weight', s, kv * d + i),
            0,
          );
          for (let c = 0; c < D; c++) {
            const weight = parameters['o_proj.weight']!.data[c * numHeads * d + h * d + i]!;
            y.data[t * D + c]! += weight * o;
          }
        }
      }
    }
    return y;
  }

  test('grouped heads', () => {
    const { y } = exactly(fullAttention, 'chunk', parameters, { x });
    expectClose(
      'y',
      y,
      byLoops(() => true),
      ROTATION,
    );
  });

  test('a window of w sees w keys, the query’s own among them', () => {
    for (const window of [1, 3, 8]) {
      const { y } = exactly(slidingWindow(window), 'chunk', parameters, { x });
      expectClose(
        `window ${window}`,
        y,
        byLoops((query, key) => query - key < window),
        ROTATION,
      );
    }
  });

  test('sinks: the first s keys of the text are seen, too, at their own positions', () => {
    for (const [window, sinks] of [
      [1, 1],
      [3, 4],
      [8, 2],
      [4, T],
    ] as const) {
      const { y } = exactly(slidingWindow(window, sinks), 'chunk', parameters, { x });
      const expected = byLoops((query, key) => query - key < window || key < sinks);
      expectClose(`window ${window}, sinks ${sinks}`, y, expected, ROTATION);
    }
  });

  test('sinks are the first tokens of the text, not of the row: padding on the left, one call or several', () => {
    const [window, sinks, padding] = [3, 4, 5];
    const expected = byLoops((query, key) => query - key < window || key < sinks);
    const rows = ndarray([1, padding + T, D], [...draw(random, [padding * D]).data, ...x.data]);
    const counted = (from: number, to: number, first: number) =>
      ndarray(
        [1, to - from],
        Array.from({ length: to - from }, (_, i) => Math.max(0, from + i - first)),
      );
    const padded = exactly(slidingWindow(window, sinks), 'chunk', parameters, {
      x: rows,
      mask: ndarray(
        [1, padding + T],
        Array.from({ length: padding + T }, (_, i) => (i < padding ? 0 : 1)),
      ),
      positions: counted(0, padding + T, padding),
    });
    expectClose('padded', slice(padded.y, 1, padding, padding + T), expected, ROTATION);
    // The first call ends before all sinks are there.
    for (const cut of [1, 3, 4, 6]) {
      const first = exactly(slidingWindow(window, sinks), 'chunk', parameters, { x: slice(x, 1, 0, cut) });
      const second = exactly(slidingWindow(window, sinks), 'chunk', parameters, {
        x: slice(x, 1, cut, T),
        state: first.state,
        positions: counted(cut, T, 0),
      });
      expectClose(`cut at ${cut}`, second.y, slice(expected, 1, cut, T), ROTATION);
    }
  });

  test('heads that see all tokens beside heads that see a window and sinks', () => {
    for (const full of [0, 1]) {
      const spec = { kind: 'head_attention', fullHeads: [full], window: 3, sinks: 2 } as const;
      const { y } = exactly({ spec, context }, 'chunk', parameters, { x });
      const near = (query: number, key: number) => query - key < 3 || key < 2;
      const expected = byLoops((query, key, head) => head === full || near(query, key));
      expectClose(`head ${full}`, y, expected, ROTATION);
    }
  });

  test('a window no shorter than the sequence is attention', () => {
    const { y } = exactly(fullAttention, 'chunk', parameters, { x });
    for (const window of [T, T + 1]) {
      expectClose(`${window}`, exactly(slidingWindow(window), 'chunk', parameters, { x }).y, y, 1e-12);
    }
  });
});

describe('starting from attention', () => {
  const random = new Random(4);
  const attention = new Map(
    Object.entries(drawParameters(fullAttention, random)).map(([name, { data }]) => [
      name,
      Float32Array.from(data),
    ]),
  );
  const { hiddenSize: D, numHeads, headDim: d } = context;
  const start = (spec: MixerSpec) => mixerOf(spec).fromAttention(spec, context, attention, new Random(1));
  const rows = (weights: Float32Array, from: number, to: number) => [...weights.subarray(from * D, to * D)];
  const column = (weights: Float32Array, c: number) =>
    Array.from({ length: D }, (_, r) => weights[(r * weights.length) / D + c]!);

  const more = {
    retnet: {},
    gla: { gateRank: 2, rope: false },
    deltanet: { convSize: 4, rope: false },
    gated_deltanet: { convSize: 4, rope: false },
    kda: { gateRank: 2, convSize: 4 },
    jet_block: releasedJetBlock({ heads: numHeads, keyDim: d, valueDim: d }),
  };
  for (const kind of Object.keys(more) as (keyof typeof more)[]) {
    const spec = (heads: number, keyDim: number, valueDim: number) =>
      ({ ...more[kind], kind, heads, keyDim, valueDim }) as MixerSpec;

    test(`${kind}: of the same heads, all four projections, keys and values for every query head`, () => {
      const values = start(spec(numHeads, d, d));
      expect(values.get('q_proj.weight')).toEqual(attention.get('q_proj.weight'));
      expect(values.get('o_proj.weight')).toEqual(attention.get('o_proj.weight'));
      for (const name of ['k_proj.weight', 'v_proj.weight']) {
        for (let h = 0; h < numHeads; h++) {
          const kv = Math.floor(h / 2);
          const expected = rows(attention.get(name)!, kv * d, (kv + 1) * d);
          expect(rows(values.get(name)!, h * d, (h + 1) * d), `${name}, head ${h}`).toEqual(expected);
        }
      }
    });

    test(`${kind}: of other heads, what fits`, () => {
      const values = start(spec(2, 3, 6));
      for (let h = 0; h < 2; h++) {
        const q = rows(attention.get('q_proj.weight')!, h * d, h * d + 3);
        expect(rows(values.get('q_proj.weight')!, h * 3, h * 3 + 3)).toEqual(q);
        // Both heads share the first key and value head.
        const v = rows(attention.get('v_proj.weight')!, 0, d);
        expect(rows(values.get('v_proj.weight')!, h * 6, h * 6 + d)).toEqual(v);
        for (let i = 0; i < d; i++) {
          const o = column(attention.get('o_proj.weight')!, h * d + i);
          expect(column(values.get('o_proj.weight')!, h * 6 + i)).toEqual(o);
        }
      }
      const drawn = rows(values.get('v_proj.weight')!, d, 6);
      expect(drawn.every((value) => value !== 0)).toBe(true);
    });
  }

  test('mamba2: values, keys and queries as x, B and C of one projection', () => {
    const spec: MixerSpec = {
      kind: 'mamba2',
      heads: 4,
      keyDim: d,
      valueDim: d,
      headsPerGroup: 1,
      convSize: 4,
    };
    const values = start(spec);
    const width = numHeads * d;
    const projection = (n: number) => rows(values.get('in_proj.weight')!, n * width, (n + 1) * width);
    const expanded = (name: string) => [...expandHeadBlocks(attention.get(name)!, context)];
    expect(projection(1)).toEqual(expanded('v_proj.weight'));
    expect(projection(2)).toEqual(expanded('k_proj.weight'));
    expect(projection(3)).toEqual([...attention.get('q_proj.weight')!]);
    expect(values.get('out_proj.weight')).toEqual(attention.get('o_proj.weight'));
  });

  test.each([
    { kind: 'retnet', heads: numHeads, keyDim: d, valueDim: d, qkNorm: true },
    { kind: 'gla', heads: numHeads, keyDim: d, valueDim: d, gateRank: 2, rope: true, qkNorm: true },
    { kind: 'mamba2', heads: numHeads, keyDim: d, valueDim: d, headsPerGroup: 1, convSize: 4, qkNorm: true },
  ] as const)('norms of queries and keys start from those of the attention: $kind', (spec) => {
    const norms = ['q_norm.weight', 'k_norm.weight'].map((name, n): [string, Float32Array] => [
      name,
      Float32Array.from({ length: d }, (_, i) => 1.5 + n + i / 8),
    ]);
    const parent = new Map([...attention, ...norms]);
    const values = mixerOf(spec).fromAttention(spec, { ...context, qkNorm: true }, parent, new Random(1));
    for (const [name, weight] of norms) expect(values.get(name), name).toEqual(weight);
    // A parent without norms leaves them at 1.
    expect([...start(spec).get('q_norm.weight')!]).toEqual(Array.from({ length: d }, () => 1));
  });

  test.each([
    { kind: 'retnet', heads: numHeads, keyDim: d, valueDim: d, qkvBias: true },
    { kind: 'gla', heads: numHeads, keyDim: d, valueDim: d, gateRank: 2, rope: true, qkvBias: true },
    { kind: 'deltanet', heads: numHeads, keyDim: d, valueDim: d, convSize: 0, rope: true, qkvBias: true },
    {
      kind: 'gated_deltanet',
      heads: numHeads,
      keyDim: d,
      valueDim: d,
      convSize: 4,
      rope: true,
      qkvBias: true,
    },
    { kind: 'kda', heads: numHeads, keyDim: d, valueDim: d, gateRank: 2, convSize: 4, qkvBias: true },
    { ...releasedJetBlock({ heads: numHeads, keyDim: d, valueDim: d }), qkvBias: true },
    {
      ...{ kind: 'rwkv7', heads: numHeads, keyDim: d, valueDim: d, qkvBias: true },
      ...{ decayRank: 2, rateRank: 2, gateRank: 2, valueRank: 0 },
    },
    { kind: 'mamba2', heads: numHeads, keyDim: d, valueDim: d, headsPerGroup: 1, convSize: 4 },
  ] as MixerSpec[])('biases of queries, keys and values start from those of the attention: $kind', (spec) => {
    const biases = (['q', 'k', 'v'] as const).map((letter, n) => {
      const size = (letter === 'q' ? numHeads : context.numKvHeads) * d;
      return [`${letter}_proj.bias`, Float32Array.from({ length: size }, (_, i) => n + i / 32)] as const;
    });
    const parent = new Map([...attention, ...biases]);
    const values = mixerOf(spec).fromAttention(spec, { ...context, qkvBias: true }, parent, new Random(1));
    const [q, k, v] = biases.map(([name, bias]) =>
      name.startsWith('q') ? bias : expandHeadBlocks(bias, context),
    ) as [Float32Array, Float32Array, Float32Array];
    if (spec.kind === 'mamba2') {
      expect([...values.get('conv1d.bias')!]).toEqual([...v, ...k, ...q]);
    } else {
      expect(values.get(spec.kind === 'rwkv7' ? 'r_proj.bias' : 'q_proj.bias')).toEqual(q);
      expect([values.get('k_proj.bias'), values.get('v_proj.bias')]).toEqual([k, v]);
    }
  });

  test('biases and norms of the attention have no place in a linear mixer that was not given one', () => {
    const names = (spec: MixerSpec) =>
      mixerOf(spec)
        .parameters(spec, { ...context, qkvBias: true, oBias: true, qkNorm: true })
        .map(({ name }) => name);
    const spec: GatedDeltaNetSpec = {
      kind: 'gated_deltanet',
      heads: 4,
      keyDim: 4,
      valueDim: 4,
      convSize: 0,
      rope: true,
    };
    expect(names(spec)).not.toContain('q_proj.bias');
    expect(names(spec)).not.toContain('q_norm.weight');
  });
});

test('an architecture on one line', () => {
  const gla: MixerSpec = { kind: 'gla', heads: 2, keyDim: 4, valueDim: 4, gateRank: 2, rope: false };
  expect(showArchitecture([gla, { kind: 'attention' }, { kind: 'sliding_window', window: 4 }])).toBe('GAW');
});
