import {
  add,
  concat,
  type Dim,
  l2Norm,
  linear,
  mean,
  mul,
  pad,
  reshape,
  sigmoid,
  slice,
  sub,
  sum,
  type Tensor,
  tanh,
  unsqueeze,
} from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { joinHeads, project, splitHeads } from './attention.ts';
import { logit, rateOf, setByHead, writeLogit } from './calibration.ts';
import { DPLR } from './dplr.ts';
import { copyAttention } from './linear-start.ts';
import {
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  normalInit,
  type Parameter,
  vector,
} from './mixer.ts';
import { newestPlaces, trailing } from './padding.ts';
import { qkvBiasParameters } from './qkv-bias.ts';
import type { MixerContext, Rwkv7Spec } from './spec.ts';

/**
 * RWKV7 (Peng et al. 2025, arXiv:2503.14456; spec §2.6, names as in flash-linear-attention): a state that forgets by
 * a factor per key channel, and replaces what it holds under one key by a rate per channel while it writes under
 * another. Each projection sees a mixture of its own token and the one before.
 *
 *   x* = x_t + (x_(t-1) - x_t) m*   for * of r, w, k, v, a, g,   r = Wr xr,   k' = Wk xk,   v = Wv xv
 *   w = -e^-0.5 sigmoid(lora(xw)),   a = sigmoid(lora(xa)),   gate = lora(xg)
 *   kappa = k' m_kk of length 1,   k = k' (1 + (a - 1) m_ka)
 *   S_t = e^w S_(t-1) - (kappa a) (kappa^T S_(t-1)) + k v^T,   o_t = S_t^T r
 *   y_t = Wo ((GroupNorm(o_t) + (sum of r k m_rk) v) gate)
 *
 * The reference lets every later layer mix the first layer's values into its own. With `valueRank` above 0 a layer
 * does so too, the first RWKV7 layer's of its model, whatever stands between them, and its own where there is no
 * earlier one, which leaves them as they are. So any sequence of layers is a model. But such a layer is no function
 * of its input alone: where layers are computed one by one, in a search, it is refused, and the branches of a search
 * have `valueRank` 0.
 */

/** Logarithm of the strongest decay of a token. */
const STRONGEST = -Math.exp(-0.5);
/** Of that, what a start takes at most. */
const MOST = 0.95;
const NORM_EPS = 1e-5;
/** As good as none: enough that a key of zeros stays one. */
const L2_EPS = 1e-24;
/** What sees a mixture of two tokens: read-out, decay, keys, values, rates and gate. */
const SHIFTED = ['r', 'w', 'k', 'v', 'a', 'g'] as const;
type Shifted = (typeof SHIFTED)[number];

// --- parameters --------------------------------------------------------------------------------------------------

/** A vector whose entries depend on where they stand. */
function placed(name: string, size: number, value: (place: number) => number, shape = [size]): Parameter {
  return { name, shape, init: () => Float32Array.from({ length: size }, (_, i) => value(i)), decay: false };
}

/** From -0.5 for the first of `size` channels to 0.5 for the last. */
function ramp(place: number, size: number): number {
  return size > 1 ? place / (size - 1) - 0.5 : 0;
}

/** Within each head from -1 to 1, flat in the middle. */
function zigzag(place: number, width: number): number {
  const z = 2 * ramp(place % width, width);
  return z * Math.abs(z);
}

/** Two matrices of low rank, of which the first starts at 0, so that at first the bias is all. */
function lowRank(name: string, inputs: number, rank: number, bias: Parameter): Parameter[] {
  const [outputs] = bias.shape as [number];
  return [
    { ...linearWeight(`${name}.lora.0.weight`, rank, inputs), init: () => new Float32Array(rank * inputs) },
    linearWeight(`${name}.lora.2.weight`, outputs, rank),
    bias,
  ];
}

/**
 * As the reference starts them, in the middle of its model where that depends on the layer; but a token sees nothing
 * of the one before, the gate is near 1 and the direct path from k to r (r_k) is shut: a layer that takes attention's
 * place starts from projections that are used to that.
 */
function parameters(spec: Rwkv7Spec, { hiddenSize }: MixerContext): Parameter[] {
  const { heads, keyDim, valueDim, decayRank, rateRank, gateRank, valueRank } = spec;
  const [keys, values] = [heads * keyDim, heads * valueDim];
  const bias = (name: string, size: number, value: (place: number) => number) =>
    placed(`${name}.lora.2.bias`, size, value);
  // Slow for the first channels, fast for the last, and within each head.
  const decay = (i: number) => -5.5 + 6 * (ramp(i, keys) + 0.5) ** (1 + 0.5 ** 0.3) + 2.5 * zigzag(i, keyDim);
  const rate = (i: number) => -0.19 + 0.3 * zigzag(i, keyDim) + 0.4 * ramp(i, keys);
  // Its inputs are sigmoids, a half on average.
  const gate = normalInit([values, gateRank]);
  return [
    ...SHIFTED.map((letter) => placed(`x_${letter}`, hiddenSize, () => 0, [1, 1, hiddenSize])),
    linearWeight('r_proj.weight', keys, hiddenSize),
    linearWeight('k_proj.weight', keys, hiddenSize),
    linearWeight('v_proj.weight', values, hiddenSize),
    ...qkvBiasParameters(spec, { q: 'r_proj', k: 'k_proj', v: 'v_proj' }),
    ...lowRank('w_lora', hiddenSize, decayRank, bias('w_lora', keys, decay)),
    ...lowRank('a_lora', hiddenSize, rateRank, bias('a_lora', keys, rate)),
    ...(valueRank > 0
      ? lowRank(
          'v_lora',
          hiddenSize,
          valueRank,
          bias('v_lora', values, (i) => 0.73 - 0.4 * ramp(i, values)),
        )
      : []),
    linearWeight('g_lora.lora.0.weight', gateRank, hiddenSize),
    {
      ...linearWeight('g_lora.lora.2.weight', values, gateRank),
      init: (random) => gate(random).map((x) => x + 2 / gateRank),
    },
    placed('k_k', keys, (i) => 0.71 - 0.1 * ramp(i, keys)),
    vector('k_a', keys, 1.02),
    { ...vector('r_k', keys, 0), shape: [heads, keyDim] },
    vector('g_norm.weight', values, 1),
    vector('g_norm.bias', values, 0),
    linearWeight('o_proj.weight', hiddenSize, values),
  ];
}

// --- forward -----------------------------------------------------------------------------------------------------

/**
 * @returns a function that mixes every token with the one before, and the last token [B, D]
 */
function tokenShift({ x: given, params, state, mask, paddedLeft = false }: MixerInput) {
  const [B, T, D] = given.shape as [Dim, Dim, number];
  // Padding counts as zeros, as what is before the first token.
  const x = mask ? mul(given, unsqueeze(mask, 2)) : given;
  const extended = state ? concat([unsqueeze(state.shift!, 1), x], 1) : pad(x, 1, 1, 0);
  const delta = sub(slice(extended, 1, 0, T), x);
  const shift = reshape(newestPlaces(unsqueeze(extended, 1), 1, trailing({ mask, paddedLeft })), [B, D]);
  return { shifted: (letter: Shifted) => add(x, mul(delta, params[`x_${letter}`]!)), shift };
}

/** Each head of [B, H, T, V] normalised to mean 0 and variance 1, joined, with weights and biases [H * V]. */
function groupNorm(x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  const V = x.shape[3] as number;
  const centred = sub(x, mean(x, -1, true));
  return add(mul(joinHeads(l2Norm(centred, V * eps, V ** 0.5)), weight), bias);
}

/** v, moved towards the first layer's values where the layer has weights for that. [B, T, H * V] */
function withFirstValues(
  { heads, valueDim, valueRank }: Rwkv7Spec,
  v: Tensor,
  first: Tensor,
  share: () => Tensor,
): Tensor {
  if (valueRank === 0) return v;
  const width = first.shape[2];
  if (width !== heads * valueDim) {
    throw new InputError(
      `an RWKV7 layer of ${heads} x ${valueDim} values cannot mix in the first one's, which has ${width}`,
    );
  }
  return add(v, mul(sub(first, v), sigmoid(share())));
}

function forward(spec: Rwkv7Spec, _context: MixerContext, input: MixerInput): MixerOutput {
  const { params, form, state, mask } = input;
  const { heads, keyDim } = spec;
  const [B, T] = input.x.shape as [Dim, Dim];
  const { shifted, shift } = tokenShift(input);
  const lora = (name: string, x: Tensor, activation: (x: Tensor) => Tensor = (x) => x): Tensor => {
    const inner = linear(x, params[`${name}_lora.lora.0.weight`]!);
    return project(activation(inner), params, `${name}_lora.lora.2`);
  };

  const r = splitHeads(project(shifted('r'), params, 'r_proj'), heads);
  const decay = mul(sigmoid(lora('w', shifted('w'), tanh)), STRONGEST);
  const keys = project(shifted('k'), params, 'k_proj');
  const xv = shifted('v');
  const ownValues = project(xv, params, 'v_proj');
  const firstValues = input.firstValues ?? ownValues;
  const v = splitHeads(
    withFirstValues(spec, ownValues, firstValues, () => lora('v', xv)),
    heads,
  );
  const rate = sigmoid(lora('a', shifted('a')));
  const gate = lora('g', shifted('g'), sigmoid);

  const kappa = l2Norm(splitHeads(mul(keys, params.k_k!), heads), L2_EPS);
  let k = splitHeads(mul(keys, add(mul(sub(rate, 1), params.k_a!), 1)), heads);
  let b = mul(kappa, splitHeads(rate, heads));
  let g = splitHeads(decay, heads);
  if (mask) {
    // Padding neither writes nor corrects nor forgets.
    const tokens = reshape(mask, [B, 1, T, 1]);
    [k, b, g] = [mul(k, tokens), mul(b, tokens), mul(g, tokens)];
  }
  const result = DPLR[form]({ q: r, k, v, g, a: mul(kappa, -1), b, state: state?.recurrent });

  const normalised = groupNorm(result.o, params['g_norm.weight']!, params['g_norm.bias']!, NORM_EPS * keyDim);
  const direct = sum(mul(mul(r, k), unsqueeze(params.r_k!, 1)), -1, true);
  const y = mul(add(normalised, joinHeads(mul(v, direct))), gate);
  return {
    y: linear(y, params['o_proj.weight']!),
    state: { recurrent: result.state, shift },
    firstValues,
  };
}

export const rwkv7: Mixer<Rwkv7Spec> = {
  kind: 'rwkv7',
  letter: '7',
  coupled: ({ valueRank }) => valueRank > 0,
  parameters,
  state: ({ heads, keyDim, valueDim }, { hiddenSize }) => [
    { name: 'recurrent', shape: ['B', heads, keyDim, valueDim] },
    { name: 'shift', shape: ['B', hiddenSize] },
  ],
  forward,
  // Its output gate starts open.
  calibration: {
    output: 'o_proj.weight',
    set: (_spec, _context, weights, { distance, entropy }) => {
      const share = (each: number) => Math.min(MOST, rateOf(each) / -STRONGEST);
      setByHead(
        weights.get('w_lora.lora.2.bias')!,
        distance.map((each) => logit(share(each))),
      );
      setByHead(weights.get('a_lora.lora.2.bias')!, entropy.map(writeLogit));
    },
  },
  fromAttention: (spec, context, weights, random) => {
    const { heads, keyDim, valueDim } = spec;
    const start = new Map(parameters(spec, context).map(({ name, init }) => [name, init(random)]));
    const into = (letter: string, rows: number) => ({
      heads,
      rows,
      weight: start.get(`${letter}_proj.weight`)!,
      bias: start.get(`${letter}_proj.bias`),
    });
    copyAttention(context, weights, {
      q: into('r', keyDim),
      k: into('k', keyDim),
      v: into('v', valueDim),
      o: into('o', valueDim),
    });
    return start;
  },
};
