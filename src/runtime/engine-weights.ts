import {
  dequantize,
  float16,
  float32,
  linearWeights,
  type Quantized,
  RowQuantizer,
  type Tensor,
  type Value,
  type Weight,
} from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { encodeF16 } from '../model/float-bits.ts';
import { layerPrefix } from '../model/parameters.ts';
import {
  bitsInMemory,
  type DeviceDtype,
  inFewBits,
  quantizeWeight,
  type WeightDtype,
} from '../model/quantized-tensors.ts';
import type { TensorSource } from '../model/tensor-source.ts';
import type { OnProgress } from '../util/progress.ts';
import { turn } from '../util/turn.ts';

/**
 * Which weights of few bits are laid out by row, a factor for each and integers for the tokens: all, as prompts want it, or
 * the large ones of 8 bits. They are read at 1 byte a value in place of 1.25, but the integers of a token take ten small nodes
 * more.
 */
export type ByRow = 'all' | 'large';

/** Values of a weight that is large: reading it takes longer by those nodes. */
const LARGE = 2 ** 21;

/** What may be told of and may end the reading of weights. */
export interface Reading {
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

const STORED = { 32: 'f32', 8: 'q8', 4: 'q4' } as const;

/**
 * The weights of a model as its programs take them, read program by program, so that they are never all in memory a
 * second time beside what ONNX Runtime has packed.
 */
export class EngineWeights {
  private count = 0;
  private stored: WeightDtype | undefined;

  constructor(
    private readonly config: ModelConfig,
    private readonly source: TensorSource,
    /** As the source has them, when absent. */
    private readonly dtype: DeviceDtype | undefined,
    /** Rows that are no whole blocks, and exact in files, are held in few bits too. */
    private readonly partialBlocks = false,
  ) {}

  /**
   * The values of those inputs that the outputs depend on.
   *
   * @param options.total of the tensors that are read in all, for `onProgress`
   * @param options.byRow the weights of few bits that are laid out by row
   */
  async load(
    outputs: readonly Tensor[],
    inputs: Readonly<Record<string, Tensor>>,
    needed: ReadonlySet<Tensor>,
    options: Reading & { total?: number | undefined; byRow?: ByRow | undefined } = {},
  ): Promise<Map<Tensor, Weight>> {
    const { onProgress, signal, total = needed.size, byRow } = options;
    const linear = linearWeights(outputs);
    const values = new Map<Tensor, Weight>();
    await using quantizer = new RowQuantizer();
    for (const [name, x] of Object.entries(inputs)) {
      if (!needed.has(x)) continue;
      const shape = x.shape as number[];
      const value = this.value(name, shape, linear.has(x));
      values.set(x, 'bits' in value && isByRow(value, byRow) ? await quantizer.quantize(value) : value);
      this.count++;
      onProgress?.({ stage: 'load weights', done: Math.min(this.count, total), total, unit: 'tensors' });
      // Reading blocks: the event loop turns between tensors, so that `signal` can end it.
      await turn();
      signal?.throwIfAborted();
    }
    return values;
  }

  private value(name: string, shape: readonly number[], linear: boolean): Value | Quantized {
    if (linear && this.dtype === 'f16') return float16(encodeF16(this.source.read(name)), shape);
    return (linear && this.quantized(name, shape)) || float32(this.source.read(name), shape);
  }

  /** In few bits, if that is how the weight is wanted. */
  private quantized(name: string, shape: readonly number[]): Quantized | null {
    const dtype = this.dtype === 'f16' ? 'f32' : this.dtype;
    const found = inFewBits(this.source, name, shape, dtype);
    if (found || !this.partialBlocks) return found;
    const bits = bitsInMemory(name, shape, this.matrices);
    return bits && quantizeWeight(this.source.read(name), shape, bits);
  }

  /** Whether matrices are held in few bits. */
  get fewBits(): boolean {
    return this.matrices !== 'f32';
  }

  /** What most matrices are held in. */
  private get matrices(): WeightDtype {
    if (this.dtype) return this.dtype === 'f16' ? 'f32' : this.dtype;
    this.stored ??= STORED[this.source.quantized?.(`${layerPrefix(0)}mlp.down_proj.weight`)?.bits ?? 32];
    return this.stored;
  }

  /** A function that writes rows of the embedding one after the other. */
  embedding(): (ids: readonly number[], into: Float32Array) => void {
    const { hiddenSize: D, vocabSize } = this.config;
    const name = 'model.embed_tokens.weight';
    const table = this.quantized(name, [vocabSize, D]) ?? this.source.read(name);
    return (ids, into) => {
      for (const [i, id] of ids.entries()) {
        if ('bits' in table)
          dequantize(table, id, 1, into.subarray(i * D, (i + 1) * D) as Float32Array<ArrayBuffer>);
        else into.set(table.subarray(id * D, (id + 1) * D), i * D);
      }
    };
  }
}

/** Of 4 bits, blocks are smaller, whatever the size. */
function isByRow({ bits, shape: [N, K] }: Quantized, byRow: ByRow | undefined): boolean {
  return byRow === 'all' || (byRow === 'large' && bits === 8 && N * K >= LARGE);
}
