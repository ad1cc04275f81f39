import {
  arange,
  type Device,
  type Dim,
  FAST_BLOCKS,
  input,
  mulDims,
  Program,
  type RightBytes,
  reshape,
  rightBytes,
  swapLast,
  type Tensor,
  topologicalOrder,
} from '../graph/index.ts';
import { attendByGroup } from '../mixers/head-attention.ts';
import type { LinearPart } from '../mixers/mixer.ts';
import { mixerOf } from '../mixers/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { head, type Layer, recordLayers, type Stream, weightInputs } from '../model/decoder.ts';
import { type Heads, mixByParts } from '../model/mix-by-parts.ts';
import { modelParameters } from '../model/parameters.ts';
import { AngleInputs, type Rotation } from './angle-tables.ts';
import type { ByRow, EngineWeights, Reading } from './engine-weights.ts';
import { attendStep } from './kv/decode.ts';
import type { PackedKind } from './kv/packed-attention.ts';
import type { Ring } from './kv/ring.ts';
import { RingAttention } from './kv/ring-attention.ts';
import { formOf, linearOf } from './linear-part.ts';
import { type CachedGroup, hostShape, keptGroups } from './sequence-parts.ts';

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
    /** Tables of angles that it takes. */
    readonly rotated: readonly Rotation[],
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
  rotated: Rotation[];
  firstShape: number[] | null;
}

function record(config: ModelConfig, form: Form, padTo: number, packedType: RightBytes | null): Recorded {
  const [B, T]: [Dim, Dim] = [form === 'step' ? 'B' : 1, form === 'piece' ? 'T' : 1];
  const weights = weightInputs(modelParameters(config));
  const { hiddenSize } = config;
  const rings = new RingAttention(form === 'piece' ? 'prefill' : 'decode');
  const whole = form === 'whole' || form === 'whole, packed';
  const crossing: Recorded['crossing'] = new Map();
  const angles = new AngleInputs(mulDims(B, T));
  // Rows of the tables of angles: those are given for the tokens at hand.
  const positions = reshape(arange(mulDims(B, T)), [B, T]);
  const segments: Recorded['segments'] = [];
  const mask = input('mask', 'float32', [1, 'C']);
  const packed: PackedKind[] = packedType ? [{ masked: false, bytes: packedType }] : [];
  /** Whether a layer from i on takes values from another. */
  const coupled = (i: number) => config.layers.slice(i).some((spec) => mixerOf(spec).coupled?.(spec));
  let outputs: Record<string, Tensor> = {};
  const x = () => input('x', 'float32', [B, T, hiddenSize]);
  const stream: Stream = { x: x() };

  /** Ends a segment: what goes on is an input of the next. */
  const cut = (layer: number, groups: CachedGroup[]) => {
    const first = coupled(layer) ? stream.firstValues : undefined;
    segments.push({ outputs: { ...outputs, ...(first && { first }), x: stream.x }, groups });
    outputs = {};
    stream.x = x();
    if (first) stream.firstValues = input('first', 'float32', first.shape);
  };
  const send = (part: string, heads: Tensor, group: CachedGroup) => {
    const name = headName(part, group);
    crossing.set(name, heads.shape[1] as number);
    outputs[name] = heads;
  };
  const attend = (heads: Heads, { index: i }: Layer) => {
    const groups = keptGroups(config, i).map((group, index) => ({ ...group, layer: i, index }));
    const outside = whole ? [] : groups.filter(({ ring }) => !ring);
    const attended = attendByGroup(heads, groups, config, (own, group) => {
      if (group.ring) {
        const { attended, k, v } = rings.attend(`${i}`, own, group);
        Object.assign(outputs, { [`${i}.window_k`]: k, [`${i}.window_v`]: v });
        if (outside.length === 0) return attended;
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
    if (outside.length > 0) cut(i, outside);
    return attended;
  };
  const linear = (part: LinearPart, layer: Layer) => {
    const { index: i, spec } = layer;
    const states = part.state(spec, config);
    const transposed = new Set(states.filter(({ transposed }) => transposed).map(({ name }) => name));
    const swapped = (name: string, x: Tensor) => (transposed.has(name) ? swapLast(x) : x);
    const own = states.map(({ name, shape, transposed }) => {
      const given = input(`${i}.${name}`, 'float32', [B, ...hostShape(shape.slice(1), transposed)]);
      return [name, swapped(name, given)] as const;
    });
    const options = {
      form: formOf(spec, form === 'piece'),
      state: Object.fromEntries(own),
      angles: angles.of,
      firstValues: stream.firstValues,
    };
    const made = linearOf(config, part, layer, { ...options, positions }, padTo);
    for (const [name, tensor] of Object.entries(made.state)) outputs[`${i}.${name}`] = swapped(name, tensor);
    return made;
  };

  recordLayers(config, stream, weights, mixByParts(config, { positions, angles: angles.of, attend, linear }));
  segments.push({ outputs: { ...outputs, x: stream.x }, groups: [] });
  const { firstValues } = stream;
  const firstShape = firstValues ? (firstValues.shape.slice(1) as number[]) : null;
  return { segments, crossing, weights, rings: rings.all, rotated: angles.rotations, firstShape };
}
