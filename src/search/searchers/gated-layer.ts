import {
  add,
  expand,
  gradients,
  input,
  mul,
  type Program,
  reshape,
  sub,
  type Tensor,
  type Value,
  type Values,
} from '../../graph/index.ts';
import { mixerOf } from '../../mixers/registry.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { recordLayer, type Stream, type Weights, weightInputs } from '../../model/decoder.ts';
import type { LayerPrograms } from '../../model/layer-programs.ts';
import { layerParameters } from '../../model/parameters.ts';
import type { Network } from '../network/network.ts';

/**
 * A layer that has both of what it chooses between: gate of what the parent's attention gives, and 1 - gate of what it is
 * exchanged for. One gate stands for the layer, or one for each KV head where both are attention of the same weights.
 */
export class GatedLayer {
  constructor(
    private readonly programs: LayerPrograms,
    private readonly network: Network,
    /** Of each layer, what attention is exchanged for. */
    private readonly branch: readonly number[],
    /** Of each layer: 1, or as many as KV heads. */
    private readonly gates: number,
  ) {}

  /** x [B, T, D] after the layer. */
  async forward(layer: number, x: Value, gate: Value): Promise<Value> {
    const program = await this.program(layer, 'forward', (y) => ({ y }));
    const { y } = await this.programs.memory.run(program, await this.feeds(layer, { x, gate }));
    return y!;
  }

  /**
   * The forward pass once more, and backwards.
   *
   * @param above the gradient of what `forward` gave [B, T, D]
   */
  async backward(layer: number, x: Value, gate: Value, above: Value): Promise<{ below: Value; gate: Value }> {
    const program = await this.program(layer, 'backward', (y, given) => {
      const [below, ofGate] = gradients(
        [{ output: y, seed: this.programs.hidden('above') }],
        [given.x, given.gate],
      );
      return { below: below!, gate: ofGate! };
    });
    const found = await this.programs.memory.run(program, await this.feeds(layer, { x, gate, above }));
    return { below: found.below!, gate: found.gate! };
  }

  private program(
    layer: number,
    name: string,
    outputs: (y: Tensor, given: { x: Tensor; gate: Tensor }) => Record<string, Tensor>,
  ): Promise<Program> {
    const [full, other] = this.specs(layer);
    return this.programs.compiled(`gated ${name} ${JSON.stringify([full, other])}`, () => {
      const x = this.programs.hidden('x');
      const gate = input('gate', 'float32', [this.gates]);
      return outputs(this.graph(full, other, x, gate), { x, gate });
    });
  }

  private specs(layer: number): [full: MixerSpec, other: MixerSpec] {
    const own = this.network.branches[layer]!;
    return [own[0]!.spec, own[this.branch[layer]!]!.spec];
  }

  private graph(full: MixerSpec, other: MixerSpec, x: Tensor, gate: Tensor): Tensor {
    const { config } = this.network;
    const shared = layerParameters(config, full).filter(({ name }) => !name.startsWith('self_attn.'));
    const stream: Stream = { x };
    recordLayer(config, { index: 0, spec: full }, stream, weightInputs(shared), ({ normed }) => {
      const mixed = (which: string, spec: MixerSpec, share: Tensor) => {
        const own = mixerOf(spec)
          .parameters(spec, config)
          .map(({ name, shape }) => [name, input(`${which}.${name}`, 'float32', shape)] as const);
        const weights = Object.fromEntries(own);
        const params = this.gates > 1 ? byHead(weights, share) : weights;
        const { y } = mixerOf(spec).forward(spec, config, { x: normed(), params, form: 'chunk' });
        return this.gates > 1 ? y : mul(y, share);
      };
      return add(mixed('full', full, gate), mixed('other', other, sub(1, gate)));
    });
    return stream.x;
  }

  private async feeds(layer: number, given: Values): Promise<Values> {
    const own = this.network.branches[layer]!;
    const named = (which: string, weights: Readonly<Values>) =>
      Object.fromEntries(Object.entries(weights).map(([name, value]) => [`${which}.${name}`, value]));
    const weights = {
      ...this.network.layers[layer]!,
      ...named('full', own[0]!.weights),
      ...named('other', own[this.branch[layer]!]!.weights),
    };
    return { ...given, ...(await this.programs.memory.place(weights)) };
  }
}

/** Attention whose heads count so much: what they give is multiplied on its way through the projection. */
function byHead(weights: Weights, share: Tensor): Weights {
  const [output, bias] = ['o_proj.weight', 'o_proj.bias'];
  const [D, width] = weights[output]!.shape as [number, number];
  const [count] = share.shape as [number];
  const columns = reshape(expand(reshape(share, [count, 1]), [count, width / count]), [1, width]);
  return {
    ...weights,
    [output]: mul(weights[output]!, expand(columns, [D, width])),
    // Both halves of the layer bring it.
    ...(weights[bias] && { [bias]: mul(weights[bias], 0.5) }),
  };
}
