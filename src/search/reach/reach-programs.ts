import {
  add,
  arange,
  argMax,
  concat,
  type Dim,
  exp,
  expand,
  input,
  logSoftmax,
  mul,
  mulDims,
  neg,
  Program,
  pick,
  reshape,
  slice,
  softmax,
  sub,
  sum,
  type Tensor,
  unsqueeze,
} from '../../graph/index.ts';
import { output, rotatedHeads } from '../../mixers/attention.ts';
import { rotatedWidth } from '../../mixers/rope.ts';
import type { ModelConfig } from '../../model/config.ts';
import { head, recordLayer, type Stream, weightInputs } from '../../model/decoder.ts';
import { headParameters } from '../../model/layer-programs.ts';
import type { Heads } from '../../model/mix-by-parts.ts';
import { layerParameters } from '../../model/parameters.ts';
import { exact, type Source, sideBySide } from '../../runtime/kv/source.ts';
import { range } from '../../util/range.ts';

/**
 * Programs of a decoder whose tokens read kept keys and values, each KV head its own: so far as it sees. They take weights,
 * what is kept and what is hidden as inputs, so that one program serves all layers, texts and windows.
 */

/** What a layer's program is made for. */
export interface LayerForm {
  /** KV heads that see everything, ascending. */
  fullHeads: readonly number[];
  /** Queries and keys are not rotated. */
  noRope?: true;
  /** Whether there are tokens before those of the call. */
  prefix: boolean;
  /** Whether the call's own keys and values are wanted. */
  keeps: boolean;
}

/** Keys and values [places, d] that a KV head reads beside those of the call, by its number. */
export const keptNames = (head: number) => ({ k: `k${head}`, v: `v${head}` });

/** Compiled when first asked for; dispose of them when done. */
export class ReachPrograms {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(
    readonly config: ModelConfig,
    private readonly threads = 0,
  ) {}

  private compiled(key: string, build: () => Record<string, Tensor>): Promise<Program> {
    const known = this.programs.get(key);
    if (known) return known;
    const program = Program.compile(build(), { threads: this.threads });
    this.programs.set(key, program);
    return program;
  }

  /**
   * Hidden states x [B, n, D] through a layer -> y [B, n, D], and if kept k and v [B, KV, n, d].
   *
   * Inputs: cos and sin [n, d / 2] of the tokens' positions; `causal` [n, n], and for heads that see a window `near` [n, n] and
   * `near_kept` [n, S], are added to scores; k0, v0 and so on are what each head reads of earlier tokens.
   */
  layer(form: LayerForm): Promise<Program> {
    return this.compiled(`layer ${JSON.stringify(form)}`, () => layerGraph(this.config, form));
  }

  /**
   * What the model says of some tokens: x [M, D] hidden states that predict `targets` [M] -> `loss` [M], and `best` [M], the most
   * probable tokens.
   */
  answers(): Promise<Program> {
    return this.compiled('answers', () => {
      const logProbs = logSoftmax(head(this.config, this.rows(), weightInputs(headParameters(this.config))));
      const targets = unsqueeze(input('targets', 'int64', ['M']), 1);
      return { loss: neg(reshape(pick(logProbs, targets), ['M'])), best: argMax(logProbs) };
    });
  }

  /** Logarithms of the probabilities of all next tokens: x [M, D] -> `logProbs` [M, vocabulary]. */
  reference(): Promise<Program> {
    return this.compiled('reference', () => ({
      logProbs: logSoftmax(head(this.config, this.rows(), weightInputs(headParameters(this.config)))),
    }));
  }

  /** Divergence from `reference` [M, vocabulary] and loss of `targets` [M], each of B: x [B, M, D] -> `kl`, `loss` [B, M]. */
  divergence(): Promise<Program> {
    return this.compiled('divergence', () => {
      const x = input('x', 'float32', ['B', 'M', this.config.hiddenSize]);
      const logProbs = logSoftmax(head(this.config, x, weightInputs(headParameters(this.config))));
      const reference = input('reference', 'float32', ['M', this.config.vocabSize]);
      const targets = expand(reshape(input('targets', 'int64', ['M']), [1, 'M', 1]), ['B', 'M', 1]);
      return {
        kl: sum(mul(exp(reference), sub(reference, logProbs)), -1),
        loss: neg(reshape(pick(logProbs, targets), ['B', 'M'])),
      };
    });
  }

  private rows(): Tensor {
    return input('x', 'float32', ['M', this.config.hiddenSize]);
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await (await program).dispose();
    this.programs.clear();
  }
}

/** The parameters of a layer of full attention, by names relative to its prefix. */
export function attentionLayerParameters(config: ModelConfig) {
  return layerParameters(config, { kind: 'attention' });
}

function layerGraph(
  config: ModelConfig,
  { fullHeads, prefix, keeps, noRope }: LayerForm,
): Record<string, Tensor> {
  const { hiddenSize, numHeads, numKvHeads, headDim } = config;
  const [B, n] = ['B', 'n'];
  const size = numHeads / numKvHeads;
  const params = weightInputs(attentionLayerParameters(config));
  const angles = (name: string) => input(name, 'float32', [n, rotatedWidth(config) / 2]);
  const [cos, sin] = [angles('cos'), angles('sin')];
  const all = range(numKvHeads);
  const isFull = (i: number) => fullHeads.includes(i);
  const causal = all.some(isFull) ? input('causal', 'float32', [n, n]) : undefined;
  const near = all.every(isFull) ? undefined : input('near', 'float32', [n, n]);
  const nearKept = near && prefix ? input('near_kept', 'float32', [n, 'S']) : undefined;
  const stream: Stream = { x: input('x', 'float32', [B, n, hiddenSize]) };
  let own: Heads | undefined;
  recordLayer(config, { index: 0, spec: { kind: 'attention' } }, stream, params, ({ normed, params }) => {
    const positions = expand(reshape(arange(n), [1, n]), [B, n]);
    const given = { x: normed(), params, form: 'chunk', positions, angles: () => ({ cos, sin }) } as const;
    const heads = rotatedHeads(config, given, noRope && { noRope });
    own = heads;
    const attended = all.map((i) => {
      const own = {
        q: slice(heads.q, 1, i * size, (i + 1) * size),
        k: slice(heads.k, 1, i, i + 1),
        v: slice(heads.v, 1, i, i + 1),
        bias: isFull(i) ? causal! : near!,
      };
      if (!prefix) return attendHead(own);
      const kept = (name: string) => input(name, 'float32', [isFull(i) ? 'P' : 'S', headDim]);
      const names = keptNames(i);
      const bias = isFull(i) ? undefined : nearKept;
      return attendHead(own, { k: kept(names.k), v: kept(names.v), bias });
    });
    return output(concat(attended, 1), params, normed);
  });
  return { y: stream.x, ...(keeps ? { k: own!.k, v: own!.v } : {}) };
}

/**
 * The query heads of one KV head over the call's keys and values and those kept, which all sequences of the batch share.
 *
 * @param own q [B, G, n, d]; k, v [B, 1, n, d]; bias [n, n]
 * @param kept k, v [P, d]; bias [n, P], none where all of them are seen
 * @returns [B, G, n, d]
 */
function attendHead(
  { q, k, v, bias }: Record<'q' | 'k' | 'v' | 'bias', Tensor>,
  kept?: { k: Tensor; v: Tensor; bias: Tensor | undefined },
): Tensor {
  const [B, G, n, d] = q.shape as [Dim, number, Dim, number];
  const scale = d ** -0.5;
  const rows = mulDims(G, n);
  const split = (x: Tensor, width: Dim) => reshape(x, [B, G, n, width]);
  // One product for the whole batch where its keys are the same.
  const source = (keys: Dim, { k, v, bias }: { k: Tensor; v: Tensor; bias?: Tensor | undefined }): Source => {
    const flat = (x: Tensor, width: Dim) =>
      reshape(x, k.rank === 2 ? [mulDims(B, rows), width] : [B, 1, rows, width]);
    const { score, weigh } = exact(k, v, { scale });
    return {
      keys,
      score: (q) => {
        const scores = split(score(flat(q, d)), keys);
        return bias ? add(scores, bias) : scores;
      },
      weigh: (weights) => split(weigh(flat(weights, keys)), d),
    };
  };
  const own = source(n, { k, v, bias });
  const seen = kept ? sideBySide(source(kept.k.shape[0]!, kept), own) : own;
  return seen.weigh(softmax(seen.score(q)));
}
