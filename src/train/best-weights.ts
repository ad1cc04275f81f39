import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { SafetensorsFile, writeSafetensors } from '../model/safetensors.ts';
import type { ParameterVector } from './parameters.ts';

/** The weights that were the best on held-out data so far: in a file, or in memory where a run keeps no files. */
export class BestWeights {
  private held: { step: number; data: Float32Array<ArrayBuffer> } | undefined;

  constructor(private readonly path: string | undefined) {}

  keep(step: number, { data, size }: ParameterVector): void {
    if (this.path === undefined) {
      this.held = { step, data: data.slice() };
      return;
    }
    const check = checkSum(step, data);
    writeSafetensors(this.path, [{ name: 'parameters', dtype: 'F32', shape: [size], data }], {
      step: String(step),
      check,
    });
  }

  /** @returns whether the weights of that step were there, and are in `parameters` now */
  restore(step: number, parameters: ParameterVector): boolean {
    const data = this.held?.step === step ? this.held.data : this.stored(step);
    if (data?.length !== parameters.size) return false;
    parameters.data.set(data);
    return true;
  }

  /** Forgets them: the last weights are the best. */
  drop(): void {
    this.held = undefined;
    if (this.path !== undefined) rmSync(this.path, { force: true });
  }

  /** Nothing where the file is not there, damaged, or of another step. */
  private stored(step: number): Float32Array | undefined {
    if (this.path === undefined || !existsSync(this.path)) return undefined;
    try {
      const file = new SafetensorsFile(this.path);
      const data = file.read('parameters');
      return file.metadata.check === checkSum(step, data) ? data : undefined;
    } catch {
      return undefined;
    }
  }
}

function checkSum(step: number, { buffer, byteOffset, byteLength }: Float32Array): string {
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return createHash('sha256').update(String(step)).update(bytes).digest('hex').slice(0, 16);
}
