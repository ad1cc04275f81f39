import type { Quantized } from '../graph/index.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

/** A tensor made of a stored one: some of its rows, and of each value (value + plus) * times. */
export interface Derivation {
  stored: string;
  /** The first of them, and how many. */
  rows?: readonly [first: number, count: number];
  plus?: number;
  times?: number;
}

/** By the names that the tensors are to have. */
export type Derivations = ReadonlyMap<string, Derivation>;

/** Tensors made of stored ones, which themselves are no longer seen; those that nothing is made of keep their names. */
export class DerivedTensors implements TensorSource {
  private readonly used: ReadonlySet<string>;

  constructor(
    private readonly source: TensorSource,
    private readonly derivations: Derivations,
  ) {
    this.used = new Set([...derivations.values()].map(({ stored }) => stored));
  }

  names(): string[] {
    return [...this.derivations.keys(), ...this.source.names().filter((name) => !this.used.has(name))];
  }

  has(name: string): boolean {
    const { stored } = this.of(name);
    return this.source.has(stored) && (this.derivations.has(name) || !this.used.has(name));
  }

  info(name: string): TensorInfo {
    const { stored, rows } = this.of(name);
    const { shape, ...info } = this.source.info(stored);
    const dtype = this.isExact(name) ? info.dtype : 'F32';
    return { name, dtype, shape: rows ? [rows[1], ...shape.slice(1)] : shape };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const { stored, rows } = this.of(name);
    if (!rows) return this.changed(name, this.source.read(stored));
    return this.part(name, 0, rows[1] * this.rowSize(stored));
  }

  part(name: string, from: number, count: number): Float32Array<ArrayBuffer> {
    const { stored, rows } = this.of(name);
    const first = from + (rows ? rows[0] * this.rowSize(stored) : 0);
    const values =
      this.source.part?.(stored, first, count) ?? this.source.read(stored).slice(first, first + count);
    return this.changed(name, values);
  }

  quantized(name: string): Quantized | null {
    const { stored, rows } = this.of(name);
    return rows || !this.isExact(name) ? null : (this.source.quantized?.(stored) ?? null);
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
