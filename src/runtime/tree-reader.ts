import {
  arange,
  type Dim,
  fill,
  float32,
  input,
  mulDims,
  type Program,
  reshape,
  type Tensor,
  take,
  Value,
  type Values,
} from '../graph/index.ts';
import { attendByGroup } from '../mixers/head-attention.ts';
import type { LinearPart } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { type Layer, recordLayers, type Stream, weightInputs } from '../model/decoder.ts';
import { type Heads, mixByParts } from '../model/mix-by-parts.ts';
import { modelParameters } from '../model/parameters.ts';
import { AngleInputs, AngleTables, type Rotation } from './angle-tables.ts';
import type { EngineWeights } from './engine-weights.ts';
import { attend } from './kv/online-softmax.ts';
import { exact } from './kv/source.ts';
import { compileWith } from './segments.ts';
import { pathsOf, positionsOf, type Sight, type TokenTree, writeBias } from './token-tree.ts';

/**
 * Reads many short sequences from their starts in one run, those with common beginnings as trees (token-tree.ts), and
 * keeps nothing of them: products see the tokens of all, which is what their speed depends on where sequences are short.
 * An attention layer hides from a token what is not on its path; a linear layer, whose state goes on from token to token,
 * reads each path by itself, while the rest of the layer takes a token once.
 */
export class TreeReader {
  private constructor(
    private readonly config: ModelConfig,
    private readonly program: Program,
    private readonly recorded: Omit<Recorded, 'outputs' | 'weights'>,
    private readonly embed: (ids: readonly number[], into: Float32Array) => void,
  ) {}

  /** @param embed writes rows of the embedding [T, D] */
  static async compile(
    config: ModelConfig,
    source: EngineWeights,
    embed: (ids: readonly number[], into: Float32Array) => void,
    options: { threads?: number | undefined },
  ): Promise<TreeReader> {
    const { outputs, weights, ...recorded } = record(config);
    const program = await compileWith(source, outputs, weights, { ...options, byRow: 'all' });
    return new TreeReader(config, program, recorded, embed);
  }

  /**
   * @param asked places of each tree, at least one in all
   * @returns hidden states of the last layer at those places, tree by tree [asked, D]
   */
  async read(trees: readonly TokenTree[], asked: readonly (readonly number[])[]): Promise<Float32Array> {
    const { hiddenSize: D } = this.config;
    const B = trees.length;
    const T = Math.max(...trees.map(({ ids }) => ids.length));
    const x = new Float32Array(B * T * D);
    const positions = new Array<number>(B * T).fill(0);
    for (const [b, tree] of trees.entries()) {
      this.embed(tree.ids, x.subarray(b * T * D));
      for (const [i, position] of positionsOf(tree).entries()) positions[b * T + i] = position;
    }
    const tables = new AngleTables(this.config, this.recorded.rotated, B * T);
    tables.fill(positions);
    const feeds: Values = {
      x: float32(x, [B, T, D]),
      asked: indices(asked.flatMap((places, b) => places.map((place) => b * T + place))),
      ...tables.values,
    };
    for (const sight of this.recorded.sights) {
      const bias = new Float32Array(B * T * T);
      for (const [b, tree] of trees.entries()) {
        writeBias(tree, sight, T, bias.subarray(b * T * T, (b + 1) * T * T));
      }
      feeds[biasName(sight)] = float32(bias, [B, 1, 1, T, T]);
    }
    if (this.recorded.linear) Object.assign(feeds, pathFeeds(trees, T));
    const { hidden } = await this.program.run(feeds);
    return hidden!.data as Float32Array;
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}

interface Recorded {
  outputs: Record<string, Tensor>;
  weights: Record<string, Tensor>;
  /** Tables of angles that it takes. */
  rotated: readonly Rotation[];
  /** What attention layers see. */
  sights: readonly Sight[];
  /** Whether there are linear layers. */
  linear: boolean;
}

const biasName = ({ window, sinks }: Sight) => `bias.${window}.${sinks}`;

/**
 * Embedded tokens `x` [B, T, D] of B trees -> hidden states of the last layer at the places `asked` [R] among B * T,
 * [R, D]. Beside them `bias.{window}.{sinks}` [B, 1, 1, T, T], the tables of angles `cos.{width}` and `sin.{width}`
 * [B * T, width / 2], and for linear layers `paths` [S, P], the places of the tokens of S sequences, and `home` [B * T],
 * the places of all tokens among those of the paths.
 */
function record(config: ModelConfig): Recorded {
  const { hiddenSize: D } = config;
  const weights = weightInputs(modelParameters(config));
  const [B, T]: [Dim, Dim] = ['B', 'T'];
  const all = mulDims(B, T);
  const angles = new AngleInputs(all);
  const biases = new Map<string, { sight: Sight; bias: Tensor }>();
  const biasOf = ({ window, sinks }: Sight) => {
    const sight = { window, sinks };
    const name = biasName(sight);
    const known = biases.get(name) ?? { sight, bias: input(name, 'float32', [B, 1, 1, T, T]) };
    biases.set(name, known);
    return known.bias;
  };
  const paths = input('paths', 'int64', ['S', 'P']);
  const home = input('home', 'int64', [all]);
  const asked = input('asked', 'int64', ['R']);
  const positions = reshape(arange(all), [B, T]);
  const stream: Stream = { x: input('x', 'float32', [B, T, D]) };
  let hasLinear = false;
  const attend = (heads: Heads, { spec }: Layer) =>
    attendByGroup(heads, mixerOf(spec).cached!.reach(spec, config), config, (own, group) =>
      attendWith(own, biasOf(group)),
    );
  const linear = (part: LinearPart, { spec, params, normed }: Layer) => {
    hasLinear = true;
    const state = part.state(spec, config).map(({ name, shape }) => {
      return [name, fill(0, ['S', ...shape.slice(1)])] as const;
    });
    const { y, ...others } = part.forward(spec, config, {
      x: take(reshape(normed(), [all, D]), paths),
      params,
      form: 'fused',
      state: Object.fromEntries(state),
      positions: paths,
      angles: angles.of,
      firstValues: stream.firstValues,
    });
    return { y: reshape(take(reshape(y, ['P*S', D]), home), [B, T, D]), ...others };
  };
  const narrow = (x: Tensor) => reshape(take(reshape(x, [all, D]), asked), [1, 'R', D]);
  const mix = mixByParts(config, { positions, angles: angles.of, attend, linear });
  recordLayers(config, stream, weights, mix, narrow);
  return {
    outputs: { hidden: reshape(stream.x, ['R', D]) },
    weights,
    rotated: angles.rotations,
    sights: [...biases.values()].map(({ sight }) => sight),
    linear: hasLinear,
  };
}

/** Softmax attention of q [B, H, T, d] over k, v [B, KV, T, d]; `bias` [B, 1, 1, T, T] is added to the scores. */
function attendWith({ q, k, v }: Record<'q' | 'k' | 'v', Tensor>, bias: Tensor): Tensor {
  const [B, H, T, d] = q.shape as [Dim, number, Dim, number];
  const KV = k.shape[1] as number;
  const queries = reshape(q, [B, KV, mulDims(H / KV, T), d]);
  const source = exact(k, v, { mask: bias, heads: H / KV, scale: d ** -0.5 });
  return reshape(attend(queries, [source]), q.shape);
}

function indices(places: readonly number[]): Value {
  return new Value('int64', BigInt64Array.from(places, BigInt), [places.length]);
}

/** Sequences are filled up with their first token, behind the last, where nothing of theirs depends on it. */
function pathFeeds(trees: readonly TokenTree[], T: number): Values {
  const sequences = trees.flatMap((tree, b) =>
    pathsOf(tree).map((path) => path.map((place) => b * T + place)),
  );
  const P = Math.max(...sequences.map((path) => path.length));
  const paths = new BigInt64Array(sequences.length * P);
  const home = new BigInt64Array(trees.length * T);
  for (const [s, path] of sequences.entries()) {
    for (let i = 0; i < P; i++) paths[s * P + i] = BigInt(path[i] ?? path[0]!);
    for (const [i, place] of path.entries()) home[place] = BigInt(s * P + i);
  }
  return {
    paths: new Value('int64', paths, [sequences.length, P]),
    home: new Value('int64', home, [home.length]),
  };
}
