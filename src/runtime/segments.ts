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
import { attendByGroup } from '../mixers/head-attention.ts';
import type { MixerInput, MixerOutput } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { head, type MixerOptions, mlpBlock, under, weightInputs } from '../model/decoder.ts';
import { layerPrefix, modelParameters } from '../model/parameters.ts';
import type { ByRow, EngineWeights, Reading } from './engine-weights.ts';
import { attendStep } from './kv/decode.ts';
import type { PackedKind } from './kv/packed-attention.ts';
import type { Ring } from './kv/ring.ts';
import { RingAttention } from './kv/ring-attention.ts';
import { type CachedGroup, hostShape, keptGroups, linearPart } from './sequence-parts.ts';

/**
 * The decoder cut at every layer with keys and values in a cache: a program runs up to the heads of such a layer, the
 * attention of those over a cache is computed outside (cache-attention.ts), and the next program goes on from what they
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

export interface Segment {
  /**
   * From hidden states `x` [B, T, D], and but for the first segment what heads of the last layer got, to `x` and heads of the
   * next layer with a cache, but for the last segment. Beside them the state, `first` [B, T, W], values for later layers,
   * the tables of angles `cos.{width}` and `sin.{width}` [B * T, width / 2], and what depends on the places of rings.
   */
  program: Program;
  /** Whose attention comes next: of each `q`, `k`, `v` and `attended` by `headName`, [B, heads, T, d]. */
  groups: readonly CachedGroup[];
}

/** Name of heads that go from one segment to the next: those of one number of key heads share their memory. */
export function headName(part: string, { index, heads }: Pick<CachedGroup, 'index' | 'heads'>): string {
  return `${part}.${index}.${heads.length}`;
}

export class Segments {
  private constructor(
    readonly form: Form,
    readonly segments: readonly Segment[],
    /** Heads that go from one segment to the next, by their names: how many. */
    readonly crossing: ReadonlyMap<string, number>,
    /** Of the layers. */
    readonly rings: readonly Ring[],
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
      for (const { outputs, groups } of recorded.segments) {
        segments.push({
          program: await compileWith(source, outputs, recorded.weights, {
            ...options,
            byRow,
            givesBack: form === 'piece',
          }),
          groups,
        });
      }
    } catch (error) {
      for (const { program } of segments) await program.dispose();
      throw error;
    }
    const { crossing, rings, rotated, firstShape } = recorded;
    return new Segments(form, segments, crossing, rings, rotated, firstShape);
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
  segments: { outputs: Record<string, Tensor>; groups: CachedGroup[] }[];
  weights: Record<string, Tensor>;
  crossing: Map<string, number>;
  rings: Ring[];
  rotated: number[];
  firstShape: number[] | null;
}

function record(config: ModelConfig, form: Form, padTo: number, packedType: RightBytes | null): Recorded {
  const [B, T]: [Dim, Dim] = [form === 'step' ? 'B' : 1, form === 'piece' ? 'T' : 1];
  const weights = weightInputs(modelParameters(config));
  const { hiddenSize, rmsNormEps } = config;
  const rings = new RingAttention(form === 'piece' ? 'prefill' : 'decode');
  const whole = form === 'whole' || form === 'whole, packed';
  const crossing: Recorded['crossing'] = new Map();
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
  const mask = input('mask', 'float32', [1, 'C']);
  const packed: PackedKind[] = packedType ? [{ masked: false, bytes: packedType }] : [];
  /** Whether a layer from i on takes values from another. */
  const coupled = (i: number) => config.layers.slice(i).some((spec) => mixerOf(spec).coupled?.(spec));
  let outputs: Record<string, Tensor> = {};
  let x = input('x', 'float32', [B, T, hiddenSize]);
  let firstValues: Tensor | undefined;
  for (const [i, spec] of config.layers.entries()) {
    const mixer = mixerOf(spec);
    const layerWeights = under(layerPrefix(i), weights);
    const { cached } = mixer;
    const params = under('self_attn.', layerWeights);
    const normed = () => rmsNorm(x, layerWeights['input_layernorm.weight']!, rmsNormEps);
    /** What is added to x. */
    const mixed: Tensor[] = [];
    if (cached) {
      const given: MixerInput = { x: normed(), params, form: 'recurrent', positions, angles };
      const groups = keptGroups(config, i).map((group, index) => ({ ...group, layer: i, index }));
      const cut = whole ? [] : groups.filter(({ ring }) => !ring);
      const send = (part: string, heads: Tensor, group: CachedGroup) => {
        const name = headName(part, group);
        crossing.set(name, heads.shape[1] as number);
        outputs[name] = heads;
      };
      const attended = attendByGroup(cached.heads(spec, config, given), groups, config, (own, group) => {
        if (group.ring) {
          const { attended, k, v } = rings.attend(`${i}`, own, group);
          Object.assign(outputs, { [`${i}.window_k`]: k, [`${i}.window_v`]: v });
          if (cut.length === 0) return attended;
          send('attended', attended, group);
        } else if (whole) {
          Object.assign(outputs, { [`${i}.k`]: own.k, [`${i}.v`]: own.v });
          return attendStep(`${i}`, own, mask, packed);
        } else {
          for (const part of ['q', 'k', 'v'] as const) send(part, own[part], group);
        }
        const name = headName('attended', group);
        crossing.set(name, own.q.shape[1] as number);
        return input(name, 'float32', own.q.shape);
      });
      if (cut.length > 0) {
        if (firstValues && coupled(i)) outputs.first = firstValues;
        segments.push({ outputs: { ...outputs, x }, groups: cut });
        outputs = {};
        if (firstValues && coupled(i)) firstValues = input('first', 'float32', firstValues.shape);
        x = input('x', 'float32', [B, T, hiddenSize]);
      }
      mixed.push(cached.output(attended, params));
    }
    const linear = linearPart(mixer);
    if (linear) {
      const parts = linear.state(spec, config);
      const transposed = new Set(parts.filter(({ transposed }) => transposed).map(({ name }) => name));
      const swapped = (name: string, x: Tensor) => (transposed.has(name) ? swapLast(x) : x);
      const own = parts.map(({ name, shape, transposed }) => {
        const given = input(`${i}.${name}`, 'float32', [B, ...hostShape(shape.slice(1), transposed)]);
        return [name, swapped(name, given)] as const;
      });
      const options: MixerOptions = {
        form: mixer.fused ? 'fused' : form === 'piece' ? 'chunk' : 'recurrent',
        state: Object.fromEntries(own),
        positions,
        angles,
        firstValues,
      };
      const block = (x: Tensor, more: Partial<MixerOptions> = {}) =>
        linear.forward(spec, config, { x, params, ...options, ...more });
      const made = options.form === 'chunk' ? padded(normed(), positions, padTo, block) : block(normed());
      for (const [name, tensor] of Object.entries(made.state)) {
        outputs[`${i}.${name}`] = swapped(name, tensor);
      }
      firstValues ??= made.firstValues;
      mixed.push(made.y);
    }
    x = add(
      x,
      mixed.reduce((a, b) => add(a, b)),
    );
    x = mlpBlock(config, x, layerWeights);
  }
  segments.push({ outputs: { ...outputs, x }, groups: [] });
  const firstShape = firstValues ? (firstValues.shape.slice(1) as number[]) : null;
  return { segments, crossing, weights, rings: rings.all, rotated: [...tables.keys()], firstShape };
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
