import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PythonRandom } from './python-random.ts';

/** Of CPython: test/golden/make_lm_eval_prompts.py. */
const { samples } = JSON.parse(
  readFileSync(new URL('../../test/golden/lm-eval-prompts.json', import.meta.url), 'utf8'),
) as { samples: { seed: number; draws: { of: number; count: number; drawn: number[] }[] }[] };

test.each(samples)("draws what Python's random does with the seed $seed", ({ seed, draws }) => {
  const random = new PythonRandom(seed);
  const drawn = draws.map(({ of, count }) =>
    random.sample(
      Array.from({ length: of }, (_, i) => i),
      count,
    ),
  );
  expect(drawn).toEqual(draws.map((each) => each.drawn));
});
