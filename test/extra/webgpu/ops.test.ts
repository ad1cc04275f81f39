import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  add,
  cumsum,
  exp,
  float32,
  input,
  linear,
  matmul,
  mul,
  Program,
  type Tensor,
  zeros,
} from '../../../src/graph/index.ts';
import { opCases } from '../../graph/cases/index.ts';
import { checkProgram } from '../../graph/check-case.ts';
import type { OpCase } from '../../graph/op-case.ts';
import { nodesOn } from './profile.ts';

/** Whatever runs on the CPU must give the same on WebGPU. Run by `npm run test:webgpu`. */
describe.each([...new Set(opCases.map(({ op }) => op))])('%s on webgpu', (op) => {
  for (const opCase of opCases.filter((candidate) => candidate.op === op)) {
    test.skipIf(opCase.noWebGpu)(opCase.title, () => checkProgram(opCase, { device: 'webgpu' }));
  }
});

/** The nodes on floats that ran on a provider, by the profile of a run. */
async function opsOn(provider: string, opCase: OpCase): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-profile-'));
  try {
    await checkProgram(opCase, { device: 'webgpu', profile: join(folder, 'run') });
    const [file] = readdirSync(folder) as [string];
    return nodesOn(join(folder, file))
      .filter((node) => node.provider === provider && node.floats)
      .map(({ op }) => op);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('no work on floats is left to the CPU, as work on integers and shapes may be:', () => {
  const first = new Map([...opCases].reverse().map((opCase) => [opCase.op, opCase]));
  test('the profile says where nodes run', async () => {
    expect(await opsOn('WebGpuExecutionProvider', first.get('exp')!)).toContain('Exp');
  });
  for (const [op, opCase] of first) {
    // In exported models alone, and in weights and caches of 8 bits, which are the CPU's.
    test.skipIf(['scan', 'integerProduct', 'nearestByte'].includes(op))(op, async () => {
      expect(await opsOn('CPUExecutionProvider', opCase)).toEqual([]);
    });
  }
});

describe('programs on webgpu', () => {
  test('a state that stays on the device from step to step', async () => {
    const state = input('state', 'float32', [4, 4]);
    const x = input('x', 'float32', [4, 4]);
    const outputs = { next: add(mul(state, 0.5), matmul(x, x)), seen: exp(state) };
    await using program = await Program.compile(outputs, { device: 'webgpu', keepOnDevice: ['next'] });
    const eye = float32(
      Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0)),
      [4, 4],
    );
    let held = zeros([4, 4]);
    for (let step = 0; step < 4; step++) {
      const { next, seen } = await program.run({ state: held, x: eye });
      expect(next!.location).toBe('gpu-buffer');
      expect(seen!.location).toBe('cpu');
      held.dispose();
      held = next!;
    }
    await using reader = await Program.compile({ state }, { device: 'webgpu' });
    const data = (await reader.run({ state: held })).state!.data as Float32Array;
    expect(data[0]).toBeCloseTo(1.875, 6);
    expect(data[1]).toBe(0);
    held.dispose();
  });

  test('weights as initialisers', async () => {
    const x = input('x', 'float32', ['T', 64]);
    const w = input('w', 'float32', [96, 64]);
    const y = cumsum(linear(x, w), 0);
    const values = (size: number, f: (i: number) => number) =>
      Float32Array.from({ length: size }, (_, i) => f(i));
    const weight = float32(values(96 * 64, Math.sin), [96, 64]);
    const weights = new Map<Tensor, typeof weight>([[w, weight]]);
    await using fixed = await Program.compile({ y }, { device: 'webgpu', weights });
    await using fed = await Program.compile({ y });
    const feed = float32(values(70 * 64, Math.cos), [70, 64]);
    const [a, b] = [await fixed.run({ x: feed }), await fed.run({ x: feed, w: weight })];
    const [left, right] = [a.y!.data as Float32Array, b.y!.data as Float32Array];
    expect(left.length).toBe(70 * 96);
    const error = left.reduce((top, value, i) => Math.max(top, Math.abs(value - right[i]!)), 0);
    expect(error).toBeLessThan(2e-3);
  });
});
