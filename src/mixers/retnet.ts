import {
  constant,
  type Dim,
  expand,
  linear,
  mul,
  reshape,
  rmsNorm,
  silu,
  type Tensor,
} from '../graph/index.ts';
import { joinHeads, project, splitHeads } from './attention.ts';
import { type AttentionReading, setConstantRows } from './calibration.ts';
import { LINEAR_ATTENTION } from './linear-attention.ts';
import { startFromAttention, transposed } from './linear-start.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  type Parameter,
  vector,
} from './mixer.ts';
import { qkNormed, qkNormParameters } from './qk-norm.ts';
import { qkvBiasParameters } from './qkv-bias.ts';
import { rope } from './rope.ts';
import type { MixerContext, RetNetSpec } from './spec.ts';

/**
 * RetNet's multi-scale retention (Sun et al. 2023; spec §2.1, names as in flash-linear-attention): linear attention
 * over rotated queries and keys whose heads forget at fixed rates, each half as fast as the one before.
 *
 *   gamma_h = 1 - 2^(-5 - h),   S_t = gamma S_(t-1) + k_t v_t^T,   o_t = K^-0.5 S_t^T q_t
 *   y_t = Wo (RMSNorm(o_t) silu(Wg x_t))
 *
 * The rotation is that of the parent's attention, whose queries and keys it starts from.
 */

const NORM_EPS = 1e-5;

function parameters(spec: RetNetSpec, { hiddenSize }: MixerContext): Parameter[] {
  const { heads, keyDim, valueDim } = spec;
  const [keys, values] = [heads * keyDim, heads * valueDim];
  return [
    linearWeight('q_proj.weight', keys, hiddenSize),
    linearWeight('k_proj.weight', keys, hiddenSize),
    ...qkNormParameters(spec),
    linearWeight('v_proj.weight', values, hiddenSize),
    ...qkvBiasParameters(spec),
    linearWeight('g_proj.weight', values, hiddenSize),
    vector('g_norm_swish_gate.weight', valueDim, 1),
    linearWeight('o_proj.weight', hiddenSize, values),
  ];
}

/** Heads by how far back they look: later ones forget more slowly, and how fast can't be set. */
function byDistance({ heads }: RetNetSpec, { distance }: AttentionReading): number[] {
  return Array.from({ length: heads }, (_, head) => head).sort((a, b) => distance[a]! - distance[b]!);
}

/** Puts heads in another order, the blocks of their rows in `weights`. */
function reorder(weights: Float32Array, order: readonly number[]): void {
  const before = weights.slice();
  const size = weights.length / order.length;
  for (const [to, from] of order.entries())
    weights.set(before.subarray(from * size, (from + 1) * size), to * size);
}

function calibrate(
  spec: RetNetSpec,
  { hiddenSize }: MixerContext,
  weights: ReadonlyMap<string, Float32Array>,
  reading: AttentionReading,
): void {
  const order = byDistance(spec, reading);
  for (const name of ['q_proj', 'k_proj', 'v_proj']) {
    for (const part of ['weight', 'bias']) {
      const values = weights.get(`${name}.${part}`);
      if (values) reorder(values, order);
    }
  }
  // The columns of o_proj belong to heads.
  const o = weights.get('o_proj.weight')!;
  const rows = transposed(o, hiddenSize, o.length / hiddenSize);
  reorder(rows, order);
  o.set(transposed(rows, o.length / hiddenSize, hiddenSize));
  setConstantRows(weights.get('g_proj.weight')!, reading.one, () => 1);
}

/** Logarithms of the decays, the same for all sequences and tokens [1, H, T, 1]. */
function logDecays(heads: number, T: Dim): Tensor {
  const values = Array.from({ length: heads }, (_, i) => Math.log1p(-(2 ** (-5 - i))));
  return expand(constant(values, [1, heads, 1, 1]), [1, heads, T, 1]);
}

function forward(spec: RetNetSpec, context: MixerContext, input: MixerInput): MixerOutput {
  const { heads, keyDim } = spec;
  const { x, params, form, state, mask } = input;
  const rotate = rope({ ...context, headDim: keyDim }, input);
  const headsOf = (name: string) => splitHeads(project(x, params, name), heads);
  const normed = qkNormed(spec, context, input, [headsOf('q_proj'), headsOf('k_proj')]);
  const q = rotate(normed[0]);
  let k = rotate(normed[1]);
  const v = headsOf('v_proj');
  const T = q.shape[2]!;
  let g = logDecays(heads, T);
  if (mask) {
    // Padding neither writes nor forgets.
    const tokens = reshape(mask, [mask.shape[0]!, 1, T, 1]);
    [k, g] = [mul(k, tokens), mul(g, tokens)];
  }
  const result = LINEAR_ATTENTION[form]({ q, k, v, g, state: state?.recurrent, scale: keyDim ** -0.5 });
  const normalised = rmsNorm(result.o, params['g_norm_swish_gate.weight']!, NORM_EPS);
  const y = mul(joinHeads(normalised), silu(linear(x, params['g_proj.weight']!)));
  return { y: linear(y, params['o_proj.weight']!), state: { recurrent: result.state } };
}

export const retNet: Mixer<RetNetSpec> = {
  kind: 'retnet',
  letter: 'R',
  fused: true,
  parameters,
  state: ({ heads, keyDim, valueDim }) => [{ name: 'recurrent', shape: ['B', heads, keyDim, valueDim] }],
  forward,
  calibration: { output: 'o_proj.weight', order: byDistance, set: calibrate },
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(parameters(spec, context), spec, context, weights, random),
};
