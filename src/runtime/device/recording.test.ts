import { expect, test } from 'vitest';
import { FullSequence, relativeError } from '../../../test/golden/full-sequence.ts';
import { EVERY_MIXER } from '../../../test/support/every-mixer.ts';
import { randomWeights, tinyConfig } from '../../../test/support/random-model.ts';
import { float32, input, Program, type Tensor, type Values, zeros } from '../../graph/index.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { head, weightInputs } from '../../model/decoder.ts';
import { headParameters } from '../../model/layer-programs.ts';
import { AngleTables } from '../angle-tables.ts';
import { MASKED } from '../kv/mask.ts';
import { BLOCK, deviceState, growingLayers, recordDecoder } from './recording.ts';

const near = (linear: (typeof EVERY_MIXER)['window_linear']['linear'], window: number): MixerSpec => ({
  kind: 'window_linear',
  window,
  linear,
});

// The programs of a device, on the CPU, where none of their values is out of reach.
test.each<[string, MixerSpec[]]>([
  ['windows and linear mixers', [EVERY_MIXER.sliding_window, EVERY_MIXER.gla]],
  ['windows beside linear mixers', [near(EVERY_MIXER.gated_deltanet, 5), near(EVERY_MIXER.gla, 3)]],
  ['full attention', [EVERY_MIXER.attention, EVERY_MIXER.gla]],
  ['windows with sinks', [{ kind: 'sliding_window', window: 5, sinks: 3 }, EVERY_MIXER.window_linear]],
  [
    'beside a mixer without a fused form',
    [near(EVERY_MIXER.rwkv7, 5), EVERY_MIXER.rwkv7, EVERY_MIXER.attention],
  ],
  [
    'heads that see everything beside windows',
    [
      EVERY_MIXER.head_attention,
      { kind: 'head_attention', fullHeads: [1], window: 6 },
      EVERY_MIXER.attention,
    ],
  ],
])('%s: pieces and steps give the logits of the whole sequence', async (_, layers) => {
  const config = tinyConfig(layers);
  const { hiddenSize: D, vocabSize } = config;
  const source = randomWeights(config);
  const ids = Array.from({ length: 24 }, (_, i) => (11 * i + 3) % vocabSize);
  const full = new FullSequence(config, source);
  const expected = await full.logits(ids);
  await full.dispose();

  const compile = (outputs: Record<string, Tensor>, weights: Record<string, Tensor>) =>
    Program.compile(outputs, {
      threads: 1,
      weights: new Map(
        Object.entries(weights).map(([name, x]) => [x, float32(source.read(name), source.info(name).shape)]),
      ),
    });
  const ofHead = weightInputs(headParameters(config));
  const logits = await compile({ logits: head(config, input('x', 'float32', [1, 1, D]), ofHead) }, ofHead);
  const table = source.read('model.embed_tokens.weight');
  let state: Values = Object.fromEntries(
    deviceState(config).map(({ name, shape }) => [name, zeros([1, ...shape])]),
  );
  // Without a past: of it a block that is hidden, as is the first place of the tail.
  const growing = growingLayers(config);
  const { headDim: d } = config;
  const past: Values = { hidden: float32(new Float32Array(BLOCK).fill(MASKED), [1, 1, BLOCK]) };
  for (const [layer, heads] of growing) {
    past[`${layer}.pastK`] = zeros([1, heads, d, BLOCK]);
    past[`${layer}.pastV`] = zeros([1, heads, BLOCK, d]);
    state[`${layer}.tailK`] = zeros([1, heads, d, 1]);
    state[`${layer}.tailV`] = zeros([1, heads, 1, d]);
  }
  const biasOf = (before: number, count: number) => {
    const places = 1 + before + count;
    const hidden = (t: number, s: number) => s === 0 || s > 1 + before + t;
    const bias = Float32Array.from({ length: count * places }, (_, i) =>
      hidden(Math.floor(i / places), i % places) ? MASKED : 0,
    );
    return float32(bias, [1, count, places]);
  };
  let at = 0;
  for (const count of [9, 7, 1, 1, 6]) {
    const { outputs, weights, rotated } = recordDecoder(config, count === 1 ? 'step' : 'piece', 16);
    const program = await compile(outputs, weights);
    const tables = new AngleTables(config, rotated, count);
    tables.fill(Array.from({ length: count }, (_, i) => at + i));
    const rows = ids.slice(at, at + count).flatMap((id) => [...table.subarray(id * D, (id + 1) * D)]);
    const feeds = { x: float32(Float32Array.from(rows), [1, count, D]), ...tables.values, ...state };
    if (growing.size > 0) Object.assign(feeds, past, { bias: biasOf(at, count) });
    const { last, x: _all, ...after } = await program.run(feeds);
    await program.dispose();
    expect(Object.keys(after).sort()).toEqual(Object.keys(state).sort());
    state = after;
    at += count;
    const found = (await logits.run({ x: last! })).logits!.data as Float32Array;
    expect(relativeError(found, expected[at - 1]!), `after ${at}`).toBeLessThan(1e-4);
  }
  await logits.dispose();
});
