import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { MemoryTensors } from '../../model/memory-tensors.ts';
import { layerPrefix } from '../../model/parameters.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { InputError } from '../../util/errors.ts';
import type { Path } from '../judge/scorer.ts';
import type { Network } from './network.ts';

/** A model in memory. */
export interface Hybrid {
  config: ModelConfig;
  weights: TensorSource;
}

/** A path through a network as a model of its own: what a search leaves behind. */
export function hybridOf(network: Network, path: Path): Hybrid {
  const layers = network.architecture(path);
  const changed = path.some((branch) => branch > 0);
  const weights = new MemoryTensors();
  const put = (name: string, { data, dims }: { data: unknown; dims: readonly number[] }) =>
    weights.set(name, { shape: [...dims], data: data as Float32Array<ArrayBuffer> });
  for (const [name, value] of Object.entries(network.outer)) put(name, value);
  for (const [layer, branch] of path.entries()) {
    for (const [name, value] of Object.entries(network.layerValues(layer, branch))) {
      put(layerPrefix(layer) + name, value);
    }
  }
  return {
    config: { ...network.config, layers, modelType: changed ? 'postnas' : network.config.modelType },
    weights,
  };
}

/** Whether a folder holds a whole model: not one whose files were cut off, or are not there. */
export function holdsModel(dir: string): boolean {
  try {
    openCheckpoint(dir);
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}
