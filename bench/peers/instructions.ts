import { existsSync, readFileSync } from 'node:fs';

/** Flags of Linux for what kernels of products in few bits are chosen by, the fastest last. */
const SETS = [
  ['avx2', 'AVX2'],
  ['avx_vnni', 'AVX-VNNI'],
  ['avx512_vnni', 'AVX-512 VNNI'],
  ['amx_int8', 'AMX'],
  ['asimddp', 'dot products of 8 bits'],
  ['i8mm', 'matrix products of 8 bits'],
] as const;

/**
 * The instruction sets of this machine's processor: virtual machines hide some of them, so that its name does not say
 * it. undefined where the system does not tell.
 *
 * @param cpuinfo as Linux writes it
 */
export function instructionSets(cpuinfo = readCpuInfo()): string | undefined {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1];
  if (line === undefined) return undefined;
  const flags = new Set(line.trim().split(/\s+/));
  const known = SETS.filter(([flag]) => flags.has(flag)).map(([, name]) => name);
  const amx = flags.has('avx2') && !flags.has('amx_int8') ? ['no AMX'] : [];
  return [...known, ...amx].join(', ') || 'none for few bits';
}

function readCpuInfo(): string {
  return existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
}
