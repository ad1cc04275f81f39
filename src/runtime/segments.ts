import {
  add,
  addDims,
  arange,
  type Device,
  type Dim,
  FAST_BLOCKS,
  fill,
  input,
  mulDims,
  Program,
  pad,
  type RightBytes,
  reshape,
  rightBytes,
  rmsNorm,
  slice,
  swapLast,
  type Tensor,
  topologicalOrder,
} from '../graph/index.ts';
import type { MixerInput, MixerOutput } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { head, type MixerOptions, mixerBlock, mlpBlock, under, weightInputs } from '../model/decoder.ts';
import { layerPrefix, modelParameters } from '../model/parameters.ts';
import { InputError } from '../util/errors.ts';
import { attendToBlock } from './block-attention.ts';
import type { ByRow, EngineWeights, Reading } from './engine-weights.ts';

/**
 * The decoder cut at every layer whose keys and values are kept in a cache: a program runs up to the heads of such a
 * layer, their attention is computed outside (cached-attention.ts), and the next program goes on from what they
 * got. Weights are initialisers. What is recorded is a step, one token of each of B sequences; or a piece, T tokens of
 * one sequence; or a whole step, one token of one sequence whose caches are a block each, or what is packed and a block,
 * which is not cut.
 */
export type Form = 'step' | 'piece' | 'whole' | 'whole, packed';

interface CompileWith {
  device?: Device;
  threads?: number;
  reading?: Reading;
  /** Tensors that are read in all, for progress. */
  total?: number;
  /** Outputs that stay on the device. */
  keepOnDevice?: 'all';
  profile?: string;
  /** Products with weights have few rows. */
  fewRows?: boolean;
  /** Runs give back what they take beside results. */
  givesBack?: boolean;
  /** The weights of few bits that are laid out by row. */
  byRow?: ByRow | undefined;
}

export interface SegmentOptions extends CompileWith {
  /** Tokens of a piece are padded to so many where a mixer has no fused form. */
  padTo: number;
}

/** A part of the state that does not grow, under the name it has in a sequence: `2.recurrent`. [B, ...] */
export interface FixedState {
  name: string;
  /** Without B. */
  shape: number[];
  layer: number;
  /** Whether the host keeps the last of its axes before the one before it (StateTensor). */
  turns?: boolean;
}

/** Every part of the state of linear mixers. */
export function fixedState(config: ModelConfig): FixedState[] {
  return config.layers.flatMap((spec, layer) => {
    const mixer = mixerOf(spec);
    if (mixer.cached) return [];
    return mixer.state(spec, config).map(({ name, shape, turns = false }) => {
      return { name: `${layer}.${name}`, shape: shape.slice(1) as number[], layer, turns };
    });
  });
}

/** The same as the host keeps it. */
export function hostState(config: ModelConfig): FixedState[] {
  return fixedState(config).map((part) => ({ ...part, shape: kept(part.shape, part.turns) }));
}

/** A shape [..., D, W] of which the last axes are exchanged where they turn. */
function kept<T>(shape: readonly T[], turns = false): T[] {
  return turns ? [...shape.slice(0, -2), ...shape.slice(-2).reverse()] : [...shape];
}

/** The layers whose keys and values are cached, and what each query of them sees. */
export function cachedLayers(config: ModelConfig): { layer: number; window: number; sinks: number }[] {
  return config.layers.flatMap((spec, layer) => {
    const reach = mixerOf(spec).cached?.reach(spec, config);
    if (reach && reach.length > 1) throw new InputError(`layer ${layer} is head_attention`);
    return reach ? [{ layer, window: reach[0]!.window, sinks: reach[0]!.sinks }] : [];
  });
}

export interface Segment {
  /**
   * From hidden states `x` [B, T, D], and but for the first segment `attended` [B, H, T, d], to `x` and the heads `q`,
   * `k`, `v` of the next cached layer, but for the last segment. Beside them the state, `first` [B, T, W], values for
   * later layers, and the tables of angles `cos.{width}` and `sin.{width}` [B * T, width / 2].
   */
  program: Program;
  /** Names of its parts of the state. */
  state: readonly string[];
}

export class Segments {
  private constructor(
    readonly segments: readonly Segment[],
    /** Widths of heads that are rotated. */
    readonly rotated: readonly number[],
    /** Shape of `first` but for B, where there is such a thing. */
    readonly firstShape: readonly number[] | null,
  ) {}

  static async compile(
    config: ModelConfig,
    form: Form,
    source: EngineWeights,
    options: SegmentOptions,
  ): Promise<Segments> {
    const { padTo, device = 'cpu' } = options;
    const packed = form === 'whole, packed' ? await rightBytes() : null;
    const recorded = record(config, form, padTo, packed);
    const byRow = layout(device, form === 'piece');
    const segments: Segment[] = [];
    try {
      for (const { outputs, state } of recorded.segments) {
        segments.push({
          program: await compileWith(source, outputs, recorded.weights, {
            ...options,
            byRow,
            givesBack: form === 'piece',
          }),
          state,
        });
      }
    } catch (error) {
      for (const { program } of segments) await program.dispose();
      throw error;
    }
    return new Segments(segments, recorded.rotated, recorded.firstShape);
  }

  async dispose(): Promise<void> {
    for (const { program } of this.segments) await program.dispose();
  }
}

/** Hidden states [B, T, D] -> `logits` [B, T, vocabulary]. */
export async function compileHead(
  config: ModelConfig,
  source: EngineWeights,
  options: CompileWith,
): Promise<Program> {
  const weights = weightInputs(modelParameters(config));
  const logits = head(config, input('x', 'float32', ['B', 'T', config.hiddenSize]), weights);
  const byRow = layout(options.device);
  return compileWith(source, { logits }, weights, { ...options, byRow });
}

/** What is laid out by row: on the CPU, which has the products of integers. */
function layout(device: Device = 'cpu', manyRows = false): ByRow | undefined {
  if (device !== 'cpu') return undefined;
  return manyRows || !FAST_BLOCKS ? 'all' : 'large';
}

/** A program of its own with the weights it needs, which are read for it and let go of. */
export async function compileWith(
  source: EngineWeights,
  outputs: Record<string, Tensor>,
  inputs: Record<string, Tensor>,
  { reading, total, byRow, ...options }: CompileWith,
): Promise<Program> {
  const results = Object.values(outputs);
  const needed = new Set(topologicalOrder(results).flatMap(({ outputs }) => outputs));
  const weights = await source.load(results, inputs, needed, { ...reading, byRow, total });
  return Program.compile(outputs, { ...options, weights });
}

interface Recorded {
  segments: { outputs: Record<string, Tensor>; state: string[] }[];
  weights: Record<string, Tensor>;
  rotated: number[];
  firstShape: number[] | null;
}

function record(config: ModelConfig, form: Form, padTo: number, packed: RightBytes | null): Recorded {
  const [B, T]: [Dim, Dim] = [form === 'step' ? 'B' : 1, form === 'piece' ? 'T' : 1];
  const weights = weightInputs(modelParameters(config));
  const { hiddenSize, numHeads, headDim, rmsNormEps } = config;
  const tables = new Map<number, { cos: Tensor; sin: Tensor }>();
  const angles = (width: number) => {
    const table = (name: string) => input(`${name}.${width}`, 'float32', [mulDims(B, T), width / 2]);
    const known = tables.get(width) ?? { cos: table('cos'), sin: table('sin') };
    tables.set(width, known);
    return known;
  };
  // Rows of the tables of angles: those are given for the tokens at hand.
  const positions = reshape(arange(mulDims(B, T)), [B, T]);
  const segments: Recorded['segments'] = [];
  const hidden = input('hidden', 'float32', [1, 'C']);
  /** Whether a layer from i on takes values from another. */
  const coupled = (i: number) => config.layers.slice(i).some((spec) => mixerOf(spec).coupled?.(spec));
  let state: string[] = [];
  let outputs: Record<string, Tensor> = {};
  let x = input('x', 'float32', [B, T, hiddenSize]);
  let firstValues: Tensor | undefined;
  for (const [i, spec] of config.layers.entries()) {
    const mixer = mixerOf(spec);
    const layerWeights = under(layerPrefix(i), weights);
    const { cached } = mixer;
    if (cached) {
      const params = under('self_attn.', layerWeights);
      const normed = rmsNorm(x, layerWeights['input_layernorm.weight']!, rmsNormEps);
      const heads: MixerInput = { x: normed, params, form: 'recurrent', positions, angles };
      if (form === 'whole' || form === 'whole, packed') {
        const { attended, k, v } = attendToBlock(`${i}`, cached.heads(spec, config, heads), hidden, packed);
        outputs[`${i}.k`] = k;
        outputs[`${i}.v`] = v;
        x = mlpBlock(config, add(x, cached.output(attended, params)), layerWeights);
        continue;
      }
      if (firstValues && coupled(i)) outputs.first = firstValues;
      segments.push({ outputs: { ...outputs, x, ...cached.heads(spec, config, heads) }, state });
      [state, outputs] = [[], {}];
      if (firstValues && coupled(i)) firstValues = input('first', 'float32', firstValues.shape);
      const attended = input('attended', 'float32', [B, numHeads, T, headDim]);
      x = add(input('x', 'float32', [B, T, hiddenSize]), cached.output(attended, params));
    } else {
      const parts = mixer.state(spec, config);
      const turned = new Set(parts.filter(({ turns }) => turns).map(({ name }) => name));
      const turn = (name: string, x: Tensor) => (turned.has(name) ? swapLast(x) : x);
      const own = parts.map(({ name, shape, turns }) => {
        const full = `${i}.${name}`;
        state.push(full);
        return [name, turn(name, input(full, 'float32', [B, ...kept(shape.slice(1), turns)]))] as const;
      });
      const options: MixerOptions = {
        form: mixer.fused ? 'fused' : form === 'piece' ? 'chunk' : 'recurrent',
        state: Object.fromEntries(own),
        positions,
        angles,
        firstValues,
      };
      const block = (x: Tensor, more: Partial<MixerOptions> = {}) =>
        mixerBlock(config, spec, x, layerWeights, { ...options, ...more });
      const mixed = options.form === 'chunk' ? padded(x, positions, padTo, block) : block(x);
      for (const [name, tensor] of Object.entries(mixed.state)) {
        outputs[`${i}.${name}`] = turn(name, tensor);
      }
      firstValues ??= mixed.firstValues;
      x = add(x, mixed.y);
    }
    x = mlpBlock(config, x, layerWeights);
  }
  segments.push({ outputs: { ...outputs, x }, state });
  const firstShape = firstValues ? (firstValues.shape.slice(1) as number[]) : null;
  return { segments, weights, rotated: [...tables.keys()], firstShape };
}

/**
 * A mixer that needs a static number of tokens, on x [1, T, D] with symbolic T up to `size`: padded on the right, which
 * the mask tells it.
 */
export function padded(
  x: Tensor,
  positions: Tensor,
  size: number,
  block: (x: Tensor, more: Partial<MixerOptions>) => MixerOutput,
): MixerOutput {
  const [B, T] = x.shape as [Dim, Dim];
  const rest = addDims(size, mulDims(T, -1));
  const { y, ...others } = block(pad(x, 1, 0, rest), {
    mask: pad(fill(1, [B, T]), 1, 0, rest),
    positions: pad(positions, 1, 0, rest),
  });
  // Values for later layers stay padded: those layers are, too.
  return { y: slice(y, 1, 0, T), ...others };
}
