// HGRN2 (Qin et al. 2024, arXiv:2404.07904) as a mixer of one's own: a gated linear recurrence whose keys are what
// its gates forget. Heads keep a matrix S [K, V]:
//
//   f_t = sigmoid(Wf x_t),   S_t = diag(f_t) S_(t-1) + (1 - f_t) v_t^T,   o_t = S_t^T silu(Wq x_t)
//   y_t = Wo RMSNorm(o_t)
import { linear, mul, neg, reshape, rmsNorm, sigmoid, silu } from 'postnas/graph';
import {
  evenSoftplus,
  joinHeads,
  LINEAR_ATTENTION,
  linearWeight,
  registerMixer,
  splitHeads,
  startFromAttention,
  vector,
} from 'postnas/mixers';

/** Names and shapes of the weights; linear ones are [out, in]. k_proj makes the gates and, with them, the keys. */
function parameters({ heads, keyDim, valueDim }, { hiddenSize }) {
  return [
    linearWeight('q_proj.weight', heads * keyDim, hiddenSize),
    linearWeight('k_proj.weight', heads * keyDim, hiddenSize),
    linearWeight('v_proj.weight', heads * valueDim, hiddenSize),
    vector('g_norm.weight', valueDim, 1),
    linearWeight('o_proj.weight', hiddenSize, heads * valueDim),
  ];
}

/** Records the computation. It is differentiated, compiled and run by the graph engine: there is no second version. */
function forward({ heads }, _context, { x, params, form, state, mask }) {
  const project = (name) => splitHeads(linear(x, params[`${name}_proj.weight`]), heads); // [B, H, T, K or V]
  const q = silu(project('q'));
  const gate = linear(x, params['k_proj.weight']); // [B, T, H * K]
  let k = splitHeads(sigmoid(neg(gate)), heads); // 1 - sigmoid(gate)
  let g = neg(splitHeads(evenSoftplus(neg(gate)), heads)); // log sigmoid(gate)
  if (mask) {
    // Padding neither writes nor forgets.
    const tokens = reshape(mask, [mask.shape[0], 1, mask.shape[1], 1]);
    [k, g] = [mul(k, tokens), mul(g, tokens)];
  }
  // Token by token, in chunks, or fused: the three forms of one recurrence.
  const { o, state: after } = LINEAR_ATTENTION[form]({ q, k, v: project('v'), g, state: state?.recurrent });
  const y = joinHeads(rmsNorm(o, params['g_norm.weight'], 1e-5));
  return { y: linear(y, params['o_proj.weight']), state: { recurrent: after } };
}

registerMixer({
  kind: 'custom_hgrn2',
  letter: 'Q',
  fused: true,
  parameters,
  state: ({ heads, keyDim, valueDim }) => [{ name: 'recurrent', shape: ['B', heads, keyDim, valueDim] }],
  forward,
  // It takes over the attention's projections: where its keys were large, the state now forgets.
  fromAttention: (spec, context, weights, random) =>
    startFromAttention(parameters(spec, context), spec, context, weights, random),
});
