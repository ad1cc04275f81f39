import { float32, type Value, type Values } from '../graph/index.ts';
import type { KvCache } from './kv/cache.ts';
import { Sequence } from './sequence.ts';
import type { FixedState } from './sequence-parts.ts';

/** A sequence in the host's memory: each token overwrites the states of its layers in place. */
export class HostSequence extends Sequence {
  /** By name, [1, ...]. */
  private values: Values;
  /** @internal By order of the groups that have one. */
  readonly caches: KvCache[];

  /** @internal */
  constructor(states: readonly FixedState[] | Values, caches: KvCache[]) {
    super();
    this.values = Array.isArray(states)
      ? Object.fromEntries(states.map(({ name, shape }: FixedState) => [name, emptyState([1, ...shape])]))
      : (states as Values);
    this.caches = caches;
  }

  /** @internal The states by name, [1, ...]; another object where they have moved. */
  get state(): Values {
    return this.values;
  }

  /** @internal From now on the states are these, which hold what they have held. */
  moveTo(state: Values): void {
    this.values = state;
  }

  parts(): Map<object, number> {
    const parts = new Map<object, number>(Object.values(this.state).map((value) => [value, 4 * value.size]));
    for (const cache of this.caches) for (const [part, bytes] of cache.parts()) parts.set(part, bytes);
    return parts;
  }

  /** Full blocks of keys and values are shared. */
  protected copy(): this {
    const copies = Object.entries(this.state).map(([name, value]) => [
      name,
      float32((value.data as Float32Array).slice(), value.dims),
    ]);
    const caches = this.caches.map((cache) => cache.fork());
    return new HostSequence(Object.fromEntries(copies) as Values, caches) as this;
  }

  /** @internal States read from a file; the caches have been restored. */
  restore(state: Values, tokens: number): void {
    Object.assign(this.state, state);
    this.tokens = tokens;
  }

  protected free(): void {
    for (const name of Object.keys(this.state)) delete this.state[name];
    this.caches.length = 0;
  }
}

function emptyState(shape: readonly number[]): Value {
  return float32(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
}
