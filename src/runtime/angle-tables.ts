import { type Dim, input, type Tensor, type Value, type Values, zeros } from '../graph/index.ts';
import { localRope, ropeFrequencies, ropeMagnitude } from '../mixers/rope.ts';
import type { ModelConfig } from '../model/config.ts';

/** A table: for heads of a width, and by the theta of layers with windows where that is another (`localRope`). */
export interface Rotation {
  width: number;
  local: boolean;
}

function tableName(name: 'cos' | 'sin', { width, local }: Rotation): string {
  return `${name}.${width}${local ? '.local' : ''}`;
}

/** Inputs for tables of angles of so many tokens, where a mixer asks for them. */
export class AngleInputs {
  private readonly tables = new Map<string, { rotation: Rotation; cos: Tensor; sin: Tensor }>();

  constructor(private readonly tokens: Dim) {}

  readonly of = (width: number, local = false): Record<'cos' | 'sin', Tensor> => {
    const rotation = { width, local };
    const table = (name: 'cos' | 'sin') =>
      input(tableName(name, rotation), 'float32', [this.tokens, width / 2]);
    const key = tableName('cos', rotation);
    const known = this.tables.get(key) ?? { rotation, cos: table('cos'), sin: table('sin') };
    this.tables.set(key, known);
    return known;
  };

  /** Those that were asked for. */
  get rotations(): Rotation[] {
    return [...this.tables.values()].map(({ rotation }) => rotation);
  }
}

/** The tables of angles that programs take, `cos.{width}` and `sin.{width}` [tokens, width / 2], filled for each run. */
export class AngleTables {
  readonly values: Values = {};
  private readonly tables: {
    frequencies: readonly number[];
    magnitude: number;
    cos: Float32Array;
    sin: Float32Array;
  }[];

  constructor(config: ModelConfig, rotations: readonly Rotation[], tokens: number) {
    this.tables = rotations.map((rotation) => {
      const { width, local } = rotation;
      const table = (name: 'cos' | 'sin') => {
        const value: Value = zeros([tokens, width / 2]);
        this.values[tableName(name, rotation)] = value;
        return value.data as Float32Array;
      };
      const own = { ...(local ? localRope(config) : config), headDim: width };
      const [frequencies, magnitude] = [ropeFrequencies(own), ropeMagnitude(own)];
      return { frequencies, magnitude, cos: table('cos'), sin: table('sin') };
    });
  }

  /** @param positions of all tokens */
  fill(positions: readonly number[]): void {
    for (const { frequencies, magnitude, cos, sin } of this.tables) {
      for (const [i, position] of positions.entries()) {
        for (const [j, frequency] of frequencies.entries()) {
          cos[i * frequencies.length + j] = magnitude * Math.cos(position * frequency);
          sin[i * frequencies.length + j] = magnitude * Math.sin(position * frequency);
        }
      }
    }
  }
}
