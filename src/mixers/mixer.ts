import type { Shape, Tensor } from '../graph/index.ts';
import type { Random } from '../util/random.ts';
import type { Calibration } from './calibration.ts';
import type { MixerContext, MixerSpec } from './spec.ts';

/**
 * The interface of a token mixer: what attention is in a transformer layer, and whatever takes its place.
 * One file per mixer; one shared test suite runs on all of them (test/mixers).
 */

/** A weight of a mixer, named as in checkpoints below `model.layers.{i}.self_attn.` */
export interface Parameter {
  name: string;
  /** Linear weights are [out, in]. */
  shape: number[];
  /** Fresh values, row-major. */
  init(random: Random): Float32Array;
  /** Whether weight decay applies. */
  decay: boolean;
}

/** A part of a mixer's state. */
export interface StateTensor {
  name: string;
  /** Zeros at the start of a sequence. [B, ...]; 'P' stands for the number of past tokens of a cache that grows. */
  shape: Shape;
  /**
   * Of inputs that are remembered, [B, D, W]: a token of the fused form is fastest where they are kept as [B, W, D] and
   * given as `swapLast` of that.
   */
  transposed?: boolean;
}

/**
 * The ways to compute a linear mixer over several tokens: token by token, which is its definition and its decode
 * step; in chunks of matrix products; or fused, by ONNX Runtime's own op for recurrences, which takes a symbolic T
 * but no gradient. Attention has one form and ignores this.
 */
export type Form = 'recurrent' | 'chunk' | 'fused';

export interface MixerInput {
  /** Normalised layer input [B, T, D]; B and T may be symbolic where the form allows. */
  x: Tensor;
  /** By the names of `parameters`. */
  params: Readonly<Record<string, Tensor>>;
  form: Form;
  /** Where earlier tokens left the mixer; absent at the start of a sequence. By the names of `state`. */
  state?: Readonly<Record<string, Tensor>>;
  /**
   * 1 for a token, 0 for padding, which leaves no trace in the state. float32 [B, T]. Padding stands before the
   * first token of a sequence or after the last of a call: with a state, on the right.
   */
  mask?: Tensor;
  /** That the mask has no padding after a token: the newest places are then the last ones. */
  paddedLeft?: boolean;
  /** Absolute positions, int64 [B, T]; 0, 1, ... T-1 when absent, for which T must be static. */
  positions?: Tensor;
  /** One more than the largest position that can occur; T when absent. */
  maxPositions?: number;
  /**
   * Tables of rotation angles for heads of a width, by the layers' own theta where they say `local`, which `positions` are rows
   * of; computed when absent.
   */
  angles?: (width: number, local?: boolean) => { cos: Tensor; sin: Tensor };
  /**
   * 1 for a row in which a window counts, 0 for one in which the linear mixer beside it is alone, for training: float32
   * [B]; all count when absent. Of use to mixers that have both.
   */
  windowKept?: Tensor;
  /** What the first layer that gives `firstValues` gave; absent for that layer itself. */
  firstValues?: Tensor | undefined;
}

export interface MixerOutput {
  /** [B, T, D] */
  y: Tensor;
  /** By the names of `state`, after the last token. */
  state: Record<string, Tensor>;
  /** Values that later layers of the same kind may want [B, T, H * V] (RWKV7). */
  firstValues?: Tensor;
}

export interface Mixer<S extends MixerSpec = MixerSpec> {
  kind: S['kind'];
  /** One character for architectures printed on a line. */
  letter: string;
  /** `forward` takes a symbolic T too. Not so recurrences, which are unrolled or cut into chunks. */
  anyLength?: boolean;
  /** Whether there is a fused form of what is linear in it. */
  fused?: boolean;
  /** Attention over keys and values that are kept outside of the graph, in two halves; absent for mixers that are linear alone. */
  cached?: CachedAttention<S>;
  /** A linear mixer beside such attention, whose outputs are added to those of the attention. */
  beside?: BesideAttention<S>;
  /** How it is started from what the attention does, beside its weights; absent: it takes nothing of that. */
  calibration?: Calibration<S>;
  /** Whether such a layer takes `firstValues` from another: then it is no function of its input alone. */
  coupled?(spec: S): boolean;
  parameters(spec: S, context: MixerContext): Parameter[];
  state(spec: S, context: MixerContext): StateTensor[];
  forward(spec: S, context: MixerContext, input: MixerInput): MixerOutput;
  /**
   * Weights to start from in the place of an attention layer with the given weights: what can be copied is
   * copied, the rest drawn.
   */
  fromAttention(
    spec: S,
    context: MixerContext,
    attention: ReadonlyMap<string, Float32Array>,
    random: Random,
  ): Map<string, Float32Array>;
}

/** How far some key and value heads of a layer see, and the query heads that read them. */
export interface Reach {
  /** Key and value heads, ascending. */
  heads: readonly number[];
  /** Tokens that a query sees, its own included; infinite for all. */
  window: number;
  /** First tokens of a text that stay visible behind the window. */
  sinks: number;
}

/** Attention cut in two, before and after the sums over keys and values, which the caller computes. */
interface CachedAttention<S extends MixerSpec> {
  /** How far the key and value heads see: groups, which together are all of them. */
  reach(spec: S, context: MixerContext): readonly Reach[];
  /** Of the input's tokens, rotated where they are to be: queries [B, H, T, d], keys and values [B, KV, T, d]. */
  heads(spec: S, context: MixerContext, input: MixerInput): Record<'q' | 'k' | 'v', Tensor>;
  /** What the queries got [B, H, T, d] -> [B, T, D]; `input` is the mixer's, for gates. */
  output(attended: Tensor, params: Readonly<Record<string, Tensor>>, input: () => Tensor): Tensor;
}

/** What is linear in a mixer. */
export type LinearPart = Pick<Mixer, 'state' | 'forward'>;

/** The linear part of a mixer that has attention too: functions of the whole mixer's input, weights and state. */
interface BesideAttention<S extends MixerSpec> extends Pick<Mixer<S>, 'state' | 'forward'> {
  /** Whether a weight is its own, and none of the attention's. */
  owns(name: string): boolean;
}

/** Values ~ N(0, deviation). */
export function normalInit(shape: readonly number[], deviation = 0.02): (random: Random) => Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  return (random) => {
    // A loop: Float32Array.from takes twice the time, which counts where there are billions of values.
    const values = new Float32Array(size);
    for (let i = 0; i < size; i++) values[i] = deviation * random.normal();
    return values;
  };
}

/** One value everywhere. */
function constantInit(shape: readonly number[], value: number): () => Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  return () => new Float32Array(size).fill(value);
}

/** A linear layer's weight [out, in] with the usual initialisation. */
export function linearWeight(name: string, out: number, inputs: number): Parameter {
  return { name, shape: [out, inputs], init: normalInit([out, inputs]), decay: true };
}

/** A vector of one value, such as a norm's weight or a bias, without weight decay. */
export function vector(name: string, size: number, value: number): Parameter {
  return { name, shape: [size], init: constantInit([size], value), decay: false };
}

/**
 * Key or value rows of a grouped attention repeated so that every query head has its own: blocks of headDim
 * rows, each repeated numHeads / numKvHeads times. [kv * headDim, columns] -> [heads * headDim, columns]
 */
export function expandHeadBlocks(
  rows: Float32Array,
  { numHeads, numKvHeads, headDim }: MixerContext,
): Float32Array<ArrayBuffer> {
  const block = rows.length / numKvHeads;
  if (!Number.isInteger(block / headDim)) {
    throw new Error(`expandHeadBlocks: ${rows.length} values are no ${numKvHeads} blocks of ${headDim} rows`);
  }
  const result = new Float32Array(block * numHeads);
  for (let head = 0; head < numHeads; head++) {
    const group = Math.floor(head / (numHeads / numKvHeads));
    result.set(rows.subarray(group * block, (group + 1) * block), head * block);
  }
  return result;
}
