import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/**
 * An exported ONNX model as transformers.js runs it: a state of zeros of the declared shapes with unknown symbols as 0,
 * every output `present*` the input `past*` of the next call, positions counted by the attention mask.
 */
export class ExportedModel {
  private past: Record<string, Tensor> = {};
  /** 1 for a token, 0 for padding, of each sequence so far. */
  private mask: number[][] = [];

  private constructor(private readonly session: InferenceSession) {}

  static async open(folder: string, file = 'model.onnx'): Promise<ExportedModel> {
    const model = new ExportedModel(
      await InferenceSession.create(join(folder, 'onnx', file), { intraOpNumThreads: 1 }),
    );
    model.config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    return model;
  }

  config: Record<string, unknown> = {};

  /** Forgets everything. */
  start(batch: number): void {
    this.mask = Array.from({ length: batch }, () => []);
    this.past = {};
    for (const meta of this.session.inputMetadata) {
      if (!meta.name.startsWith('past')) continue;
      const { shape } = meta as { shape: readonly (number | string)[] };
      const dims = shape.map((dim) => (typeof dim === 'number' ? dim : dim === 'batch_size' ? batch : 0));
      const size = dims.reduce((a, b) => a * b, 1);
      this.past[meta.name] = new Tensor('float32', new Float32Array(size), dims);
    }
  }

  /**
   * Reads tokens [batch, T], null for padding on the left.
   *
   * @returns the logits of the last `keep` of them, of all for 0: [batch][keep]
   */
  async read(ids: readonly (readonly (number | null)[])[], keep = 1): Promise<Float32Array[][]> {
    for (const [b, row] of ids.entries()) this.mask[b]!.push(...row.map((id) => (id === null ? 0 : 1)));
    const T = ids[0]!.length;
    const positions = this.mask.map((row) => {
      let count = 0;
      return row.map((x) => (x === 0 ? 1 : count++)).slice(-T);
    });
    const feeds: Record<string, Tensor> = {
      ...this.past,
      input_ids: int64(ids.map((row) => row.map((id) => id ?? 0))),
      attention_mask: int64(this.mask),
      position_ids: int64(positions),
      num_logits_to_keep: new Tensor('int64', BigInt64Array.of(BigInt(keep)), []),
    };
    const { logits, ...present } = await this.session.run(feeds);
    for (const [name, value] of Object.entries(present)) {
      const past = name.startsWith('present.')
        ? name.replace('present', 'past_key_values')
        : name.replace('present', 'past');
      this.past[past] = value as Tensor;
    }
    const [batch, kept, vocabulary] = logits!.dims as [number, number, number];
    const data = logits!.data as Float32Array;
    return Array.from({ length: batch }, (_, b) =>
      Array.from({ length: kept }, (_, t) =>
        data.slice((b * kept + t) * vocabulary, (b * kept + t + 1) * vocabulary),
      ),
    );
  }

  /** The shapes of the state, by name. */
  get stateShapes(): Record<string, readonly number[]> {
    return Object.fromEntries(Object.entries(this.past).map(([name, { dims }]) => [name, dims]));
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}

function int64(rows: readonly (readonly number[])[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]!.length]);
}
