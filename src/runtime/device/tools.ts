import {
  add,
  argMax,
  concat,
  expand,
  float32,
  input,
  int64,
  type Memory,
  max,
  mulDims,
  type Program,
  reshape,
  type Shape,
  slice,
  sum,
  type Tensor,
  take,
  type Value,
} from '../../graph/index.ts';

/** Small programs that move values of a device about; what they give belongs to the caller. */
export class Tools {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(private readonly memory: Memory) {}

  /** One after the other along an axis. */
  async concat(values: readonly Value[], axis: number): Promise<Value> {
    const { length: rank } = values[0]!.dims;
    const names = values.map((_, i) => `x${i}`);
    const program = await this.program(`concat ${rank} ${axis} ${values.length}`, () => {
      const of = (i: number) => shape(rank).map((dim, at) => (at === axis ? `${dim}_${i}` : dim));
      return {
        y: concat(
          names.map((name, i) => input(name, 'float32', of(i))),
          axis,
        ),
      };
    });
    return this.run(program, Object.fromEntries(names.map((name, i) => [name, values[i]!])));
  }

  /** All but the last place of a tail goes to the end of the past. */
  async settle(past: Value, tail: Value, axis: number): Promise<Record<'past' | 'tail', Value>> {
    const rank = past.dims.length;
    const program = await this.program(`settle ${rank} ${axis}`, () => {
      const tails = input(
        'tail',
        'float32',
        shape(rank).map((dim, at) => (at === axis ? 'R' : dim)),
      );
      const whole = concat([input('past', 'float32', shape(rank)), slice(tails, axis, 0, -1)], axis);
      return { past: whole, tail: slice(tails, axis, -1) };
    });
    return (await this.memory.run(program, { past, tail })) as Record<'past' | 'tail', Value>;
  }

  /** Entries of the first axis. */
  async select(x: Value, rows: readonly number[]): Promise<Value> {
    const rank = x.dims.length;
    const program = await this.program(`select ${rank}`, () => {
      const [B, ...rest] = shape(rank);
      const width = rest.reduce((a, b) => mulDims(a, b), 1);
      const some = take(
        reshape(input('x', 'float32', [B!, ...rest]), [B!, width]),
        input('at', 'int64', ['N']),
      );
      return { y: reshape(some, ['N', ...rest]) };
    });
    return this.run(program, { x, at: int64(rows, [rows.length]) });
  }

  /** More places before the first of an axis, of zeros, or fewer. */
  shift(x: Value, axis: number, count: number): Promise<Value> {
    return count > 0 ? this.padBefore(x, axis, count, 0) : this.drop(x, axis, -count);
  }

  /** Without the first places of an axis. */
  private async drop(x: Value, axis: number, count: number): Promise<Value> {
    const rank = x.dims.length;
    const program = await this.program(`drop ${rank} ${axis}`, () => {
      // Zeros, whose number is what counts.
      const gauge = input('gauge', 'float32', ['N']);
      return { y: add(slice(input('x', 'float32', shape(rank)), axis, 'N'), sum(gauge)) };
    });
    return this.run(program, { x, gauge: float32(new Float32Array(count), [count]) });
  }

  /** With further places before the first of an axis, all of one value. */
  async padBefore(x: Value, axis: number, count: number, fill: number): Promise<Value> {
    const rank = x.dims.length;
    const program = await this.program(`pad ${rank} ${axis}`, () => {
      const along = Array.from({ length: rank }, (_, at) => (at === axis ? 'N' : 1));
      const fresh = shape(rank).map((dim, at) => (at === axis ? 'N' : dim));
      const places = expand(reshape(input('fill', 'float32', ['N']), along), fresh);
      return { y: concat([places, input('x', 'float32', shape(rank))], axis) };
    });
    return this.run(program, { x, fill: float32(new Float32Array(count).fill(fill), [count]) });
  }

  /** Brings a value [.., V] to the host. */
  async read(x: Value): Promise<Float32Array> {
    const rank = x.dims.length;
    const program = await this.program(
      `read ${rank}`,
      () => ({ y: input('x', 'float32', shape(rank)) }),
      true,
    );
    return (await program.run({ x })).y!.data as Float32Array;
  }

  /**
   * Where the largest value of each row of [.., V] is. Found in parts of a row first: a device looks at the parts at the
   * same time.
   */
  async largest(x: Value): Promise<number[]> {
    const size = x.dims.at(-1)!;
    const parts = divisor(size);
    const program = await this.program(
      `largest ${x.dims.length} ${size}`,
      () => {
        const rows = reshape(input('x', 'float32', [...shape(x.dims.length - 1), size]), [
          -1,
          parts,
          size / parts,
        ]);
        return { place: argMax(rows), part: argMax(max(rows, -1, false)) };
      },
      true,
    );
    const { place, part } = await program.run({ x });
    const [places, best] = [place!.data as BigInt64Array, part!.data as BigInt64Array];
    return Array.from(
      best,
      (of, row) => Number(of) * (size / parts) + Number(places[row * parts + Number(of)]),
    );
  }

  private async run(program: Program, feeds: Record<string, Value>): Promise<Value> {
    return (await this.memory.run(program, feeds)).y!;
  }

  /** @param read its outputs come to the host */
  private program(key: string, record: () => Record<string, Tensor>, read = false): Promise<Program> {
    const known = this.programs.get(key);
    if (known) return known;
    const program = this.memory.compile(record(), { read });
    this.programs.set(key, program);
    return program;
  }
}

/** A divisor near the square root. */
function divisor(size: number): number {
  for (let parts = Math.floor(Math.sqrt(size)); ; parts--) if (size % parts === 0) return parts;
}

function shape(rank: number): Shape {
  return Array.from({ length: rank }, (_, i) => `n${i}`);
}
