import { expect, test } from 'vitest';
import { DEFAULTS } from '../search/defaults.ts';
import { comparedMixers } from '../search/network/linear-mixer.ts';
import { commandLine, settingsOf } from './command-line.ts';
import { createProgram } from './program.ts';

test('a command line repeats what was asked for, and not what was there before', () => {
  expect(
    commandLine('search', 'a model', {
      out: 'runs/x',
      task: ['recall', 'choice:loss'],
      restart: true,
      json: true,
    }),
  ).toBe("postnas search 'a model' --out runs/x --task recall choice:loss");
});

test.each(['search', 'blocks', 'design', 'dimensions', 'distill'])(
  'what %s is told by its defaults alone is as in the table of defaults',
  async (name) => {
    const program = await createProgram(name);
    const options = program.commands.find((each) => each.name() === name)!.opts();
    const { seed: _, distillTemperature: __, placement: ___, ...told } = settingsOf(options);
    const { placement, comparison, dimensions, decode, final, ...shared } = DEFAULTS;
    const stage = { search: placement, blocks: comparison, design: comparison, distill: final }[name];
    const own: object = { ...shared, ...(stage ?? { ...comparison, ...dimensions, mixer: placement.mixer }) };
    const decoding = {
      decodeContext: decode.context,
      decodeTokens: decode.tokens,
      decodeRounds: decode.rounds,
    };
    const all = { ...own, ...decoding, mixers: comparedMixers() };
    for (const [key, value] of Object.entries(told))
      expect({ [key]: value }).toEqual({ [key]: (all as Record<string, unknown>)[key] });
  },
);
