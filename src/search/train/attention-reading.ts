import {
  add,
  constant,
  div,
  linear,
  log,
  matmul,
  mul,
  reshape,
  softmax,
  sub,
  sum,
  type Tensor,
} from '../../graph/index.ts';
import { joinHeads } from '../../mixers/attention.ts';
import type { Reach } from '../../mixers/mixer.ts';
import { mixerOf } from '../../mixers/registry.ts';
import type { MixerSpec, WindowLinearSpec } from '../../mixers/spec.ts';
import type { ModelConfig } from '../../model/config.ts';
import { mixerInput, under, type Weights } from '../../model/decoder.ts';
import { range } from '../../util/range.ts';

/**
 * What a layer's attention does with some rows of text, read in one graph: how far its heads look back, how many tokens they look
 * at, and what they give.
 */

/** Added to the scores of what is not seen. */
const HIDDEN = -1e30;
const TINY = 1e-30;

/** The window and sinks beside which a linear mixer stands: what they see is not its part. */
export type Near = Pick<WindowLinearSpec, 'window' | 'sinks'>;

/**
 * @param spec of a mixer with attention
 * @param x the layer's input [B, T, D], of a known shape
 * @param weights of the layer, relative to its prefix
 * @param near whose part is left out of what is looked back at and of `heads`
 * @returns of query heads: `distance` and `entropy` [H], see AttentionReading, where the first token of a row, at which heads
 *   look that have nothing to look for, is no distance; `heads`, what they give before the output projection [B, T, H * d], and
 *   `y`, behind it [B, T, D]; and `x`, what the mixer gets [B, T, D]
 */
export function readAttention(
  config: ModelConfig,
  spec: MixerSpec,
  hidden: Tensor,
  weights: Weights,
  near?: Near,
): Record<'distance' | 'entropy' | 'heads' | 'y' | 'x', Tensor> {
  const { numHeads: H, numKvHeads, headDim } = config;
  const [B, T] = hidden.shape as [number, number];
  const cached = mixerOf(spec).cached!;
  const x = mixerInput(config, hidden, weights);
  const params = under('self_attn.', weights);
  const { q, k, v } = cached.heads(spec, config, { x, params, form: 'chunk' });
  const groups = [B, numKvHeads, H / numKvHeads, T, T];
  const rows = [B, numKvHeads, (H / numKvHeads) * T];
  const scores = reshape(
    matmul(reshape(q, [...rows, headDim]), k, { transB: true, alpha: headDim ** -0.5 }),
    groups,
  );
  const attended = (seen: Tensor) => {
    const shares = softmax(add(scores, seen));
    const given = matmul(reshape(shares, [...rows, T]), v);
    return { shares, given: reshape(given, [B, H, T, headDim]) };
  };
  const { shares, given } = attended(hidingBias(cached.reach(spec, config), numKvHeads, T));
  const far =
    near &&
    sub(given, attended(hidingBias([{ ...reachOf(near), heads: range(numKvHeads) }], numKvHeads, T)).given);
  const overHeads = (each: Tensor) => reshape(sum(each, [0, 3, 4]), [H]);
  const counted = near ? beyond(reachOf(near)) : (distance: number, key: number) => distance >= 0 && key > 0;
  const places = (value: (distance: number) => number) =>
    square(T, (query, key) => (counted(query - key, key) ? value(query - key) : 0));
  const looked = overHeads(
    mul(
      shares,
      places((distance) => Math.log1p(distance)),
    ),
  );
  const mass = overHeads(
    mul(
      shares,
      places(() => 1),
    ),
  );
  // As a share of log(tokens); a row's first token has no choice.
  const perQuery = constant(
    Array.from({ length: T }, (_, query) => (query > 0 ? -1 / (B * (T - 1) * Math.log(query + 1)) : 0)),
    [T, 1],
  );
  return {
    distance: div(looked, add(mass, TINY)),
    entropy: overHeads(mul(mul(shares, log(add(shares, TINY))), perQuery)),
    heads: joinHeads(far ?? given),
    // A bias of the output projection is the window's.
    y: far ? linear(joinHeads(far), params['o_proj.weight']!) : cached.output(given, params, () => x),
    x,
  };
}

function reachOf({ window, sinks = 0 }: Near): Omit<Reach, 'heads'> {
  return { window, sinks };
}

/** Whether a key is behind a window and none of the sinks. */
function beyond({ window, sinks }: Omit<Reach, 'heads'>) {
  return (distance: number, key: number) => distance >= window && key >= sinks;
}

function square(T: number, value: (query: number, key: number) => number): Tensor {
  return constant(
    Array.from({ length: T * T }, (_, n) => value(Math.floor(n / T), n % T)),
    [T, T],
  );
}

/** What is added to scores [B, KV, G, T, T]: what no query of a group's heads sees is hidden. [KV, 1, T, T] */
function hidingBias(groups: readonly Reach[], numKvHeads: number, T: number): Tensor {
  const values = new Array<number>(numKvHeads * T * T).fill(HIDDEN);
  for (const { heads, ...reach } of groups) {
    const hidden = beyond(reach);
    for (const head of heads) {
      for (let query = 0; query < T; query++) {
        for (let key = 0; key <= query; key++) {
          if (!hidden(query - key, key)) values[(head * T + query) * T + key] = 0;
        }
      }
    }
  }
  return constant(values, [numKvHeads, 1, T, T]);
}
