import type { Values } from '../../graph/index.ts';
import type { Parameter } from '../../mixers/mixer.ts';
import { hasLinear, isLinear, mixerOf } from '../../mixers/registry.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import { ParameterVector } from '../../train/parameters.ts';
import { InputError } from '../../util/errors.ts';
import { Random } from '../../util/random.ts';
import type { Branch, Network } from './network.ts';
import type { NetworkWeight, TrainedWeights } from './trained-weights.ts';

/**
 * The trained weights of new branches, one per layer, in one vector. Of a block beside a window these are the block's: the window's
 * are those of the layer's attention, which are not copied.
 */
export class BranchWeights implements TrainedWeights {
  readonly vector: ParameterVector;
  /** Which branch of its layer each of them has become. */
  private readonly attached = new Map<number, number>();
  /** What `values` gave, by layer. */
  private readonly given = new Map<number, Readonly<Values>>();

  /**
   * @throws InputError for a layer that the network does not have, one given twice, or none; for a block beside a window
   *   where a layer has no attention to start it from
   */
  constructor(
    readonly network: Network,
    /** The layers that get a branch. */
    readonly layers: readonly number[],
    readonly spec: MixerSpec,
  ) {
    const count = network.branches.length;
    const wrong = layers.find((layer, i) => !network.branches[layer] || layers.indexOf(layer) !== i);
    if (layers.length === 0 || wrong !== undefined) {
      throw new InputError(`layers [${layers}]: expected different ones of 0 to ${count - 1}`);
    }
    const linear = layers.find((layer) => isLinear(network.branches[layer]![0]!.spec));
    if (isBoth(spec) && linear !== undefined) {
      const { kind } = network.branches[linear]![0]!.spec;
      throw new InputError(`layer ${linear} is ${kind}: a block beside a window starts from attention`);
    }
    const { beside, parameters } = mixerOf(spec);
    const own = parameters(spec, network.config).filter(({ name }) => beside?.owns(name) ?? true);
    this.vector = new ParameterVector(
      layers.flatMap((layer) => own.map((p): Parameter => ({ ...p, name: `${layer}.${p.name}` }))),
    );
  }

  /** The mixer's weights of a layer, without a copy, relative to the layer's `self_attn.`: the same object each time. */
  values(layer: number): Readonly<Values> {
    const known = this.given.get(layer);
    if (known) return known;
    const { network, spec } = this;
    const own = this.vector.values('', `${layer}.`);
    const { weights } = network.branches[layer]![0]!;
    const names = mixerOf(spec).parameters(spec, network.config);
    const values = Object.fromEntries(names.map(({ name }) => [name, own[name] ?? weights[name]!]));
    this.given.set(layer, values);
    return values;
  }

  /** The names of the weights that are trained in every layer. */
  get trained(): string[] {
    const [first] = this.layers as [number];
    return Object.keys(this.vector.values('', `${first}.`));
  }

  /** Those whose names begin with a prefix, without it: the same arrays. */
  partOf(layer: number, prefix: string): Readonly<Values> {
    return this.vector.values('', `${layer}.${prefix}`);
  }

  /** The part of a gradient that belongs to a layer, under the names of the programs' outputs: `grad.` and its own. */
  gradients(layer: number, gradient: ParameterVector): Readonly<Values> {
    return gradient.values('grad.', `${layer}.`);
  }

  /** Starts every branch from the weights of its layer's own mixer. */
  initialise(seed: number): void {
    const { network, spec } = this;
    for (const layer of this.layers) {
      // A generator per layer: a layer starts the same whichever others are aligned with it.
      const random = new Random(seed * 1009 + layer);
      const weights = startFrom(network.branches[layer]![0]!, spec, network.config, random);
      for (const name of this.trained) this.vector.view(`${layer}.${name}`).set(weights.get(name)!);
    }
  }

  /** Makes the branches part of the network; training the vector afterwards trains them there. */
  attach(): void {
    for (const layer of this.layers) {
      this.attached.set(
        layer,
        this.network.addBranch(layer, { spec: this.spec, weights: this.values(layer) }),
      );
    }
  }

  nameOf({ layer, branch, name }: NetworkWeight): string | undefined {
    const own = layer !== undefined && branch !== undefined && this.attached.get(layer) === branch;
    return own && this.trained.includes(name) ? `${layer}.${name}` : undefined;
  }
}

/** Whether a mixer has attention and a linear mixer beside it. */
function isBoth(spec: MixerSpec): boolean {
  return hasLinear(spec) && !isLinear(spec);
}

/** First weights of a mixer that takes the place of the parent's. */
function startFrom(
  parent: Branch,
  spec: MixerSpec,
  config: ModelConfig,
  random: Random,
): Map<string, Float32Array> {
  const weights = new Map(
    Object.entries(parent.weights).map(([name, { data }]) => [name, data as Float32Array]),
  );
  if (!isLinear(parent.spec) && !(isBoth(parent.spec) && isBoth(spec))) {
    return mixerOf(spec).fromAttention(spec, config, weights, random);
  }
  // The parent is a hybrid: what has the same name and size is copied, all of it for the same mixer.
  return new Map(
    mixerOf(spec)
      .parameters(spec, config)
      .map(({ name, init }) => {
        const fresh = init(random);
        const old = weights.get(name);
        return [name, old?.length === fresh.length ? old : fresh];
      }),
  );
}
