import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

// In processes of their own: the setting stays.
test.each([
  ['the library leaves small numbers as they are', '', 'true true'],
  ['a process may have them be zeros', 'flushDenormals();', 'false false'],
])('%s', async (_, before, expected) => {
  const graph = JSON.stringify(resolve(import.meta.dirname, 'index.ts'));
  const script = `
    import { float32, flushDenormals, input, mul, Program } from ${graph};
    ${before}
    const y = mul(input('x', 'float32', [1]), 0.5);
    const program = await Program.compile({ y }, { threads: 1 });
    const { y: result } = await program.run({ x: float32(Float32Array.of(1e-39), [1]) });
    const half = Number('1e-310') / 2;
    console.log(result.data[0] !== 0, half !== 0);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout.trim()).toBe(expected);
});
