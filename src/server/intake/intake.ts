import type { Context } from 'hono';
import { type ModelFiles, TOKENIZER_FILES } from '../../model/model-files.ts';
import { ApiError } from '../errors.ts';
import type { KeptItems } from '../kept-items.ts';
import type { Env } from '../service.ts';
import { Bodies, SHORT } from './body.ts';
import { Lane } from './lane.ts';
import type { IntakeSettings } from './settings.ts';
import type { Asks, Outcome, Task } from './worker.ts';

/**
 * From the bytes of a request to what the scheduler is asked for. Whatever a client or a model can make long (JSON of
 * any shape, a chat template, a tokenizer's patterns) is done in threads, so that the event loop stays free. Short
 * bodies and long ones have a thread each: what is long waits for its like alone.
 */

export interface IntakeLimits {
  /** Bytes of a body. */
  body: number;
  /** For reading one long request; a short one has a quarter of it. */
  readSeconds: number;
}

/** Largest bodies that are held at once. */
const BODIES = 16;
/** Of a thread's heap, in MB: 4 MiB of JSON or of ordinary text take a fifth. */
const MEGABYTES = 512;
const QUEUE = 256;
/** Of the time for a long body: a short one takes milliseconds, unless the model's files are hostile. */
const SHORT_SHARE = 0.25;

export class Intake {
  readonly lanes: { short: Lane; long: Lane };
  private readonly bodies: Bodies;

  /** @param files of the model, of which the tokenizer's are used */
  constructor(
    files: ModelFiles,
    private readonly items: KeptItems,
    settings: Omit<IntakeSettings, 'mostCharacters'>,
    { body, readSeconds }: IntakeLimits,
  ) {
    this.bodies = new Bodies(body, BODIES * body);
    const data = { path: files.path, files: tokenizerFiles(files), settings };
    const lane = (seconds: number, yielding: boolean) =>
      new Lane({ ...data, yielding }, { seconds, megabytes: MEGABYTES, queue: QUEUE });
    this.lanes = { short: lane(readSeconds * SHORT_SHARE, false), long: lane(readSeconds, true) };
  }

  /** Both threads have loaded the tokenizer. */
  async ready(): Promise<void> {
    await Promise.all([this.lanes.short.ready(), this.lanes.long.ready()]);
  }

  /** @throws ApiError for what cannot be asked for */
  async read<R extends keyof Asks>(route: R, c: Context<Env>): Promise<Asks[R]> {
    const { signal } = c.get('call');
    const { bytes, release } = await this.bodies.read(c.env.incoming, signal);
    const lane = bytes.length > SHORT ? this.lanes.long : this.lanes.short;
    try {
      let outcome = await lane.run({ route, body: bytes }, signal);
      if ('needed' in outcome)
        outcome = await lane.run(this.withItems({ route, body: bytes }, outcome), signal);
      if ('wrong' in outcome) {
        const { status, message, details } = outcome.wrong;
        throw new ApiError(status, message, details);
      }
      return (outcome as { ask: Asks[R] }).ask;
    } finally {
      release();
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.lanes.short.close(), this.lanes.long.close()]);
  }

  private withItems(task: Task, { needed }: Extract<Outcome, { needed: string[] }>): Task {
    const items = new Map(
      needed.flatMap((id) => {
        const item = this.items.get(id);
        return item ? [[id, item] as const] : [];
      }),
    );
    return { ...task, items };
  }
}

/** Shared with the threads, not copied. */
function tokenizerFiles(files: ModelFiles): [string, Blob][] {
  const names = [...TOKENIZER_FILES, 'config.json'].filter((name) => files.has(name));
  return names.map((name) => {
    const file = files.open(name);
    return [name, new Blob([file.bytes(0, file.size, name)])];
  });
}
