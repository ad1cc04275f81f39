import { expect, test } from 'vitest';
import { EVERY_MIXER } from '../../../test/support/every-mixer.ts';
import { tinyConfig } from '../../../test/support/random-model.ts';
import { evaluate, input, type NdArray, ndarray, type Tensor } from '../../graph/index.ts';
import { float32 } from '../../graph/program.ts';
import { mixerOf } from '../../mixers/registry.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { ringPlace } from '../kv/ring.ts';
import { turnedWindow, validPlaces } from './windows.ts';

/** A window of a mixer, token by token, against the same tokens in a ring. */
test.each<[string, MixerSpec, number[]]>([
  ['a window', { kind: 'sliding_window', window: 5 }, [0, 1]],
  ['a window with sinks', { kind: 'sliding_window', window: 4, sinks: 3 }, [0, 1]],
  ['more sinks than the window', { kind: 'sliding_window', window: 2, sinks: 6 }, [0, 1]],
  ['a head of two', { kind: 'head_attention', fullHeads: [0], window: 4, sinks: 2 }, [1]],
  ['a window beside a linear mixer', { ...EVERY_MIXER.window_linear, window: 4, sinks: 3 }, [0, 1]],
])('%s, from a device and to it', (_, spec, heads) => {
  const config = tinyConfig([{ kind: 'attention' }, spec]);
  const { headDim: d, hiddenSize: D } = config;
  const { window, sinks = 0 } = spec as { window: number; sinks?: number };
  const mixer = mixerOf(spec);
  const parts = mixer.state(spec, config);
  const sizes = (shape: readonly unknown[], P: number) =>
    shape.map((dim) => (dim === 'B' ? 1 : dim === 'P' ? P : (dim as number)));
  const feeds = new Map<Tensor, NdArray>();
  const params = Object.fromEntries(
    mixer.parameters(spec, config).map(({ name, shape }) => {
      const x = input(name, 'float32', shape);
      const count = shape.reduce((a, b) => a * b, 1);
      feeds.set(
        x,
        ndarray(
          shape,
          Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) / 4),
        ),
      );
      return [name, x];
    }),
  );
  let state = new Map(parts.map(({ name, shape }) => [name, ndarray(sizes(shape, 0))]));
  const places = sinks + window;
  const ring = float32(new Float32Array(heads.length * places * d), [1, heads.length, places, d]);
  for (let t = 0; t < 14; t++) {
    const given = new Map(parts.map(({ name }) => [name, input(name, 'float32', state.get(name)!.shape)]));
    const x = input('x', 'float32', [1, 1, D]);
    const positions = input('positions', 'int64', [1, 1]);
    const mixerInput = { x, params, form: 'recurrent', positions, maxPositions: 20 } as const;
    const after = mixer.forward(spec, config, { ...mixerInput, state: Object.fromEntries(given) });
    const { k } = mixer.cached!.heads(spec, config, mixerInput);
    const now = new Map(feeds)
      .set(
        x,
        ndarray(
          [1, 1, D],
          Array.from({ length: D }, (_, i) => Math.cos(i + 3 * t)),
        ),
      )
      .set(positions, ndarray([1, 1], [t]));
    for (const [name, tensor] of given) now.set(tensor, state.get(name)!);
    const names = Object.keys(after.state);
    const values = evaluate([k, ...names.map((name) => after.state[name]!)], now);
    const [key, ...states] = values as [NdArray, ...NdArray[]];
    state = new Map(names.map((name, i) => [name, states[i]!]));
    for (const [i, head] of heads.entries()) {
      const at = (i * places + ringPlace({ window, sinks }, t)) * d;
      (ring.data as Float32Array).set(key.data.subarray(head * d, (head + 1) * d), at);
    }
    const of = (part: string) => state.get(spec.kind === 'sliding_window' ? part : `window_${part}`)!;
    const valid = validPlaces({ window, sinks }, t + 1);
    expect([...valid.data]).toEqual([...of('valid').data]);
    const device = turnedWindow(ring, { window, sinks }, t + 1, 'device');
    expect(turnedWindow(device, { window, sinks }, t + 1, 'ring').data).toEqual(ring.data);
    const expected = of('k');
    expect(device.dims).toEqual(expected.shape);
    for (const [n, value] of (device.data as Float32Array).entries()) {
      const place = Math.floor(n / d) % places;
      if (valid.data[place]) expect(value).toBeCloseTo(expected.data[n]!, 5);
    }
  }
});
