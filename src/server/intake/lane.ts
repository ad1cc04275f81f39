import { Piscina } from 'piscina';
import { Overloaded } from '../../runtime/scheduler.ts';
import { InputError } from '../../util/errors.ts';
import { ApiError } from '../errors.ts';
import { STAGES, stageOf } from './stage.ts';
import type { Outcome, Task, WorkerData } from './worker.ts';

/**
 * One thread that does one task after the other, each in a limited time and memory: what takes more ends with its
 * thread, and the next begins in a new one.
 */

export interface LaneOptions {
  /** For one task. */
  seconds: number;
  /** Of the thread's heap. */
  megabytes: number;
  /** Tasks that may wait. */
  queue: number;
}

/** Beside this file: in the build, or in the source. */
const WORKER = import.meta.url.endsWith('.ts') ? './worker-from-source.mjs' : './worker.js';

export class Lane {
  /** Tasks that wait, that were done, and of those the ones that took too much and ended their thread. */
  readonly tasks = { waiting: 0, done: 0, ended: 0 };
  private readonly pool: Piscina<Task | null, Outcome>;
  private readonly stage: Int32Array;
  /** The task before. */
  private last: Promise<unknown> = Promise.resolve();
  private thread: Promise<unknown>;

  constructor(
    data: Omit<WorkerData, 'stage'>,
    private readonly options: LaneOptions,
  ) {
    this.stage = new Int32Array(new SharedArrayBuffer(4));
    this.pool = new Piscina({
      filename: new URL(WORKER, import.meta.url).href,
      workerData: { ...data, stage: this.stage } satisfies WorkerData,
      minThreads: 1,
      maxThreads: 1,
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: options.megabytes },
    });
    // A thread that fails fails its task, too.
    this.pool.on('error', () => {});
    this.thread = this.start();
  }

  /** The thread has loaded what it needs. @throws InputError for a tokenizer that cannot be used */
  async ready(): Promise<void> {
    try {
      await this.thread;
    } catch (error) {
      // The class is lost on the way between threads.
      throw new InputError((error as Error).message);
    }
  }

  /** @throws ApiError for what takes too much time or memory; Overloaded where too many wait */
  async run(task: Task, signal: AbortSignal): Promise<Outcome> {
    if (this.tasks.waiting >= this.options.queue) throw new Overloaded(Math.ceil(this.options.seconds));
    this.tasks.waiting++;
    const outcome = this.last.then(() => this.next(task, signal));
    this.last = outcome.catch(() => {});
    return outcome;
  }

  private start(): Promise<unknown> {
    const thread = this.pool.run(null);
    thread.catch(() => {});
    return thread;
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }

  private async next(task: Task, signal: AbortSignal): Promise<Outcome> {
    this.tasks.waiting--;
    signal.throwIfAborted();
    // A task's time does not begin before there is a thread for it.
    await this.thread;
    const { seconds } = this.options;
    const overtime = new AbortController();
    const timer = setTimeout(() => overtime.abort(), 1000 * seconds);
    try {
      return await this.pool.run(task, { signal: overtime.signal });
    } catch (error) {
      const memory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
      if (!overtime.signal.aborted && !memory) throw error;
      this.tasks.ended++;
      this.thread = this.start();
      const what = STAGES[stageOf(this.stage)];
      throw new ApiError(
        400,
        memory
          ? `${what} takes more memory than a request may use`
          : `${what} took more than ${seconds} s, the most that a request may take`,
        { code: memory ? 'too_large' : 'too_slow' },
      );
    } finally {
      clearTimeout(timer);
      this.tasks.done++;
    }
  }
}
