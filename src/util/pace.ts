import { turn } from './turn.ts';

/** Long work on an event loop that belongs to others: lets it turn whenever the work has held it for some milliseconds. */
export class Pace {
  private since = performance.now();

  constructor(private readonly milliseconds = 8) {}

  get due(): boolean {
    return performance.now() - this.since >= this.milliseconds;
  }

  async turn(): Promise<void> {
    await turn();
    this.since = performance.now();
  }
}
