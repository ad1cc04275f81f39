/** Values handed from one task to another in order: written without waiting, read as they come. */
export class Channel<T> implements AsyncIterable<T> {
  private readonly values: T[] = [];
  private ended = false;
  private error: unknown;
  private wake: (() => void) | null = null;

  /** @param left is called once when the reader stops before the end */
  constructor(private readonly left?: () => void) {}

  push(value: T): void {
    this.values.push(value);
    this.wake?.();
  }

  /** Nothing comes after this. What was written is still read, and then the error thrown if there is one. */
  end(error?: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        while (this.values.length > 0) yield this.values.shift()!;
        if (this.ended) break;
        await new Promise<void>((wake) => {
          this.wake = wake;
        });
        this.wake = null;
      }
      if (this.error !== undefined) throw this.error;
    } finally {
      if (!this.ended) this.left?.();
    }
  }
}
