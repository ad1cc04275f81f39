import type { ModelConfig } from '../model/config.ts';
import { MemoryTensors } from '../model/memory-tensors.ts';
import { layerPrefix } from '../model/parameters.ts';
import type { TensorSource } from '../model/tensor-source.ts';
import type { Network } from './network.ts';
import type { Path } from './scorer.ts';

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
