import type { Loaded, Prompt, Reply, Request, Token, Written } from './protocol.ts';

type OnProgress = (event: (Reply & { type: 'progress' })['event']) => void;

/** A request was stopped by the user. */
export class Stopped extends Error {}

/** The model in its worker, as the page sees it. One request at a time. */
export class Session {
  private readonly worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  private receive: (reply: Reply) => void = () => {};

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => this.receive(data);
    this.worker.onerror = ({ message }) => {
      this.receive({
        type: 'failed',
        message: message || 'The worker could not be started.',
        stopped: false,
      });
    };
  }

  load(wanted: Omit<Request & { type: 'load' }, 'type'>, onProgress: OnProgress): Promise<Loaded> {
    return this.ask({ type: 'load', ...wanted }, (reply) => {
      if (reply.type === 'progress') onProgress(reply.event);
      return reply.type === 'loaded' ? reply.model : undefined;
    });
  }

  write(
    prompt: Prompt,
    options: (Request & { type: 'write' })['options'],
    on: { token: (token: Token) => void; progress: OnProgress },
  ): Promise<Written> {
    return this.ask({ type: 'write', prompt, options }, (reply) => {
      if (reply.type === 'progress') on.progress(reply.event);
      if (reply.type === 'token') on.token(reply.token);
      return reply.type === 'written' ? reply.written : undefined;
    });
  }

  stop(): void {
    this.post({ type: 'stop' });
  }

  private ask<T>(request: Request, result: (reply: Reply) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      this.receive = (reply) => {
        if (reply.type === 'failed') reject(new (reply.stopped ? Stopped : Error)(reply.message));
        const value = result(reply);
        if (value !== undefined) resolve(value);
      };
      this.post(request);
    });
  }

  private post(request: Request): void {
    this.worker.postMessage(request);
  }
}
