import type { ModelConfig } from '../../src/model/config.ts';
import { RandomWeights } from '../../src/model/random-checkpoint.ts';
import { noise, seedOf } from './noise.ts';

/** Values from which on noise takes the place of the initial values. */
const LARGE = 1 << 16;

/** Weights of any configuration without a file: matrices of noise, and all that is small as a fresh model has it. */
export class NoiseWeights extends RandomWeights {
  constructor(config: ModelConfig) {
    super(config, 1);
  }

  override read(name: string): Float32Array<ArrayBuffer> {
    const size = this.get(name).shape.reduce((a, b) => a * b, 1);
    return size < LARGE ? super.read(name) : noise(size, 0.02, seedOf(name));
  }
}
