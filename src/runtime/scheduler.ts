import { InputError } from '../util/errors.ts';
import { Pace } from '../util/pace.ts';
import type { Batch } from './batch.ts';
import type { GeneratedToken } from './continuation.ts';
import { FairQueue } from './fair-queue.ts';
import { Job, type ScheduledRequest, type Text } from './job.ts';
import type { Model } from './model.ts';
import { type PromptRead, readPrompt } from './read-prompt.ts';
import type { Sequence } from './sequence.ts';

/**
 * Continuous batching: many requests share a model, join and leave between steps, and each gets what it would get
 * alone. Every turn takes in what there is place for, reads a piece of one or more prompts, and writes one token of every
 * text. Prompts take turns, too, and reading takes about as long as writing: a long prompt delays the others by a piece
 * at a time, and a burst of prompts by no more than a step. Nor do texts in a format that takes long to look up hold up the
 * others: choosing their tokens takes about as long as a step, and those that are left have their turn after the next one.
 */

export interface SchedulerOptions {
  /** Texts that are written at once; 16 unless given. */
  maxBatch?: number;
  /** Texts that wait for a place; 256 unless given. Beyond that, requests are refused. */
  maxQueue?: number;
  /** The longest text in tokens, its prompt included, which bounds memory; the model's context unless given. */
  contextLength?: number;
  /** Tokens of a prompt that are read between two steps; 128 unless given. */
  pieceTokens?: number;
}

export type { ScheduledRequest } from './job.ts';

/** A token of one of the texts that a request asked for. */
export interface ScheduledToken extends GeneratedToken {
  /** Which of them. */
  choice: number;
}

/** The queue is full: to be tried again later. */
export class Overloaded extends Error {
  override name = 'Overloaded';
  constructor(readonly retryAfterSeconds: number) {
    super(`too many requests are waiting; try again in ${retryAfterSeconds} s`);
  }
}

/** A text and the logits that its next token is chosen from. */
interface Choice {
  text: Text;
  logits: Float32Array;
}

export class Scheduler {
  readonly maxBatch: number;
  readonly maxQueue: number;
  readonly contextLength: number;
  private readonly pieceTokens: number;
  private readonly queue = new FairQueue<Job>();
  /** Prompts that are being read, the next in turn first. */
  private readonly reading: Job[] = [];
  private readonly batch: Batch;
  /** Texts in the batch. */
  private readonly writing = new Map<Sequence, Text>();
  /** Texts outside of it, whose next token is still to be chosen, the next in turn first. */
  private choosing: Choice[] = [];
  private looping = false;
  private closed = false;
  private secondsPerRequest = 1;
  /** Of the last step, in milliseconds. */
  private stepTime = 0;

  constructor(
    private readonly model: Model,
    options: SchedulerOptions = {},
  ) {
    const { maxBatch = 16, maxQueue = 256, pieceTokens = 128, contextLength = model.contextLength } = options;
    for (const [name, value] of Object.entries({ maxBatch, maxQueue, pieceTokens, contextLength })) {
      if (!Number.isInteger(value) || value < 1) {
        throw new InputError(`${name} is ${value}, expected a whole number above 0`);
      }
    }
    if (contextLength > model.contextLength) {
      throw new InputError(`contextLength is ${contextLength}, the model's is ${model.contextLength}`);
    }
    this.contextLength = contextLength;
    this.maxBatch = maxBatch;
    this.maxQueue = maxQueue;
    this.pieceTokens = pieceTokens;
    this.batch = model.engine.batch();
  }

  /** Texts that are waiting for a place. */
  get waiting(): number {
    let texts = 0;
    for (const job of this.queue) texts += job.places;
    return texts;
  }

  /** Places that are taken. */
  get running(): number {
    return this.held();
  }

  /**
   * Asks for one or more texts. Their tokens come as they are written; a reader that stops early, and an abort, free
   * the places within a step.
   *
   * @throws InputError for what cannot be asked for, Overloaded when the queue is full
   */
  submit(request: ScheduledRequest): AsyncIterable<ScheduledToken> {
    return this.submitAll([request])[0]!;
  }

  /** The same for several prompts: all of them are taken, or none. */
  submitAll(requests: readonly ScheduledRequest[]): AsyncIterable<ScheduledToken>[] {
    if (this.closed) throw new Error('the scheduler is closed');
    const jobs = requests.map(
      (request) => new Job(this.model, this.contextLength, request, () => this.start()),
    );
    const most = Math.max(...jobs.map(({ places }) => places));
    if (most > this.maxBatch) {
      throw new InputError(`${most} texts were asked for at once, at most ${this.maxBatch} are written`);
    }
    const places = jobs.reduce((sum, job) => sum + job.places, 0);
    // Those that will have a place in the next turn do not count as waiting.
    const room = this.maxBatch + this.maxQueue - this.held() - this.waiting;
    if (places > room) throw new Overloaded(this.retryAfterSeconds());
    for (const job of jobs) this.queue.push(job);
    this.start();
    return jobs.map(({ tokens }) => tokens);
  }

  /** Ends every request with this error. None is taken from then on. */
  close(reason: unknown): void {
    this.closed = true;
    for (const job of [...this.queue, ...this.reading]) job.drop(reason);
    for (const { job } of this.open()) job.drop(reason);
    this.start();
  }

  private start(): void {
    if (this.looping) return;
    this.looping = true;
    void this.loop();
  }

  private async loop(): Promise<void> {
    while (this.queue.length + this.reading.length + this.writing.size + this.choosing.length > 0) {
      this.sweep();
      this.admit();
      await this.readPieces();
      await this.writeTokens();
    }
    this.looping = false;
  }

  /** Lets go of what nobody wants any more. */
  private sweep(): void {
    for (const job of [...this.queue]) if (job.gone) this.queue.remove(job);
    for (const job of this.reading.filter(({ gone }) => gone)) {
      this.reading.splice(this.reading.indexOf(job), 1);
      void job.prompt?.return(undefined as never);
    }
    for (const text of this.open()) if (text.job.gone) this.leave(text);
  }

  /** Requests take the free places; one that needs several waits for all of them, and nobody overtakes it. */
  private admit(): void {
    for (;;) {
      const job = this.queue.peek((client) => this.held(client));
      if (!job || this.held() + job.places > this.maxBatch) return;
      this.queue.serve(job);
      const { engine, prefixes } = this.model;
      const { prompt, boundaries, each } = job.request;
      job.prompt = readPrompt(engine, prefixes, prompt, { boundaries, each, pieceTokens: this.pieceTokens });
      this.reading.push(job);
    }
  }

  /** A piece of one prompt after the other, until as much time has gone as the last step took. */
  private async readPieces(): Promise<void> {
    const end = performance.now() + this.stepTime;
    for (let left = this.reading.length; left > 0; left--) {
      await this.readPiece();
      if (performance.now() >= end) break;
    }
  }

  private async readPiece(): Promise<void> {
    const job = this.reading[0]!;
    try {
      const { done, value: read } = await job.prompt!.next();
      this.reading.shift();
      if (!done) this.reading.push(job);
      else await this.begin(job, read);
    } catch (error) {
      job.drop(error);
      if (this.reading[0] === job) this.reading.shift();
    }
  }

  private async begin(job: Job, { sequence, logits, cachedTokens }: PromptRead): Promise<void> {
    const texts = job.begin(sequence, cachedTokens);
    if (texts.length === 0) sequence.dispose();
    // The next run of the engine overwrites them.
    const kept = job.request.constraint ? logits.slice() : logits;
    const choices = texts.map((text): Choice => ({ text, logits: kept }));
    if (job.request.constraint) this.choosing.push(...choices);
    else await this.writeEach(choices);
  }

  /** The next token of each text; others have a turn in between. */
  private async writeEach(choices: readonly Choice[]): Promise<void> {
    const pace = new Pace();
    for (const choice of choices) {
      if (pace.due) await pace.turn();
      this.write(choice);
    }
  }

  private async writeTokens(): Promise<void> {
    const formatted = [...this.choosing];
    if (this.writing.size > 0) {
      const ids = new Map([...this.writing].map(([sequence, { last }]) => [sequence, last]));
      try {
        const started = performance.now();
        const found = await this.batch.step(ids);
        this.stepTime = performance.now() - started;
        const choices = Array.from(
          found,
          ([sequence, logits]): Choice => ({
            text: this.writing.get(sequence)!,
            logits,
          }),
        );
        const isFormatted = ({ text }: Choice) => text.job.request.constraint !== undefined;
        formatted.push(...choices.filter(isFormatted));
        await this.writeEach(choices.filter((choice) => !isFormatted(choice)));
      } catch (error) {
        this.failed(error);
      }
    }
    await this.writeInTime(formatted);
  }

  /** The next tokens of texts in a format, until as much time has gone as the last step took; the others wait. */
  private async writeInTime(choices: readonly Choice[]): Promise<void> {
    const end = performance.now() + this.stepTime;
    const pace = new Pace();
    for (const [i, choice] of choices.entries()) {
      if (i > 0 && performance.now() >= end) {
        for (const later of choices.slice(i)) this.wait(later);
        return;
      }
      if (pace.due) await pace.turn();
      this.write(choice);
    }
  }

  /** Takes a text out of the batch until its token is chosen. */
  private wait({ text, logits }: Choice): void {
    if (!this.writing.delete(text.sequence)) return;
    this.batch.remove(text.sequence);
    // The next step overwrites them.
    this.choosing.push({ text, logits: logits.slice() });
  }

  /** The next token of a text, which is in the batch afterwards if it goes on. */
  private write({ text, logits }: Choice): void {
    const { job, sequence } = text;
    try {
      if (!job.gone && text.write(logits)) {
        if (this.writing.has(sequence)) return;
        this.waitNoMore(text);
        this.batch.add(sequence);
        this.writing.set(sequence, text);
        return;
      }
    } catch (error) {
      job.drop(error);
    }
    this.leave(text);
  }

  private waitNoMore(text: Text): void {
    this.choosing = this.choosing.filter((choice) => choice.text !== text);
  }

  private leave(text: Text): void {
    const { sequence, job } = text;
    if (this.writing.delete(sequence)) this.batch.remove(sequence);
    this.waitNoMore(text);
    sequence.dispose();
    if (job.gone || job.open > 0) return;
    job.tokens.end();
    this.secondsPerRequest += 0.1 * (job.seconds - this.secondsPerRequest);
  }

  /**
   * A step that failed. Where memory was short before it, nothing was written: the longest text goes, so that the
   * others have its memory. Else no text can be gone on from.
   */
  private failed(error: unknown): void {
    const texts = [...this.writing.values()].sort((a, b) => b.sequence.length - a.sequence.length);
    const lost = texts.filter(({ sequence }) => !sequence.usable);
    for (const { job } of lost.length > 0 ? lost : texts.slice(0, 1)) job.drop(error);
  }

  /** Places that are taken by a client, or by all. */
  private held(client?: string): number {
    const own = (job: Job) => client === undefined || job.client === client;
    let places = 0;
    for (const job of this.reading) if (own(job)) places += job.places;
    for (const { job } of this.open()) if (own(job)) places++;
    return places;
  }

  /** Texts that have begun and go on. */
  private open(): Text[] {
    return [...this.writing.values(), ...this.choosing.map(({ text }) => text)];
  }

  private retryAfterSeconds(): number {
    const seconds = (this.secondsPerRequest * this.waiting) / this.maxBatch;
    return Math.min(60, Math.max(1, Math.ceil(seconds)));
  }
}
