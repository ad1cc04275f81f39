import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Time on the device by kernel, as ONNX Runtime's profiles have it. */

interface Event {
  cat: string;
  /** Of a kernel: NODE&OP&KERNEL. */
  name: string;
  /** Microseconds. */
  dur: number;
  args?: { shapes?: string };
}

export interface KernelTime {
  ms: number;
  runs: number;
}

/** @param run is given the prefix of profiles; their sessions are disposed of when it ends */
export async function kernelTimes(
  run: (profile: string) => Promise<void>,
  { shapes = false } = {},
): Promise<Map<string, KernelTime>> {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-profile-'));
  try {
    await run(join(folder, 'run'));
    const sums = new Map<string, KernelTime>();
    for (const file of readdirSync(folder)) {
      const events: Event[] = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      for (const { cat, name, dur, args } of events) {
        if (cat !== 'Api') continue;
        const kernel = name.split('&').slice(1).join(' ');
        const key = shapes ? `${kernel} ${args?.shapes?.replaceAll(/(in|out)puts/g, '') ?? ''}` : kernel;
        const { ms, runs } = sums.get(key) ?? { ms: 0, runs: 0 };
        sums.set(key, { ms: ms + dur / 1000, runs: runs + 1 });
      }
    }
    return sums;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
