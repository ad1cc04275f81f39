import type { Parameter } from '../../src/mixers/mixer.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { modelParameters } from '../../src/model/parameters.ts';
import type { TensorInfo, TensorSource } from '../../src/model/tensor-source.ts';
import { Random } from '../../src/util/random.ts';
import { noise } from './noise.ts';

/** Values from which on noise takes the place of the initial values. */
const LARGE = 1 << 16;

/** Weights of any configuration without a file: matrices of noise, and all that is small as a fresh model has it. */
export class NoiseWeights implements TensorSource {
  private readonly parameters: ReadonlyMap<string, Parameter>;

  constructor(config: ModelConfig) {
    this.parameters = new Map(modelParameters(config).map((parameter) => [parameter.name, parameter]));
  }

  names(): string[] {
    return [...this.parameters.keys()];
  }

  has(name: string): boolean {
    return this.parameters.has(name);
  }

  info(name: string): TensorInfo {
    return { name, dtype: 'F32', shape: [...this.get(name).shape] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const { shape, init } = this.get(name);
    const size = shape.reduce((a, b) => a * b, 1);
    if (size < LARGE) return init(new Random(1)) as Float32Array<ArrayBuffer>;
    return noise(size, 0.02, name.length);
  }

  private get(name: string): Parameter {
    const parameter = this.parameters.get(name);
    if (!parameter) throw new Error(`no weight '${name}'`);
    return parameter;
  }
}
