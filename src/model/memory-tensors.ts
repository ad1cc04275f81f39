import { InputError } from '../util/errors.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

export interface MemoryTensor {
  /** Sizes, outermost first. */
  shape: number[];
  /** Row-major, as many values as the shape has elements. */
  data: Float32Array<ArrayBuffer>;
}

/** Weights held in memory. `read` returns the stored array itself, not a copy. */
export class MemoryTensors implements TensorSource {
  readonly tensors: Map<string, MemoryTensor>;

  constructor(tensors: Iterable<readonly [string, MemoryTensor]> = []) {
    this.tensors = new Map();
    for (const [name, tensor] of tensors) this.set(name, tensor);
  }

  /** Throws InputError when the number of values is not the product of the shape. */
  set(name: string, tensor: MemoryTensor): void {
    const count = tensor.shape.reduce((product, size) => product * size, 1);
    if (tensor.data.length !== count) {
      throw new InputError(
        `tensor '${name}' of shape [${tensor.shape}] takes ${count} values, got ${tensor.data.length}`,
      );
    }
    this.tensors.set(name, tensor);
  }

  names(): string[] {
    return [...this.tensors.keys()];
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  info(name: string): TensorInfo {
    return { name, dtype: 'F32', shape: [...this.get(name).shape] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return this.get(name).data;
  }

  private get(name: string): MemoryTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new InputError(`tensor '${name}' is not among the ${this.tensors.size} in memory`);
    return tensor;
  }
}
