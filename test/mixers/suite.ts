/**
 * What every token mixer must hold, whatever it computes: token by token, in chunks, step by step and prefill
 * followed by decoding are one function; padding leaves no trace; gradients are right; float32 is near float64.
 */
import { describe, expect, test } from 'vitest';
import { type NdArray, ndarray } from '../../src/graph/index.ts';
import { mixerOf } from '../../src/mixers/registry.ts';
import { Random } from '../../src/util/random.ts';
import {
  type Arrays,
  type Call,
  draw,
  drawParameters,
  drawState,
  emptyState,
  evaluateAll,
  exactly,
  expectClose,
  expectSame,
  inFloat32,
  named,
  type Recorded,
  Runner,
  recordGradients,
  recordMixer,
  type Setup,
  slice,
  stepByStep,
} from './harness.ts';

/** Around a chunk of 64 and its halves, and ragged. */
const LENGTHS = [1, 63, 64, 65, 500];
/** Tokens of a growing cache that comes from before. */
const PAST = 3;
const FLOAT32 = 1e-5;
const FLOAT64 = 1e-9;

export function mixerSuite(title: string, setup: Setup): void {
  const { hiddenSize: D } = setup.context;

  // Attention has one form: what it is held against is the step by step computation, and its own tests.
  const twoForms = !mixerOf(setup.spec).anyLength;
  const forms = twoForms ? (['recurrent', 'chunk'] as const) : (['chunk'] as const);

  describe(title, () => {
    const random = new Random(1);
    const parameters = drawParameters(setup, random);

    for (const T of LENGTHS) {
      test(`${T} tokens from a state: recurrent = chunk = step by step`, async () => {
        const B = T > 100 ? 1 : 2;
        const call = {
          x: draw(random, [B, T, D]),
          state: drawState(setup, random, B, PAST),
          positions: positionsFrom(
            T,
            Array.from({ length: B }, () => PAST),
          ),
        };
        const definition = exactly(setup, 'recurrent', parameters, call);
        if (twoForms) expectSame('chunk', exactly(setup, 'chunk', parameters, call), definition, FLOAT64);
        expectSame('chunk, float32', await inFloat32(setup, 'chunk', parameters, call), definition, FLOAT32);
        const steps = await stepByStep(setup, parameters, call.x, call.state, PAST);
        expectSame('step by step', steps, definition, FLOAT32);
      });
    }

    test('a state of zeros is the start of a sequence; prefill, then chunks or steps, is the whole', async () => {
      const x = draw(random, [2, 75, D]);
      const whole = exactly(setup, 'chunk', parameters, { x });
      const steps = await stepByStep(setup, parameters, x, emptyState(setup, 2), 0);
      expectSame('steps from the start', steps, whole, FLOAT32);
      const first = await inFloat32(setup, 'chunk', parameters, { x: slice(x, 1, 0, 40) });
      expectClose('prefill', first.y, slice(whole.y, 1, 0, 40), FLOAT32);
      const rest = slice(x, 1, 40, 75);
      const chunk = await inFloat32(setup, 'chunk', parameters, {
        x: rest,
        state: first.state,
        positions: positionsFrom(35, [40, 40]),
      });
      expectSame('a second chunk', chunk, { ...whole, y: slice(whole.y, 1, 40, 75) }, FLOAT32);
      const decoded = await stepByStep(setup, parameters, rest, first.state, 40);
      expectSame('decoding', decoded, { ...whole, y: slice(whole.y, 1, 40, 75) }, FLOAT32);
    });

    for (const side of ['left', 'right'] as const) {
      test(`padding on the ${side} leaves no trace`, async () => {
        const [T, more] = [70, 6];
        // One sequence without padding, one a little, one with more than a window or a convolution holds.
        const lengths = [70, 66, 31];
        const tokens = lengths.map((length) => draw(random, [1, length + more, D]));
        const start = lengths.map((length) => (side === 'left' ? T - length : 0));
        const inside = (b: number, t: number) => t >= start[b]! && t < start[b]! + lengths[b]!;
        const x = draw(random, [3, T, D]);
        for (const [b, length] of lengths.entries()) {
          x.data.set(tokens[b]!.data.subarray(0, length * D), (b * T + start[b]!) * D);
        }
        const places = Array.from({ length: 3 * T }, (_, i) => ({ b: Math.floor(i / T), t: i % T }));
        const call = {
          x,
          mask: ndarray(
            [3, T],
            places.map(({ b, t }) => (inside(b, t) ? 1 : 0)),
          ),
          positions: ndarray(
            [3, T],
            places.map(({ b, t }) => Math.max(0, t - start[b]!)),
          ),
        };
        for (const form of forms) {
          const padded = exactly(setup, form, parameters, call);
          const next = ndarray(
            [3, more, D],
            tokens.flatMap((sequence, b) => [...sequence.data.subarray(lengths[b]! * D)]),
          );
          const decoded = await stepByStep(setup, parameters, next, padded.state, lengths);
          for (const [b, length] of lengths.entries()) {
            const alone = exactly(setup, 'chunk', parameters, { x: tokens[b]! });
            const y = slice(slice(padded.y, 0, b, b + 1), 1, start[b]!, start[b]! + length);
            expectClose(`${form}: outputs`, y, slice(alone.y, 1, 0, length), FLOAT32);
            const after = slice(alone.y, 1, length, length + more);
            expectClose(`${form}: decoding after it`, slice(decoded.y, 0, b, b + 1), after, FLOAT32);
          }
        }
      });
    }

    test('a call of padding alone leaves a state as it was', async () => {
      const state = drawState(setup, random, 2, PAST);
      const call: Call = {
        x: draw(random, [2, 5, D]),
        state,
        mask: ndarray([2, 5], [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]),
        positions: positionsFrom(5, [PAST, PAST]),
      };
      const next = draw(random, [2, 1, D]);
      for (const form of forms) {
        const after = exactly(setup, form, parameters, call);
        const [first, second] = [0, 1].map((b) => batchOf(after.state, b)) as [Arrays, Arrays];
        const step = (b: number, from: Arrays, position: number) =>
          stepByStep(setup, parameters, slice(next, 0, b, b + 1), from, position);
        // The first sequence had padding only; the second two tokens, then padding.
        const untouched = await step(0, batchOf(state, 0), PAST);
        expectClose(`${form}: nothing`, (await step(0, first, PAST)).y, untouched.y, FLOAT32);
        const two = exactly(setup, 'recurrent', parameters, {
          x: slice(slice(call.x, 0, 1, 2), 1, 0, 2),
          state: batchOf(state, 1),
          positions: positionsFrom(2, [PAST]),
        });
        const expected = await step(1, two.state, PAST + 2);
        expectClose(`${form}: two tokens`, (await step(1, second, PAST + 2)).y, expected.y, FLOAT32);
      }
    });

    test('gradients of the chunk form are those of the recurrent form, in float32 too', async () => {
      const call = {
        x: draw(random, [2, 70, D]),
        state: drawState(setup, random, 2, PAST),
        positions: positionsFrom(70, [PAST, PAST]),
      };
      const chunk = recordMixer(setup, 'chunk', 70, call);
      const values = { ...named(parameters, call), ...drawSeeds(random, chunk, call) };
      const gradientsOf = (recorded: Recorded) => {
        const { seeds, gradients } = recordGradients(recorded);
        return evaluateAll(gradients, { ...recorded.inputs, ...seeds }, values);
      };
      const expected = gradientsOf(recordMixer(setup, 'recurrent', 70, call));
      const actual = gradientsOf(chunk);
      const runner = await Runner.compile(recordGradients(chunk).gradients);
      const float32 = await runner.run(values);
      await runner.dispose();
      for (const [name, gradient] of Object.entries(expected)) {
        expectClose(`d ${name}`, actual[name]!, gradient, FLOAT64);
        expectClose(`d ${name}, float32`, float32[name]!, gradient, 1e-4);
      }
    });

    test('gradients are those of central finite differences', () => {
      const call = {
        x: draw(random, [1, 36, D]),
        state: drawState(setup, random, 1, PAST),
        positions: positionsFrom(36, [PAST]),
      };
      const recorded = recordMixer(setup, 'chunk', 36, call);
      const seedValues = drawSeeds(random, recorded, call);
      const values = { ...named(parameters, call), ...seedValues };
      const { seeds, gradients } = recordGradients(recorded);
      const analytic = evaluateAll(gradients, { ...recorded.inputs, ...seeds }, values);
      const objective = (changed: Arrays) => {
        const { y, state } = recorded;
        const outputs = {
          y,
          ...Object.fromEntries(Object.entries(state).map(([name, s]) => [`new ${name}`, s])),
        };
        const results = evaluateAll(outputs, recorded.inputs, changed);
        return Object.entries(results).reduce(
          (sum, [name, { data }]) =>
            sum + data.reduce((s, v, i) => s + v * (seedValues[`seed ${name}`]?.data[i] ?? 0), 0),
          0,
        );
      };
      const step = 1e-5;
      for (const [name, gradient] of Object.entries(analytic)) {
        const value = values[name]!;
        const largest = gradient.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        expect(largest, `d ${name}`).toBeGreaterThan(0);
        for (let sample = 0; sample < 2; sample++) {
          const i = random.below(value.data.length);
          const moved = (by: number) => {
            const copy = ndarray(value.shape, value.data);
            copy.data[i]! += by;
            return objective({ ...values, [name]: copy });
          };
          const numeric = (moved(step) - moved(-step)) / (2 * step);
          expect(Math.abs(numeric - gradient.data[i]!) / largest, `d ${name}[${i}]`).toBeLessThan(1e-6);
        }
      }
    });

    test('starts from an attention layer with finite values of the declared shapes', () => {
      const { spec, context } = setup;
      const attention = mixerOf({ kind: 'attention' });
      const drawn = new Map(
        attention
          .parameters({ kind: 'attention' }, context)
          .map(({ name, init }) => [name, init(random)] as const),
      );
      const values = mixerOf(spec).fromAttention(spec, context, drawn, random);
      const declared = mixerOf(spec).parameters(spec, context);
      expect([...values.keys()].sort()).toEqual(declared.map(({ name }) => name).sort());
      for (const { name, shape } of declared) {
        expect(values.get(name)!.length, name).toBe(shape.reduce((a, b) => a * b, 1));
        expect(values.get(name)!.every(Number.isFinite), name).toBe(true);
      }
    });
  });
}

/** [B, T]: T positions from the given one of each sequence on. */
function positionsFrom(T: number, starts: readonly number[]): NdArray {
  return ndarray(
    [starts.length, T],
    starts.flatMap((start) => Array.from({ length: T }, (_, t) => start + t)),
  );
}

/** One sequence of a state. */
function batchOf(state: Arrays, b: number): Arrays {
  return Object.fromEntries(Object.entries(state).map(([name, x]) => [name, slice(x, 0, b, b + 1)]));
}

/** Weights of the outputs in the sum that is differentiated. */
function drawSeeds(random: Random, { state }: Recorded, call: Call): Arrays {
  const shapes = Object.keys(state).filter((name) => !name.endsWith('valid'));
  return {
    'seed y': draw(random, call.x.shape),
    ...Object.fromEntries(
      shapes.map((name) => [`seed new ${name}`, draw(random, stateShape(state[name]!.shape, call))]),
    ),
  };
}

function stateShape(shape: readonly (number | string)[], call: Call): number[] {
  const [B, T] = call.x.shape as [number, number];
  const sizes: Record<string, number> = { B, [`P+${T}`]: PAST + T };
  return shape.map((dim) => (typeof dim === 'number' ? dim : sizes[dim]!));
}
