import type { Quantized } from '../graph/index.ts';
import { joined } from '../util/joined.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

/** A tensor made of a stored one: some of its rows, and of each value (value + plus) * times. */
export interface Derivation {
  stored: string;
  /** Runs of them, one after the other: the first, and how many. */
  rows?: readonly (readonly [first: number, count: number])[];
  plus?: number;
  times?: number;
}

/** By the names that the tensors are to have. */
export type Derivations = ReadonlyMap<string, Derivation>;

/**
 * Tensors made of stored ones, which themselves are no longer seen; those that nothing is made of keep their names, or are left
 * out.
 */
export class DerivedTensors implements TensorSource {
  private readonly used: ReadonlySet<string>;

  constructor(
    private readonly source: TensorSource,
    private readonly derivations: Derivations,
    private readonly options = { others: true },
  ) {
    this.used = new Set([...derivations.values()].map(({ stored }) => stored));
  }

  names(): string[] {
    const others = this.options.others ? this.source.names().filter((name) => !this.used.has(name)) : [];
    return [...this.derivations.keys(), ...others];
  }

  has(name: string): boolean {
    const { stored } = this.of(name);
    const isOther = this.options.others && !this.used.has(name);
    return this.source.has(stored) && (this.derivations.has(name) || isOther);
  }

  info(name: string): TensorInfo {
    const { stored, rows } = this.of(name);
    const { shape, ...info } = this.source.info(stored);
    const dtype = this.isExact(name) ? info.dtype : 'F32';
    const count = rows?.reduce((sum, [, own]) => sum + own, 0);
    return { name, dtype, shape: count === undefined ? shape : [count, ...shape.slice(1)] };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const { stored, rows } = this.of(name);
    return this.changed(name, rows ? this.runs(stored, rows) : this.source.read(stored));
  }

  part(name: string, from: number, count: number): Float32Array<ArrayBuffer> {
    const { stored, rows } = this.of(name);
    if (rows && rows.length > 1) return this.read(name).slice(from, from + count);
    const first = from + (rows?.[0] ? rows[0][0] * this.rowSize(stored) : 0);
    return this.changed(name, this.slice(stored, first, count));
  }

  quantized(name: string): Quantized | null {
    const { stored, rows } = this.of(name);
    return rows || !this.isExact(name) ? null : (this.source.quantized?.(stored) ?? null);
  }

  private runs(
    stored: string,
    rows: readonly (readonly [first: number, count: number])[],
  ): Float32Array<ArrayBuffer> {
    const size = this.rowSize(stored);
    const parts = rows.map(([first, count]) => this.slice(stored, first * size, count * size));
    return parts.length === 1 ? parts[0]! : joined(parts);
  }

  private slice(stored: string, first: number, count: number): Float32Array<ArrayBuffer> {
    return this.source.part?.(stored, first, count) ?? this.source.read(stored).slice(first, first + count);
  }

  private of(name: string): Derivation {
    return this.derivations.get(name) ?? { stored: name };
  }

  private isExact(name: string): boolean {
    const { plus = 0, times = 1 } = this.of(name);
    return plus === 0 && times === 1;
  }

  private rowSize(stored: string): number {
    return this.source
      .info(stored)
      .shape.slice(1)
      .reduce((a, b) => a * b, 1);
  }

  private changed(name: string, values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
    if (this.isExact(name)) return values;
    const { plus = 0, times = 1 } = this.of(name);
    return values.map((value) => (value + plus) * times);
  }
}
