import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Model } from '../runtime/model.ts';
import type { Scheduler } from '../runtime/scheduler.ts';
import type { Intake } from './intake/intake.ts';
import type { UsageSum } from './usage.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What /metrics tells, for Prometheus. */
export class Metrics {
  readonly registry = new Registry();
  private readonly requests = new Counter({
    name: 'postnas_requests_total',
    help: 'Requests that were answered, by route and status; 499 for clients that went away.',
    labelNames: ['route', 'status'],
    registers: [this.registry],
  });
  private readonly seconds = new Histogram({
    name: 'postnas_request_seconds',
    help: 'From the arrival of a request to the end of its answer.',
    labelNames: ['route'],
    buckets: SECONDS,
    registers: [this.registry],
  });
  private readonly firstToken = new Histogram({
    name: 'postnas_time_to_first_token_seconds',
    help: 'From the arrival of a streaming request to the first piece of its answer.',
    buckets: SECONDS,
    registers: [this.registry],
  });
  private readonly betweenTokens = new Histogram({
    name: 'postnas_time_between_tokens_seconds',
    help: 'Between two pieces of a streaming answer.',
    buckets: SECONDS,
    registers: [this.registry],
  });
  private readonly tokens = new Counter({
    name: 'postnas_tokens_total',
    help: 'Tokens of prompts, of which cached ones did not have to be read, and of texts.',
    labelNames: ['kind'],
    registers: [this.registry],
  });

  constructor(scheduler: Scheduler, { prefixes }: Model, { lanes }: Intake) {
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers: [this.registry],
        collect() {
          this.set(value());
        },
      });
    gauge('postnas_running_texts', 'Texts that are being written.', () => scheduler.running);
    gauge('postnas_waiting_texts', 'Texts that wait for a place.', () => scheduler.waiting);
    gauge('postnas_places', 'Texts that can be written at once.', () => scheduler.maxBatch);
    gauge('postnas_prefix_cache_bytes', 'Memory of snapshots of prompts.', () => prefixes?.bytes ?? 0);
    gauge('postnas_prefix_cache_hits', 'Prompts that began with a snapshot.', () => prefixes?.hits ?? 0);
    for (const [lane, { tasks }] of Object.entries(lanes)) {
      const of = `bodies that are ${lane}`;
      gauge(`postnas_read_${lane}`, `Requests that were read, of ${of}.`, () => tasks.done);
      gauge(`postnas_reading_${lane}`, `Requests that wait to be read, of ${of}.`, () => tasks.waiting);
      gauge(
        `postnas_read_ended_${lane}`,
        `Threads that took too long or too much, of ${of}.`,
        () => tasks.ended,
      );
    }
    collectDefaultMetrics({ register: this.registry });
  }

  answered(route: string, status: number, seconds: number, usage: UsageSum | undefined): void {
    this.requests.inc({ route, status });
    this.seconds.observe({ route }, seconds);
    if (!usage) return;
    this.tokens.inc({ kind: 'prompt' }, usage.promptTokens);
    this.tokens.inc({ kind: 'cached' }, usage.cachedTokens);
    this.tokens.inc({ kind: 'completion' }, usage.completionTokens);
  }

  /** Passes events on and measures when they come. */
  async *timed<T>(events: AsyncGenerator<T>): AsyncGenerator<T> {
    let last = performance.now();
    let histogram = this.firstToken;
    for await (const event of events) {
      const now = performance.now();
      histogram.observe((now - last) / 1000);
      [last, histogram] = [now, this.betweenTokens];
      yield event;
    }
  }
}
