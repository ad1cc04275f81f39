import { availableParallelism, cpus } from 'node:os';
import { ENGINE_VERSION } from '../graph/index.ts';

/** What speeds hang on beside the work. */
export interface Machine {
  processor: string;
  cores: number;
  node: string;
  onnxruntime: string;
}

export function thisMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.version,
    onnxruntime: ENGINE_VERSION,
  };
}
