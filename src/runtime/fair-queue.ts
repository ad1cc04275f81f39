/** Clients whose last turn is remembered. */
const REMEMBERED = 1024;

/**
 * Who is next among waiting jobs of several clients. A free place goes to the client that holds the fewest; of equal
 * ones to the one that was served longest ago; a client's own jobs go in the order they came. So a client with a
 * thousand jobs delays another's by no more than one of them. Each is served at last: a client whose own texts have
 * ended waits for one turn of each of the others at most.
 */
export class FairQueue<T extends { client: string }> {
  private readonly lines = new Map<string, T[]>();
  /** By client; the one that was served longest ago first. */
  private readonly served = new Map<string, number>();
  private turns = 0;

  get length(): number {
    let total = 0;
    for (const line of this.lines.values()) total += line.length;
    return total;
  }

  push(job: T): void {
    const line = this.lines.get(job.client);
    if (line) line.push(job);
    else this.lines.set(job.client, [job]);
  }

  /** Whose turn it is. @param held places that a client has */
  peek(held: (client: string) => number): T | undefined {
    const rank = (client: string) => [held(client), this.served.get(client) ?? 0] as const;
    let next: T[] | undefined;
    let least: readonly [number, number] = [Number.POSITIVE_INFINITY, 0];
    for (const [client, line] of this.lines) {
      const [places, turn] = rank(client);
      if (places > least[0] || (places === least[0] && turn >= least[1])) continue;
      [least, next] = [[places, turn], line];
    }
    return next?.[0];
  }

  /** Takes a job out whose turn it was. */
  serve(job: T): void {
    this.remove(job);
    this.served.delete(job.client);
    this.served.set(job.client, ++this.turns);
    if (this.served.size > REMEMBERED) this.served.delete(this.served.keys().next().value!);
  }

  /** Takes a job out that is no longer wanted. */
  remove(job: T): void {
    const line = this.lines.get(job.client)?.filter((other) => other !== job) ?? [];
    if (line.length > 0) this.lines.set(job.client, line);
    else this.lines.delete(job.client);
  }

  *[Symbol.iterator](): Generator<T> {
    for (const line of this.lines.values()) yield* line;
  }
}
