/**
 * What a model remembers of one sequence: the states of its linear layers, and the keys and values of its attention
 * layers. Made by an engine, in the memory of the host (host-sequence.ts) or of a device (device/sequence.ts). Mutable,
 * so to go on from one place in two ways it is forked.
 */
export abstract class Sequence {
  protected tokens = 0;
  private gone = false;

  /** In tokens. */
  get length(): number {
    return this.tokens;
  }

  /** Memory of states and caches; what forks share counts for each. */
  get bytes(): number {
    let sum = 0;
    for (const bytes of this.parts().values()) sum += bytes;
    return sum;
  }

  /** @internal That memory piece by piece: forks have pieces in common. */
  abstract parts(): ReadonlyMap<object, number>;

  /** The same sequence once more: both go on without the other's notice. */
  fork(): this {
    this.check();
    const fork = this.copy();
    fork.tokens = this.tokens;
    return fork;
  }

  protected abstract copy(): this;
  protected abstract free(): void;

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
    if (this.gone) return;
    this.gone = true;
    this.free();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
