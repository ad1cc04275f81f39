import type { Tensor, Value, Values } from '../../graph/index.ts';

/** What a run of an attention program has to do with the others of its plan. */
export interface Carry {
  /** It goes on from what the one before has left: the inputs of `carried` (online-softmax.ts), under these names. */
  carries: boolean;
  /** It gives the result `o`; else it leaves `m`, `l` and `o` to the next one. */
  ends: boolean;
}

/** One run of a program without weights: layers, sequences and engines share it where the kind is the same. */
export interface Run {
  /** With the carry: which program of a shape of heads it is. */
  kind: object;
  graph(carry: Carry): Record<string, Tensor>;
  /** Beside the queries `q` and what is carried. */
  inputs(): Values;
}

/** How queries attend over a cache: in some runs, one after the other. */
export interface Plan {
  /** The result has the same shape. */
  q: Value;
  runs: readonly Run[];
  /** All programs of the plan are for one thread. */
  oneThread?: boolean;
}
