import { add, type Dim, exp, mul, neg, reshape, type Tensor, transpose } from '../graph/index.ts';
import type { Random } from '../util/random.ts';
import { rateOf, setByHead } from './calibration.ts';
import { evenSoftplus, inverseSoftplus } from './even-softplus.ts';
import type { Parameter } from './mixer.ts';

/**
 * Decay of a head that depends on the token, the way Mamba2 (Dao, Gu 2024) makes it and Gated DeltaNet took it over:
 * a time step s_t = softplus(p_t + dt) of each head, p a projection of the input, and a rate e^A of the head;
 * the state decays by e^(-e^A s_t).
 */

/** A_log [H] and dt_bias, of each head [H] unless the steps are of something else; without weight decay. */
export function headDecayParameters(heads: number, steps = heads): Parameter[] {
  return [
    { name: 'A_log', shape: [heads], init: (random) => drawRates(random, heads), decay: false },
    { name: 'dt_bias', shape: [steps], init: (random) => drawTimeSteps(random, steps), decay: false },
  ];
}

/** Logarithms of rates uniform in (0, 16], as in Mamba2. */
function drawRates(random: Random, heads: number): Float32Array {
  return Float32Array.from({ length: heads }, () => Math.log(16 * (1 - random.uniform())));
}

/** Biases before the softplus, for time steps log-uniform between 0.001 and 0.1. */
function drawTimeSteps(random: Random, count: number): Float32Array {
  const [low, high] = [Math.log(0.001), Math.log(0.1)];
  return Float32Array.from({ length: count }, () => {
    return inverseSoftplus(Math.exp(low + random.uniform() * (high - low)));
  });
}

/** Half-lives by head, for a projection of 0. */
export function setHeadDecay(weights: ReadonlyMap<string, Float32Array>, distance: readonly number[]): void {
  weights.get('A_log')!.fill(0);
  setByHead(
    weights.get('dt_bias')!,
    distance.map((each) => inverseSoftplus(rateOf(each))),
  );
}

/** [B, T, H] -> [B, H, T, 1] */
export function perHead(x: Tensor): Tensor {
  const [B, T, H] = x.shape as [Dim, Dim, number];
  return reshape(transpose(x, [0, 2, 1]), [B, H, T, 1]);
}

/**
 * @param projected a number for each token and head [B, T, H]
 * @returns time steps and the logarithms of the decays, both [B, T, H]
 */
export function headDecay(
  projected: Tensor,
  params: Readonly<Record<string, Tensor>>,
): { step: Tensor; g: Tensor } {
  const step = evenSoftplus(add(projected, params.dt_bias!));
  return { step, g: mul(step, neg(exp(params.A_log!))) };
}
