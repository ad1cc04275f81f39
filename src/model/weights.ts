/** Whether a checkpoint holds just the tensors that a model consists of. */
import type { Quantized } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import { modelParameters } from './parameters.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

export interface CheckWeightsOptions {
  /** Read every value too and refuse NaN and infinities. */
  values?: boolean;
  /** What to call the checkpoint in messages: its folder. */
  where?: string;
}

/**
 * Compares names and shapes with what the configuration asks for. Tensors that are neither expected nor known to
 * be redundant are an error too: they mean that the configuration describes another model (a bias, say).
 *
 * @throws InputError naming the tensor, what was found and what was expected
 */
export function checkWeights(
  config: ModelConfig,
  weights: TensorSource,
  options: CheckWeightsOptions = {},
): void {
  const where = options.where ? `${options.where}: ` : '';
  const expected = modelParameters(config);
  for (const { name, shape } of expected) {
    if (!weights.has(name)) throw new InputError(`${where}tensor '${name}' of shape [${shape}] is missing`);
    const found = weights.info(name).shape;
    if (found.length !== shape.length || found.some((size, i) => size !== shape[i])) {
      throw new InputError(
        `${where}tensor '${name}' has shape [${found}], the configuration asks for [${shape}]`,
      );
    }
  }
  const known = new Set(expected.map((tensor) => tensor.name));
  const extra = weights.names().filter((name) => !known.has(name) && !isRedundant(name, config));
  if (extra.length > 0) {
    const others = extra.length > 1 ? `, nor have ${extra.length - 1} others` : '';
    throw new InputError(`${where}tensor '${extra[0]}' has no place in the configured model${others}`);
  }
  if (options.values) {
    const checked = new FiniteTensors(weights, options.where);
    for (const { name } of expected) checked.read(name);
  }
}

/** Tensors that old checkpoints carry although they can be computed, and a copy of the embedding it is tied to. */
function isRedundant(name: string, config: ModelConfig): boolean {
  // Of Qwen, layers that predict several tokens.
  if (name.startsWith('mtp.')) return true;
  return name.endsWith('rotary_emb.inv_freq') || (name === 'lm_head.weight' && config.tieWordEmbeddings);
}

/** Passes tensors through and throws InputError when one that is read holds NaN or an infinity. */
export class FiniteTensors implements TensorSource {
  private readonly source: TensorSource;
  private readonly where: string;

  constructor(source: TensorSource, where = 'weights') {
    this.source = source;
    this.where = where;
  }

  names(): string[] {
    return this.source.names();
  }

  has(name: string): boolean {
    return this.source.has(name);
  }

  info(name: string): TensorInfo {
    return this.source.info(name);
  }

  quantized(name: string): Quantized | null {
    const found = this.source.quantized?.(name) ?? null;
    if (found) this.check(name, found.scales);
    return found;
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return this.check(name, this.source.read(name));
  }

  part(name: string, from: number, count: number): Float32Array<ArrayBuffer> {
    const values = this.source.part?.(name, from, count);
    return values ? this.check(name, values, from) : this.read(name).slice(from, from + count);
  }

  private check(name: string, values: Float32Array<ArrayBuffer>, first = 0): Float32Array<ArrayBuffer> {
    let zero = 0;
    for (let i = 0; i < values.length; i++) zero += values[i]! * 0; // stays 0 unless a value is not finite
    if (zero !== 0) {
      const at = values.findIndex((value) => !Number.isFinite(value));
      throw new InputError(
        `${this.where}: tensor '${name}' holds ${values[at]} at index ${first + at}, expected finite values`,
      );
    }
    return values;
  }
}
