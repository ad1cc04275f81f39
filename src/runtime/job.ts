import { Channel } from '../util/channel.ts';
import { InputError } from '../util/errors.ts';
import { Continuation, type ContinuationOptions } from './continuation.ts';
import type { EachLogits } from './engine.ts';
import type { Model } from './model.ts';
import type { PromptRead } from './read-prompt.ts';
import type { ScheduledToken } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/** A request under way in the scheduler: one prompt and the texts that are written after it. */

export interface ScheduledRequest extends ContinuationOptions {
  prompt: readonly number[];
  /** 0, too, where only `each` is of interest. */
  maxNewTokens?: number;
  /** Places in the prompt after which a snapshot is kept, where there is a prefix cache. */
  boundaries?: readonly number[];
  /** Texts after this prompt, which is read once; 1 unless given. With a seed, each counts it up by one. */
  choices?: number;
  /** Whom it is for: places are shared fairly among clients. */
  client?: string;
  /** Is given the logits after every token of the prompt. */
  each?: EachLogits;
  /** Ends it within a step, with the signal's reason as error. */
  signal?: AbortSignal;
}

export class Job {
  readonly client: string;
  readonly tokens: Channel<ScheduledToken>;
  /** As many as its texts, one if there are none. */
  readonly places: number;
  /** Being read. */
  prompt: AsyncGenerator<number, PromptRead, undefined> | null = null;
  /** Nobody wants it any more. */
  gone = false;
  texts: Text[] = [];
  private readonly continuations: Continuation[];
  private readonly started = performance.now();

  /**
   * @param changed is called when the job is dropped
   * @throws InputError for an option out of range, or a prompt that the model cannot take
   */
  constructor(
    { engine, tokenizer, generation, contextLength }: Model,
    readonly request: ScheduledRequest,
    private readonly changed: () => void,
  ) {
    const { prompt, choices = 1, client = '', seed, signal } = request;
    if (!Number.isInteger(choices) || choices < 1) {
      throw new InputError(`choices is ${choices}, expected a whole number above 0`);
    }
    this.client = client;
    this.places = choices;
    engine.check({ length: 0 }, prompt);
    const writer = { tokenizer, generation, contextLength };
    const written = request.maxNewTokens === 0 ? 0 : choices;
    this.continuations = Array.from({ length: written }, (_, i) => {
      return new Continuation(writer, prompt, { ...request, seed: seed === undefined ? seed : seed + i });
    });
    this.tokens = new Channel(() => this.drop(new Error('nobody reads the answer')));
    signal?.throwIfAborted();
    signal?.addEventListener('abort', () => this.drop(signal.reason), { once: true });
  }

  /** The prompt has been read: its texts go on from it, the first from the very sequence. */
  begin(sequence: Sequence, cachedTokens: number): Text[] {
    this.texts = this.continuations.map((continuation, choice) => {
      continuation.cachedTokens = cachedTokens;
      return new Text(this, choice, choice === 0 ? sequence : sequence.fork(), continuation);
    });
    if (this.texts.length === 0) this.tokens.end();
    return this.texts;
  }

  /** Ends the answer with an error. */
  drop(reason: unknown): void {
    if (this.gone) return;
    this.gone = true;
    this.tokens.end(reason ?? new Error('the request was dropped'));
    this.changed();
  }

  /** Texts that have not ended. */
  get open(): number {
    return this.texts.filter(({ ended }) => !ended).length;
  }

  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }
}

/** One of the texts of a job. */
export class Text {
  /** The token that the sequence lacks yet. */
  last = 0;
  ended = false;

  constructor(
    readonly job: Job,
    readonly choice: number,
    readonly sequence: Sequence,
    private readonly continuation: Continuation,
  ) {}

  /** Writes the token after these logits; false if it is the last. */
  write(logits: Float32Array): boolean {
    const token = this.continuation.next(logits);
    this.last = token.id;
    this.ended = token.finish !== undefined;
    this.job.tokens.push({ ...token, choice: this.choice });
    return !this.ended;
  }
}
