import type { GatedDeltaNetSpec, MixerSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { joined } from '../../util/joined.ts';
import type { MetadataValue } from './gguf-file.ts';
import { copied, mlpTensors, scaled, type TensorPlan } from './tensor-plan.ts';

/**
 * llama.cpp's `qwen35` (Qwen3.5): layers of Gated DeltaNet beside full attention with an output gate and norms of
 * queries and keys, in any order. What differs from the models here is made up for in the weights, exactly:
 *
 * - The gate. A gate whose weights are 0 is sigmoid(0) = 1/2; the output projection is doubled.
 * - The eps of the norms. There is one for all, and it must be that of Gated DeltaNet's head norm. As
 *   RMSNorm(x; e) = RMSNorm(r x; r^2 e), the hidden states between the layers are scaled by r = sqrt(eps / e) (in the
 *   embedding and every output projection), and so are the queries and keys before their norms.
 * - Convolutions of another length, or none: a filter whose oldest taps are 0, or whose newest alone is 1.
 *
 * Left is what llama.cpp does with the length of queries and keys in Gated DeltaNet: x / max(|x|, eps), where the
 * definition has x / sqrt(|x|^2 + 1e-6). They differ by half of 1e-6 / |x|^2 of the value.
 */

/** Of the head norm in Gated DeltaNet (src/mixers/gated-deltanet.ts). */
const HEAD_NORM_EPS = 1e-5;
/** llama.cpp's convolution has two taps at least. */
const FEWEST_TAPS = 2;

type HybridSpec = GatedDeltaNetSpec | { kind: 'attention' };

function linearLayers({ layers }: ModelConfig): GatedDeltaNetSpec[] {
  return layers.filter((spec) => spec.kind === 'gated_deltanet');
}

/** Why the architecture cannot express a hybrid; null where it can. Layers are counted from 0. */
export function whyNotHybrid(config: ModelConfig): string | null {
  const { layers, qkvBias, oBias, mlpBias, qkNorm, ropeScaling } = config;
  const first = linearLayers(config)[0];
  const reasons = layers.flatMap((spec, i) => {
    const why = whyNotLayer(spec, first, qkNorm);
    return why === null ? [] : [{ kind: spec.kind, text: `layer ${i} (${spec.kind}): ${why}` }];
  });
  // What a search put there says more than what it left as it was.
  const reason = reasons.find(({ kind }) => kind !== 'attention') ?? reasons[0];
  if (reason) return reason.text;
  if (!layers.some(({ kind }) => kind === 'attention')) {
    return 'no layer has full attention, of which llama.cpp needs one to count tokens';
  }
  if (qkvBias || oBias || mlpBias) {
    return 'the parent has biases, llama.cpp has none beside Gated DeltaNet';
  }
  if (ropeScaling?.type === 'llama3') return "llama.cpp's qwen35 has no RoPE scaling of type 'llama3'";
  return null;
}

function whyNotLayer(spec: MixerSpec, first: GatedDeltaNetSpec | undefined, qkNorm: boolean): string | null {
  switch (spec.kind) {
    case 'attention':
      return qkNorm
        ? null
        : "llama.cpp's attention beside Gated DeltaNet normalises queries and keys, the parent's does not (Qwen3's does)";
    case 'gated_deltanet': {
      if (spec.rope) return 'llama.cpp does not rotate the queries and keys of Gated DeltaNet';
      if (spec.qkvBias) return 'llama.cpp has no biases of queries, keys and values in Gated DeltaNet';
      if (spec.normEps !== undefined) return `norms of heads by ${spec.normEps} are not exported`;
      if (spec.keyDim !== spec.valueDim) {
        return `keys are ${spec.keyDim} wide and values ${spec.valueDim}, llama.cpp wants them equal`;
      }
      const same = spec.heads === first!.heads && spec.keyDim === first!.keyDim;
      const size = ({ heads, keyDim }: GatedDeltaNetSpec) => `${heads} heads of ${keyDim}`;
      return same
        ? null
        : `${size(spec)}, but llama.cpp has one size for all, and others are ${size(first!)}`;
    }
    case 'jet_block':
      return 'llama.cpp has no dynamic convolution';
    case 'sliding_window':
      return 'llama.cpp has no sliding window beside Gated DeltaNet, nor in models of the kinds of Llama, Qwen2 and Qwen3';
    case 'window_linear':
      return 'llama.cpp has no layer of a window and a linear mixer';
    case 'head_attention':
      return 'llama.cpp has one reach for all KV heads of a layer';
    default:
      return 'llama.cpp has no such block; of linear attention it has Gated DeltaNet';
  }
}

/** The one eps, and the factor of the hidden states that makes up for it. */
export function hybridNorms({ rmsNormEps }: ModelConfig): { eps: number; stream: number } {
  return { eps: HEAD_NORM_EPS, stream: Math.sqrt(HEAD_NORM_EPS / rmsNormEps) };
}

function taps(config: ModelConfig): number {
  return Math.max(FEWEST_TAPS, ...linearLayers(config).map(({ convSize }) => convSize));
}

export function hybridMetadata(config: ModelConfig): Record<string, MetadataValue> {
  const [{ heads, keyDim }] = linearLayers(config) as [GatedDeltaNetSpec];
  // Planes of the rotation by which of a picture's coordinates they turn: in a text all are the position.
  const planes = Math.ceil(config.headDim / 6);
  return {
    'rope.dimension_sections': [planes, planes, planes, 0],
    'ssm.conv_kernel': taps(config),
    'ssm.state_size': keyDim,
    'ssm.inner_size': heads * keyDim,
    'ssm.time_step_rank': heads,
    'ssm.group_count': heads,
    'attention.recurrent_layers': config.layers.map(({ kind }) => kind !== 'attention'),
  };
}

/** @param stream factor of the hidden states */
export function hybridLayer(
  config: ModelConfig,
  spec: HybridSpec,
  layer: number,
  stream: number,
): TensorPlan[] {
  const names = {
    to: (name: string) => `blk.${layer}.${name}`,
    from: (name: string) => `model.layers.${layer}.self_attn.${name}`,
  };
  return [
    ...mlpTensors(config, layer, { norm: 'post_attention_norm', stream }),
    ...(spec.kind === 'attention'
      ? gatedAttention(config, names, stream)
      : gatedDeltaNet(config, spec, names, stream)),
  ];
}

type Names = Record<'to' | 'from', (name: string) => string>;

function gatedAttention(config: ModelConfig, { to, from }: Names, stream: number): TensorPlan[] {
  const { hiddenSize: d, numHeads, numKvHeads, headDim } = config;
  const [q, kv] = [numHeads * headDim, numKvHeads * headDim];
  return [
    {
      name: to('attn_q.weight'),
      shape: [2 * q, d],
      like: from('q_proj.weight'),
      // The rows of a head's query, then those of its gate, which stay 0.
      values: (source) => {
        const rows = source.read(from('q_proj.weight'));
        const out = new Float32Array(2 * rows.length);
        const size = headDim * d;
        for (let head = 0; head < numHeads; head++) {
          const own = rows.subarray(head * size, (head + 1) * size);
          out.set(
            own.map((x) => x * stream),
            2 * head * size,
          );
        }
        return out;
      },
    },
    scaled(to('attn_k.weight'), from('k_proj.weight'), [kv, d], stream),
    copied(to('attn_v.weight'), from('v_proj.weight'), [kv, d]),
    scaled(to('attn_output.weight'), from('o_proj.weight'), [d, q], 2 * stream),
    copied(to('attn_q_norm.weight'), from('q_norm.weight'), [headDim]),
    copied(to('attn_k_norm.weight'), from('k_norm.weight'), [headDim]),
  ];
}

function gatedDeltaNet(
  config: ModelConfig,
  { heads, keyDim, convSize }: GatedDeltaNetSpec,
  { to, from }: Names,
  stream: number,
): TensorPlan[] {
  const d = config.hiddenSize;
  const width = heads * keyDim;
  const W = taps(config);
  const letters = ['q', 'k', 'v'];
  return [
    {
      name: to('attn_qkv.weight'),
      shape: [3 * width, d],
      like: from('q_proj.weight'),
      values: (source) => joined(letters.map((letter) => source.read(from(`${letter}_proj.weight`)))),
    },
    copied(to('attn_gate.weight'), from('g_proj.weight'), [width, d]),
    {
      name: to('ssm_conv1d.weight'),
      shape: [3 * width, W],
      values: (source) =>
        filters(source, convSize ? letters.map((x) => from(`${x}_conv1d.weight`)) : null, {
          channels: 3 * width,
          taps: W,
        }),
    },
    copied(to('ssm_dt.bias'), from('dt_bias'), [heads]),
    {
      name: to('ssm_a'),
      shape: [heads],
      values: (source) => source.read(from('A_log')).map((x) => -Math.exp(x)),
    },
    copied(to('ssm_beta.weight'), from('b_proj.weight'), [heads, d]),
    copied(to('ssm_alpha.weight'), from('a_proj.weight'), [heads, d]),
    copied(to('ssm_norm.weight'), from('o_norm.weight'), [keyDim]),
    scaled(to('ssm_out.weight'), from('o_proj.weight'), [d, width], stream),
  ];
}

/** Filters [channels, taps], the newest tap last: what shorter ones lack is 0, and where there are none it is 1. */
function filters(
  source: TensorSource,
  names: string[] | null,
  { channels, taps }: { channels: number; taps: number },
): Float32Array<ArrayBuffer> {
  const own = names ? joined(names.map((name) => source.read(name))) : new Float32Array(channels).fill(1);
  const width = own.length / channels;
  const out = new Float32Array(channels * taps);
  for (let c = 0; c < channels; c++) {
    out.set(own.subarray(c * width, (c + 1) * width), (c + 1) * taps - width);
  }
  return out;
}
