import type { Shape } from './dim.ts';
import type { Device } from './onnx.ts';
import { input } from './ops/constant.ts';
import { add } from './ops/elementwise.ts';
import { take } from './ops/indexing.ts';
import { concat, reshape } from './ops/shape.ts';
import { float32, int64, Program, type Value, type Values } from './program.ts';
import type { Tensor } from './tensor.ts';

/**
 * Where values lie between the runs of programs. Host memory is the address of everything: code says which array
 * a program reads or writes, and where a device has memory of its own, the device's copy of that array is read or
 * takes what was written. So one code trains on either, on the CPU without copies, and on a device nothing moves
 * but what is asked for.
 *
 * Results of runs belong to the caller, who gives them back by `free`; copies of host arrays belong to the memory.
 */
export interface Memory {
  readonly device: Device;
  /**
   * Compiles a program for this memory, which disposes of it: here at `release`, on a device when the memory is
   * disposed of. With `read` its outputs are read by the caller, else they stay here.
   */
  compile(
    outputs: Record<string, Tensor>,
    options?: { threads?: number | undefined; read?: boolean | undefined },
  ): Promise<Program>;
  /** The program is not needed any more. */
  release(program: Program): Promise<void>;
  /** These arrays as programs take them. Copied to the device when first asked for; later changes are not seen. */
  place(values: Readonly<Values>): Promise<Readonly<Values>>;
  /** A value as programs take it, which belongs to the caller: for what is given to many runs. */
  upload(value: Value): Promise<Value>;
  /**
   * Runs a program.
   *
   * @param into by output, the arrays that take results
   * @returns all other results
   */
  run(program: Program, feeds: Readonly<Values>, into?: Readonly<Values>): Promise<Values>;
  /** Makes a whole array zero. */
  clear(data: Float32Array): void;
  /** Brings a whole array up to date in host memory. */
  fetch(data: Float32Array): Promise<void>;
  /** Forgets the device's copy of a whole array, changes that were not fetched included. */
  drop(data: Float32Array): void;
  /** Adds arrays to others of the same names. */
  accumulate(into: Readonly<Values>, more: Readonly<Values>): Promise<void>;
  /** Scalars as numbers; frees them. */
  numbers(scalars: readonly Value[]): Promise<number[]>;
  /** Rows `from` to `to` of [.., D] seen as rows of D. */
  rows(x: Value, from: number, to: number): Promise<Value>;
  /** Puts rows, which are freed, one after the other as a value of this shape. */
  join(rows: readonly Value[], shape: readonly number[]): Promise<Value>;
  /** Gives results back; nothing for what is undefined. */
  free(...values: readonly (Value | undefined)[]): void;
  /** Values on the device that have not been given back, copies included. */
  readonly held: number;
  /** Frees everything, copies and what was not given back. The memory may be used again, and starts empty. */
  dispose(): Promise<void>;
}

/** The memory of a device, empty. */
export function memoryOf(device: Device = 'cpu'): Memory {
  return device === 'cpu' ? new HostMemory() : new DeviceMemory(device);
}

function floats({ data }: Value): Float32Array<ArrayBuffer> {
  return data as Float32Array<ArrayBuffer>;
}

/** Programs read and write host arrays themselves. Results that are given back make room for others of their size. */
class HostMemory implements Memory {
  readonly device = 'cpu';
  readonly held = 0;
  /** Arrays of results that have not been given back. */
  private readonly alive = new WeakSet<Float32Array>();
  /** Arrays that have been, by length: new ones cost a page fault every 4 KB. */
  private readonly spare = new Map<number, Float32Array[]>();

  compile(outputs: Record<string, Tensor>, { threads }: { threads?: number } = {}): Promise<Program> {
    return Program.compile(outputs, { threads });
  }

  release(program: Program): Promise<void> {
    return program.dispose();
  }

  async place(values: Readonly<Values>): Promise<Readonly<Values>> {
    return values;
  }

  async upload(value: Value): Promise<Value> {
    return value;
  }

  run(program: Program, feeds: Values, into?: Values): Promise<Values> {
    return program.run(feeds, into, (shape) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const data = this.spare.get(size)?.pop() ?? new Float32Array(size);
      this.alive.add(data);
      return float32(data, shape);
    });
  }

  clear(data: Float32Array): void {
    data.fill(0);
  }

  async fetch(): Promise<void> {}

  drop(): void {}

  async accumulate(into: Values, more: Values): Promise<void> {
    for (const [name, value] of Object.entries(into)) {
      const [sum, part] = [floats(value), floats(more[name]!)];
      for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
    }
  }

  async numbers(scalars: readonly Value[]): Promise<number[]> {
    const read = scalars.map((value) => floats(value)[0]!);
    this.free(...scalars);
    return read;
  }

  async rows(x: Value, from: number, to: number): Promise<Value> {
    const width = x.dims.at(-1)!;
    return float32(floats(x).subarray(from * width, to * width), [to - from, width]);
  }

  async join(rows: readonly Value[], shape: readonly number[]): Promise<Value> {
    if (rows.length === 1) return float32(floats(rows[0]!), shape);
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    let at = 0;
    for (const part of rows) {
      data.set(floats(part), at);
      at += part.size;
    }
    this.free(...rows);
    return float32(data, shape);
  }

  free(...values: readonly (Value | undefined)[]): void {
    for (const value of values) {
      const data = value && floats(value);
      if (!data || !this.alive.delete(data)) continue;
      const spare = this.spare.get(data.length) ?? [];
      spare.push(data);
      this.spare.set(data.length, spare);
    }
  }

  async dispose(): Promise<void> {
    this.spare.clear();
  }
}

/** Host arrays of one buffer that the device has copies of, by where they begin. */
interface Copies {
  byOffset: Map<number, Value>;
  /** All that has no copy is zero. */
  cleared: boolean;
}

/**
 * ONNX Runtime does not write into device values that it is given: a result takes the place of the copy that was
 * there before, which is freed.
 */
class DeviceMemory implements Memory {
  /** What has not been given back. */
  private readonly alive = new Set<Value>();
  private readonly copies = new Map<ArrayBufferLike, Copies>();
  /** The memory's own programs. */
  private readonly programs = new Map<string, Promise<Program>>();
  /** All of them, in the order of compilation. */
  private readonly sessions: Program[] = [];
  private readonly zeros = new Map<string, Value>();

  constructor(readonly device: Device) {}

  get held(): number {
    return this.alive.size;
  }

  async compile(
    outputs: Record<string, Tensor>,
    { threads, read }: { threads?: number; read?: boolean } = {},
  ): Promise<Program> {
    const { device } = this;
    const options = { device, threads, ...(read ? {} : { keepOnDevice: 'all' as const }) };
    const program = await Program.compile(outputs, options);
    this.sessions.push(program);
    return program;
  }

  /** A session must outlive what it computed: freeing a value after it ends the process. */
  async release(): Promise<void> {}

  async place(values: Readonly<Values>): Promise<Readonly<Values>> {
    const placed: Values = {};
    for (const [name, value] of Object.entries(values)) placed[name] = await this.placed(value);
    return placed;
  }

  private async placed(value: Value): Promise<Value> {
    if (value.location !== 'cpu') return value;
    const { buffer, byteOffset } = floats(value);
    const copies = this.copiesOf(buffer);
    const known = copies.byOffset.get(byteOffset);
    if (known) {
      if (known.dims.join() === value.dims.join()) return known;
      throw new Error(`an array is placed as [${value.dims}], before it was [${known.dims}]`);
    }
    if (copies.cleared) return this.zero(value.dims);
    const copy = await this.upload(value);
    copies.byOffset.set(byteOffset, copy);
    return copy;
  }

  private copiesOf(buffer: ArrayBufferLike): Copies {
    const known = this.copies.get(buffer);
    if (known) return known;
    const copies: Copies = { byOffset: new Map(), cleared: false };
    this.copies.set(buffer, copies);
    return copies;
  }

  /** One of each shape for all. */
  private async zero(dims: readonly number[]): Promise<Value> {
    const key = dims.join();
    const known = this.zeros.get(key);
    if (known) return known;
    const value = await this.upload(float32(new Float32Array(dims.reduce((a, b) => a * b, 1)), dims));
    this.zeros.set(key, value);
    return value;
  }

  async upload(value: Value): Promise<Value> {
    const program = await this.passing(value.dims.length, false);
    return (await this.run(program, { x: value })).y!;
  }

  /** A program that passes a value of this rank through. */
  private passing(rank: number, read: boolean): Promise<Program> {
    return this.compiled(`pass ${rank} ${read}`, () => ({ y: input('x', 'float32', anyShape(rank)) }), read);
  }

  private compiled(key: string, build: () => Record<string, Tensor>, read = false): Promise<Program> {
    const known = this.programs.get(key);
    if (known) return known;
    const program = this.compile(build(), { read });
    this.programs.set(key, program);
    return program;
  }

  async run(program: Program, feeds: Readonly<Values>, into: Readonly<Values> = {}): Promise<Values> {
    const results = await program.run(feeds);
    for (const value of Object.values(results)) if (value.location !== 'cpu') this.alive.add(value);
    for (const [name, place] of Object.entries(into)) {
      const { buffer, byteOffset } = floats(place);
      const { byOffset } = this.copiesOf(buffer);
      this.free(byOffset.get(byteOffset));
      byOffset.set(byteOffset, results[name]!);
      delete results[name];
    }
    return results;
  }

  clear({ buffer }: Float32Array): void {
    const copies = this.copiesOf(buffer);
    this.free(...copies.byOffset.values());
    copies.byOffset.clear();
    copies.cleared = true;
  }

  async fetch(data: Float32Array): Promise<void> {
    const copies = this.copies.get(data.buffer);
    if (!copies) return;
    if (copies.cleared) data.fill(0);
    for (const [offset, copy] of copies.byOffset) {
      const program = await this.passing(copy.dims.length, true);
      const host = float32(new Float32Array(data.buffer as ArrayBuffer, offset, copy.size), copy.dims);
      await program.run({ x: copy }, { y: host });
    }
  }

  drop({ buffer }: Float32Array): void {
    this.free(...(this.copies.get(buffer)?.byOffset.values() ?? []));
    this.copies.delete(buffer);
  }

  async accumulate(into: Readonly<Values>, more: Readonly<Values>): Promise<void> {
    for (const [name, place] of Object.entries(into)) {
      const shape = anyShape(place.dims.length);
      const program = await this.compiled(`add ${shape.length}`, () => ({
        sum: add(input('a', 'float32', shape), input('b', 'float32', shape)),
      }));
      const [a, b] = [await this.placed(place), await this.placed(more[name]!)];
      await this.run(program, { a, b }, { sum: place });
    }
  }

  async numbers(scalars: readonly Value[]): Promise<number[]> {
    if (scalars.length === 0) return [];
    const names = scalars.map((_, i) => `x${i}`);
    const program = await this.compiled(
      `numbers ${names.length}`,
      () => ({
        all: concat(
          names.map((name) => reshape(input(name, 'float32', []), [1])),
          0,
        ),
      }),
      true,
    );
    const { all } = await program.run(Object.fromEntries(names.map((name, i) => [name, scalars[i]!])));
    this.free(...scalars);
    return [...floats(all!)];
  }

  async rows(x: Value, from: number, to: number): Promise<Value> {
    const width = x.dims.at(-1)!;
    const shape = anyShape(x.dims.length - 1);
    const program = await this.compiled(`rows ${shape.length} ${width}`, () => ({
      rows: take(reshape(input('x', 'float32', [...shape, width]), [-1, width]), input('at', 'int64', ['R'])),
    }));
    const at = int64(
      Array.from({ length: to - from }, (_, i) => from + i),
      [to - from],
    );
    return (await this.run(program, { x, at })).rows!;
  }

  async join(rows: readonly Value[], shape: readonly number[]): Promise<Value> {
    const names = rows.map((_, i) => `x${i}`);
    const dims = rows.map((value) => value.dims);
    const program = await this.compiled(`join ${JSON.stringify(dims)} ${shape}`, () => ({
      all: reshape(
        concat(
          names.map((name, i) => input(name, 'float32', dims[i]!)),
          0,
        ),
        shape,
      ),
    }));
    const { all } = await this.run(program, Object.fromEntries(names.map((name, i) => [name, rows[i]!])));
    this.free(...rows);
    return all!;
  }

  free(...values: readonly (Value | undefined)[]): void {
    for (const value of values) {
      if (value && this.alive.delete(value)) value.dispose();
    }
  }

  async dispose(): Promise<void> {
    this.free(...this.alive);
    this.copies.clear();
    this.zeros.clear();
    this.programs.clear();
    for (const program of this.sessions.splice(0)) await program.dispose();
  }
}

function anyShape(rank: number): Shape {
  return Array.from({ length: rank }, (_, i) => `n${i}`);
}
