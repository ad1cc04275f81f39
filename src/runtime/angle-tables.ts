import { type Dim, input, type Tensor, type Value, type Values, zeros } from '../graph/index.ts';
import { ropeFrequencies, ropeMagnitude } from '../mixers/rope.ts';
import type { ModelConfig } from '../model/config.ts';

/** Inputs for tables of angles of so many tokens, where a mixer asks for them. */
export class AngleInputs {
  private readonly tables = new Map<number, Record<'cos' | 'sin', Tensor>>();

  constructor(private readonly tokens: Dim) {}

  /** For heads of a width. */
  readonly of = (width: number): Record<'cos' | 'sin', Tensor> => {
    const table = (name: string) => input(`${name}.${width}`, 'float32', [this.tokens, width / 2]);
    const known = this.tables.get(width) ?? { cos: table('cos'), sin: table('sin') };
    this.tables.set(width, known);
    return known;
  };

  /** Those that were asked for. */
  get widths(): number[] {
    return [...this.tables.keys()];
  }
}

/** The tables of angles that programs take, `cos.{width}` and `sin.{width}` [tokens, width / 2], filled for each run. */
export class AngleTables {
  readonly values: Values = {};
  private readonly magnitude: number;
  private readonly tables: { frequencies: readonly number[]; cos: Float32Array; sin: Float32Array }[];

  /** @param widths of heads that are rotated */
  constructor(config: ModelConfig, widths: readonly number[], tokens: number) {
    this.magnitude = ropeMagnitude(config);
    this.tables = widths.map((width) => {
      const table = (name: string) => {
        const value: Value = zeros([tokens, width / 2]);
        this.values[`${name}.${width}`] = value;
        return value.data as Float32Array;
      };
      const frequencies = ropeFrequencies({ ...config, headDim: width });
      return { frequencies, cos: table('cos'), sin: table('sin') };
    });
  }

  /** @param positions of all tokens */
  fill(positions: readonly number[]): void {
    for (const { frequencies, cos, sin } of this.tables) {
      for (const [i, position] of positions.entries()) {
        for (const [j, frequency] of frequencies.entries()) {
          cos[i * frequencies.length + j] = this.magnitude * Math.cos(position * frequency);
          sin[i * frequencies.length + j] = this.magnitude * Math.sin(position * frequency);
        }
      }
    }
  }
}
