import type { Values } from '../../graph/index.ts';
import type { Parameter } from '../../mixers/mixer.ts';
import { mixerOf } from '../../mixers/registry.ts';
import { layerParameters, layerPrefix, modelParameters } from '../../model/parameters.ts';
import { ParameterVector, type TrainedParameter } from '../../train/parameters.ts';
import type { Network } from './network.ts';

/** A weight of a network: of a branch, of a layer around its branches, or of neither. */
export interface NetworkWeight {
  layer?: number;
  branch?: number;
  /** Relative to the branch or the layer; else the full name. */
  name: string;
}

/** The weights of a network that are trained: a vector whose views stand in the network, and what each is called in it. */
export interface TrainedWeights {
  readonly vector: ParameterVector;
  /** The name of a weight in the vector; undefined for one that is frozen. */
  nameOf(weight: NetworkWeight): string | undefined;
}

/**
 * Moves weights of a network into one vector, whose views then stand in the network: training the vector trains
 * them there. The arrays that they lay in keep their values.
 *
 * @param rateOf learning rate of a weight as a multiple of the schedule's; undefined for one that stays frozen
 */
export function gatherWeights(
  network: Network,
  rateOf: (weight: NetworkWeight) => number | undefined,
): TrainedWeights {
  const { config, outer, layers, branches } = network;
  const gathered: { parameter: TrainedParameter; values: Values; name: string }[] = [];
  const names = new Map<string, string>();
  const gather = (
    place: Omit<NetworkWeight, 'name'>,
    prefix: string,
    values: Values,
    parameters: readonly Parameter[],
  ) => {
    for (const parameter of parameters) {
      const { name } = parameter;
      const rate = values[name] && rateOf({ ...place, name });
      if (rate === undefined) continue;
      gathered.push({ parameter: { ...parameter, name: prefix + name, rate }, values, name });
      names.set(keyOf({ ...place, name }), prefix + name);
    }
  };
  gather({}, '', outer, modelParameters(config));
  for (const [layer, list] of branches.entries()) {
    gather({ layer }, layerPrefix(layer), layers[layer]!, layerParameters(config, list[0]!.spec));
    for (const [number, branch] of list.entries()) {
      // Values may be held by others, too.
      branch.weights = { ...branch.weights };
      const prefix = `${layerPrefix(layer)}${number === 0 ? '' : `branch_${number}.`}self_attn.`;
      const parameters = mixerOf(branch.spec).parameters(branch.spec, config);
      gather({ layer, branch: number }, prefix, branch.weights, parameters);
    }
  }
  const vector = new ParameterVector(gathered.map(({ parameter }) => parameter));
  const views = vector.values();
  for (const { parameter, values, name } of gathered) {
    vector.view(parameter.name).set(values[name]!.data as Float32Array);
    values[name] = views[parameter.name]!;
  }
  return { vector, nameOf: (weight) => names.get(keyOf(weight)) };
}

const keyOf = ({ layer, branch, name }: NetworkWeight) => JSON.stringify([layer, branch, name]);
