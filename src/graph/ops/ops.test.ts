import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { opCases } from '../../../test/graph/cases/index.ts';
import { checkDefinition, checkGradient, checkProgram } from '../../../test/graph/check-case.ts';
import type { OpCase } from '../../../test/graph/op-case.ts';

/** Exported from the op files without being ops: helpers of shape rules and evaluations. */
const HELPERS = new Set(['broadcastShapes', 'broadcastValues', 'normalizeAxes', 'plainProduct']);

const byOp = new Map<string, OpCase[]>();
for (const opCase of opCases) byOp.set(opCase.op, [...(byOp.get(opCase.op) ?? []), opCase]);

describe('every exported op', async () => {
  const files = readdirSync(import.meta.dirname).filter((file) => /^[^.]+\.ts$/.test(file));
  for (const file of files) {
    const exports: Record<string, unknown> = await import(`./${file}`);
    for (const [name, value] of Object.entries(exports)) {
      if (typeof value !== 'function' || HELPERS.has(name)) continue;
      test(`${name} of ${file} has cases of three shapes, one of them symbolic`, () => {
        const cases = byOp.get(name) ?? [];
        const shapes = new Set(
          cases.flatMap(({ inputs, sizes = [{}] }) =>
            sizes.map((size) => JSON.stringify([Object.values(inputs).map(({ shape }) => shape), size])),
          ),
        );
        expect(shapes.size).toBeGreaterThanOrEqual(3);
        const symbolic = cases.some(({ inputs }) =>
          Object.values(inputs).some(({ shape }) => shape.some((dim) => typeof dim === 'string')),
        );
        expect(symbolic).toBe(true);
      });
    }
  }
});

for (const [op, cases] of byOp) {
  describe(op, () => {
    for (const opCase of cases) {
      const { title, sizes = [{}], noFloat16 } = opCase;
      const takesFloats = Object.values(opCase.inputs).some(({ dtype = 'float32' }) => dtype === 'float32');
      test(`${title}: definition`, () => {
        for (const size of sizes) checkDefinition(opCase, size);
      });
      test(`${title}: gradient`, () => {
        for (const size of sizes) checkGradient(opCase, size);
      });
      test(`${title}: program`, () => checkProgram(opCase));
      if (takesFloats && !noFloat16) {
        test(`${title}: program in float16`, () => checkProgram(opCase, { float: 'float16' }));
      }
    }
  });
}
