import type { Tensor, Value, Values } from '../../graph/index.ts';
import type { Carry } from './online-softmax.ts';

/** How queries attend over a cache: in some runs, one after the other. */
export interface Plan {
  /** The result has the same shape. */
  q: Value;
  runs: readonly Run[];
  /** The programs are for one thread. */
  oneThread?: boolean;
}

/** A run of a program without weights, which all runs of the same kind share. */
export interface Run {
  kind: object;
  graph(carry: Carry): Record<string, Tensor>;
  /** Beside the queries `q` and what is carried. */
  inputs(): Values;
}
