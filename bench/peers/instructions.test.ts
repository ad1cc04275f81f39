import { expect, test } from 'vitest';
import { instructionSets } from './instructions.ts';

test.each([
  ['flags\t\t: fpu avx2 avx512_vnni avx512f', 'AVX2, AVX-512 VNNI, no AMX'],
  ['model name : Xeon\nflags : fpu avx2 amx_int8 avx_vnni', 'AVX2, AVX-VNNI, AMX'],
  ['Features\t: fp asimd asimddp', 'dot products of 8 bits'],
  ['flags : fpu', 'none for few bits'],
  ['', undefined],
])('%j', (cpuinfo, expected) => {
  expect(instructionSets(cpuinfo)).toBe(expected);
});
