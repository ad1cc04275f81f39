import { float32, type Value, type Values } from '../graph/index.ts';
import type { KvCache } from './kv-cache.ts';
import type { FixedState } from './segments.ts';

/**
 * What a model remembers of one sequence: the states of its linear layers, which each token overwrites in place, and
 * the keys and values of its attention layers. Made by an engine; mutable, so to go on from one place in two ways
 * it is forked.
 */
export class Sequence {
  /** @internal By name, [1, ...]. */
  readonly state: Values;
  /** @internal By order of the cached layers. */
  readonly caches: KvCache[];
  private tokens = 0;
  private gone = false;

  /** @internal */
  constructor(states: readonly FixedState[] | Values, caches: KvCache[]) {
    this.state = Array.isArray(states)
      ? Object.fromEntries(states.map(({ name, shape }: FixedState) => [name, emptyState([1, ...shape])]))
      : (states as Values);
    this.caches = caches;
  }

  /** In tokens. */
  get length(): number {
    return this.tokens;
  }

  /** Memory of states and caches; what forks share counts for each. */
  get bytes(): number {
    const fixed = Object.values(this.state).reduce((sum, { size }) => sum + 4 * size, 0);
    return this.caches.reduce((sum, cache) => sum + cache.bytes, fixed);
  }

  /** The same sequence once more: both go on without the other's notice. Full blocks of keys and values are shared. */
  fork(): Sequence {
    this.check();
    const copies = Object.entries(this.state).map(([name, value]) => [
      name,
      float32((value.data as Float32Array).slice(), value.dims),
    ]);
    const fork = new Sequence(
      Object.fromEntries(copies) as Values,
      this.caches.map((cache) => cache.fork()),
    );
    fork.tokens = this.tokens;
    return fork;
  }

  /** @internal Adds tokens; a failure half way leaves nothing to go on from. */
  async writing(tokens: number, write: () => Promise<void>): Promise<void> {
    try {
      await write();
      this.tokens += tokens;
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** @internal States read from a file; the caches have been restored. */
  restore(state: Values, tokens: number): void {
    Object.assign(this.state, state);
    this.tokens = tokens;
  }

  /** Whether it can be gone on from. */
  get usable(): boolean {
    return !this.gone;
  }

  /** @internal Throws for a sequence that cannot be gone on from. */
  check(): void {
    if (this.gone)
      throw new Error('the sequence has been disposed of, or a failure has left it half written');
  }

  /** Frees the memory. */
  dispose(): void {
    this.gone = true;
    for (const name of Object.keys(this.state)) delete this.state[name];
    this.caches.length = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function emptyState(shape: readonly number[]): Value {
  return float32(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
}
