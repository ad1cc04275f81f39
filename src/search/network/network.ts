import { createHash } from 'node:crypto';
import type { Value, Values } from '../../graph/index.ts';
import { mixerOf, sourceOf } from '../../mixers/registry.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import { readValues } from '../../model/layer-programs.ts';
import { layerParameters, layerPrefix } from '../../model/parameters.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { InputError } from '../../util/errors.ts';

/**
 * A network of branches: in each layer the parent's attention and any number of other mixers beside it, all
 * around the same frozen MLP. A path chooses one branch per layer. The super network of PostNAS is this with one
 * linear branch per layer; an ordinary model is this without any.
 */
export interface Branch {
  spec: MixerSpec;
  /** The mixer's weights, relative to the layer's `self_attn.` */
  weights: Values;
}

/** @throws InputError for a mixer that depends on other layers: layers are computed one by one here */
function checkAlone(layer: number, spec: MixerSpec): void {
  if (mixerOf(spec).coupled?.(spec)) {
    throw new InputError(
      `layer ${layer} is a ${spec.kind} mixer that takes values from another layer: it cannot be part of a search`,
    );
  }
}

export class Network {
  /** Embedding, final norm and head by their full names. */
  readonly outer: Values;
  /** Per layer: norms and MLP, relative to the layer's prefix. */
  readonly layers: Values[];
  /** Per layer: the branches; the first is the parent's own mixer. */
  readonly branches: Branch[][];

  constructor(
    readonly config: ModelConfig,
    weights: TensorSource,
  ) {
    for (const [i, spec] of config.layers.entries()) checkAlone(i, spec);
    this.outer = readValues(weights, [
      'model.embed_tokens.weight',
      'model.norm.weight',
      ...(config.tieWordEmbeddings ? [] : ['lm_head.weight']),
    ]);
    const mixer = 'self_attn.';
    const split = config.layers.map((spec, i) => {
      const names = layerParameters(config, spec).map(({ name }) => name);
      const read = (wanted: readonly string[]) => readValues(weights, wanted, layerPrefix(i));
      const own = read(names.filter((name) => name.startsWith(mixer)));
      return {
        shared: read(names.filter((name) => !name.startsWith(mixer))),
        own: Object.fromEntries(
          Object.entries(own).map(([name, value]) => [name.slice(mixer.length), value]),
        ),
      };
    });
    this.layers = split.map(({ shared }) => shared);
    this.branches = split.map(({ own }, i) => [{ spec: config.layers[i]!, weights: own }]);
  }

  get embedding(): Value {
    return this.outer['model.embed_tokens.weight']!;
  }

  /** A hash of the configuration and of all weights, those of the branches included: what the network is. */
  fingerprint(): string {
    const hash = createHash('sha256').update(JSON.stringify(this.config));
    const branches = this.branches.flat();
    for (const { spec } of branches) hash.update(JSON.stringify(spec)).update(sourceOf(spec));
    for (const values of [this.outer, ...this.layers, ...branches.map(({ weights }) => weights)]) {
      for (const [name, { data }] of Object.entries(values)) {
        const { buffer, byteOffset, byteLength } = data as Float32Array;
        hash.update(name).update(new Uint8Array(buffer, byteOffset, byteLength));
      }
    }
    return hash.digest('hex').slice(0, 16);
  }

  /** All weights of a layer with the chosen branch, relative to the layer's prefix. */
  layerValues(layer: number, branch: number): Values {
    const mixer = this.branches[layer]![branch]!.weights;
    return {
      ...this.layers[layer]!,
      ...Object.fromEntries(Object.entries(mixer).map(([name, value]) => [`self_attn.${name}`, value])),
    };
  }

  /** Adds a branch to a layer and returns its number. */
  addBranch(layer: number, branch: Branch): number {
    checkAlone(layer, branch.spec);
    return this.branches[layer]!.push(branch) - 1;
  }

  /** The mixers along a path. */
  architecture(path: readonly number[]): MixerSpec[] {
    return path.map((branch, layer) => this.branches[layer]![branch]!.spec);
  }
}
