import { float32, type Value, type Values } from '../graph/index.ts';
import type { Parameter } from '../mixers/mixer.ts';

/** Where a parameter lies in the vector. */
interface Place {
  start: number;
  size: number;
  shape: readonly number[];
}

/** A weight that is trained. */
export interface TrainedParameter extends Parameter {
  /** Its learning rate as a multiple of the schedule's; 1 unless told. */
  rate?: number;
}

/** A stretch of the vector that is updated alike. */
export interface Range {
  from: number;
  to: number;
  decay: boolean;
  /** Learning rate as a multiple of the schedule's. */
  rate: number;
}

/**
 * The weights that a training run changes, side by side in one array, so that the optimiser is one program over
 * few ranges (with and without weight decay, per learning rate) however many tensors there are. Gradients and the
 * optimiser's moments have the same layout.
 */
export class ParameterVector {
  /** In the order of the layout: those with weight decay first. */
  readonly parameters: readonly TrainedParameter[];
  /** What is updated alike, in order, without gaps. */
  readonly ranges: readonly Range[];
  readonly size: number;
  /** How many elements from the start have weight decay. */
  readonly decayed: number;
  readonly data: Float32Array<ArrayBuffer>;
  private readonly places = new Map<string, Place>();
  /** What `values` gave, by its arguments: every step asks for the same. */
  private readonly given = new Map<string, Values>();

  constructor(parameters: readonly TrainedParameter[], data?: Float32Array<ArrayBuffer>) {
    this.parameters = laidOut(parameters);
    const ranges: Range[] = [];
    let start = 0;
    let decayed = 0;
    for (const { name, shape, decay, rate = 1 } of this.parameters) {
      if (this.places.has(name)) throw new Error(`ParameterVector: two parameters are called ${name}`);
      const size = shape.reduce((a, b) => a * b, 1);
      this.places.set(name, { start, size, shape });
      const last = ranges.at(-1);
      if (last && last.decay === decay && last.rate === rate) last.to += size;
      else ranges.push({ from: start, to: start + size, decay, rate });
      start += size;
      if (decay) decayed = start;
    }
    this.ranges = ranges;
    this.size = start;
    this.decayed = decayed;
    this.data = data ?? new Float32Array(start);
    if (this.data.length !== start) {
      throw new Error(`ParameterVector: ${this.data.length} values for ${start} parameters`);
    }
  }

  private place(name: string): Place {
    const place = this.places.get(name);
    if (!place) throw new Error(`ParameterVector: no parameter ${name}`);
    return place;
  }

  /** Where a parameter begins. */
  start(name: string): number {
    return this.place(name).start;
  }

  /** A vector of the same layout, zeroed: for gradients and moments. */
  like(): ParameterVector {
    return new ParameterVector(this.parameters);
  }

  /** The tensor of this name inside the vector, without a copy. */
  view(name: string): Float32Array<ArrayBuffer> {
    const { start, size } = this.place(name);
    return this.data.subarray(start, start + size);
  }

  /**
   * Tensors as values for a program, without a copy: those whose names begin with `below`, which `prefix` takes
   * the place of. The same object each time; not to be changed.
   */
  values(prefix = '', below = ''): Readonly<Values> {
    const key = JSON.stringify([prefix, below]);
    const known = this.given.get(key);
    if (known) return known;
    const values: Record<string, Value> = {};
    for (const [name, { shape }] of this.places) {
      if (name.startsWith(below)) {
        values[prefix + name.slice(below.length)] = float32(this.view(name), shape);
      }
    }
    this.given.set(key, values);
    return values;
  }
}

/** Those with weight decay first, in them those of one learning rate, in them matrices of one shape. */
function laidOut(parameters: readonly TrainedParameter[]): TrainedParameter[] {
  const grouped = <K>(list: readonly TrainedParameter[], key: (p: TrainedParameter) => K) =>
    [...new Set(list.map(key))].map((k) => list.filter((p) => key(p) === k));
  const ofRate = (decay: boolean) =>
    grouped(
      parameters.filter((p) => p.decay === decay),
      ({ rate = 1 }) => rate,
    );
  return [
    // Matrices of one shape stand together, so that an optimiser can take them as one batch.
    ...ofRate(true).flatMap((list) => grouped(list, ({ shape }) => shape.join()).flat()),
    ...ofRate(false).flat(),
  ];
}
