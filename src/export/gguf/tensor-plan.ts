import type { ModelConfig } from '../../model/config.ts';
import type { TensorSource } from '../../model/tensor-source.ts';

/** A tensor of the file, made of the model's when it is written. */
export interface TensorPlan {
  name: string;
  /** Sizes, outermost first. */
  shape: number[];
  /** The weight that says whether it is worth few bits; none where it stays float32. */
  like?: string;
  values(source: TensorSource): Float32Array<ArrayBuffer>;
}

/** A weight as it is. */
export function copied(name: string, weight: string, shape: number[]): TensorPlan {
  return { name, shape, like: weight, values: (source) => source.read(weight) };
}

/** A weight times a factor. */
export function scaled(name: string, weight: string, shape: number[], factor: number): TensorPlan {
  if (factor === 1) return copied(name, weight, shape);
  return { name, shape, like: weight, values: (source) => source.read(weight).map((x) => x * factor) };
}

/** The MLP of a layer and the norms around it. */
export function mlpTensors(
  config: ModelConfig,
  layer: number,
  names: { norm: string; stream: number },
): TensorPlan[] {
  const { hiddenSize: d, intermediateSize: f, mlpBias } = config;
  const [to, from] = [`blk.${layer}`, `model.layers.${layer}`];
  return [
    copied(`${to}.attn_norm.weight`, `${from}.input_layernorm.weight`, [d]),
    copied(`${to}.${names.norm}.weight`, `${from}.post_attention_layernorm.weight`, [d]),
    copied(`${to}.ffn_gate.weight`, `${from}.mlp.gate_proj.weight`, [f, d]),
    copied(`${to}.ffn_up.weight`, `${from}.mlp.up_proj.weight`, [f, d]),
    scaled(`${to}.ffn_down.weight`, `${from}.mlp.down_proj.weight`, [d, f], names.stream),
    ...(mlpBias
      ? [
          copied(`${to}.ffn_gate.bias`, `${from}.mlp.gate_proj.bias`, [f]),
          copied(`${to}.ffn_up.bias`, `${from}.mlp.up_proj.bias`, [f]),
          copied(`${to}.ffn_down.bias`, `${from}.mlp.down_proj.bias`, [d]),
        ]
      : []),
  ];
}
