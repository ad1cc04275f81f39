import { noticeBy, type OnProgress } from '../util/progress.ts';
import type { Identity } from '../util/store/identity.ts';
import { recall, remember } from '../util/store/kept.ts';
import { type Machine, thisMachine } from './machine.ts';

/**
 * Speeds are measured once: what was chosen by them must be chosen again when a run goes on, and a second measurement
 * would say otherwise. So it is kept with the machine that it was made on.
 */
export interface Measured<T> {
  machine: Machine;
  /** ONNX Runtime's; 0 for all cores. */
  threads: number;
  values: T;
}

/**
 * What `measure` gives, kept in a file. A measurement of another machine or with other threads is used all the same, and
 * said.
 *
 * @param identity what was measured
 * @throws OtherWorkError when the file keeps measurements of something else
 */
export async function measured<T>(
  path: string,
  identity: Identity,
  measure: () => Promise<T>,
  { threads = 0, onProgress }: { threads?: number | undefined; onProgress?: OnProgress | undefined },
): Promise<Measured<T>> {
  const onNotice = noticeBy(onProgress, 'measurements');
  const here = { machine: thisMachine(), threads };
  const kept = recall<Measured<T>>(path, identity, onNotice);
  if (kept) {
    const [then, now] = [conditions(kept), conditions(here)];
    if (then !== now) {
      onNotice(`${path} was measured on ${then}; the run goes on by it, though this is ${now}`);
    }
    return kept;
  }
  return remember(path, identity, async () => ({ ...here, values: await measure() }));
}

function conditions({ machine, threads }: Pick<Measured<unknown>, 'machine' | 'threads'>): string {
  const { processor, cores, onnxruntime } = machine;
  return `${processor}, ${cores} cores, ONNX Runtime ${onnxruntime}, ${threads || 'all'} threads`;
}
