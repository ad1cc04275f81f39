import { expect, test } from 'vitest';
import { tinyConfig } from '../../../test/support/random-model.ts';
import { type Plan, planLines } from './plan.ts';

// A KV head keeps 2 x 8 x 4 bytes of a token: 100 tokens of 2 heads in 2 layers are 25.6 kB.
const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }]);
const plan: Plan = {
  ...{ model: 'm', config, windows: [8, 16], sinks: 4, cache: 'f32', out: 'runs/convert' },
  ...{ wanted: { context: 100_000 }, budgets: [{ heads: 1 }, { bytes: 5e6, milliseconds: 50 }] },
};

test('what is there, what will be done, and where it is kept', () => {
  const [model, positions, steps] = planLines(plan, { timed: true, compared: true });
  expect(model).toBe(
    'm: 2 layers of 2 KV heads, whose keys and values take 25.6 MB at 100,000 tokens (f32); windows of 8 or 16 + 4 tokens in all layers would take 0.0 MB or 0.0 MB',
  );
  expect(positions).toContain('the model knows 1,024 positions');
  expect(steps).toContain(
    '1. time full heads and windows on this machine after 100,000 tokens, 2. search, for 1 KV head; 5.0 MB and 20.0 tokens a second, which of the 4 KV heads',
  );
  expect(steps).toContain('3. compare the placement that is taken with m');
  expect(steps).toContain('all is kept in runs/convert');
});

test('what is left out is not told', () => {
  const lines = planLines({ ...plan, wanted: { context: 512 } }, { timed: false, compared: false });
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(/^1\. search/);
  expect(lines[1]).not.toContain('2.');
});
