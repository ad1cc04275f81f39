import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import type { Logger } from 'pino';
import type { Model } from '../runtime/model.ts';
import { Scheduler, type SchedulerOptions } from '../runtime/scheduler.ts';
import { InputError } from '../util/errors.ts';
import { createApp } from './app.ts';
import { ApiError } from './errors.ts';
import { Formats } from './formats.ts';
import { isLoopback, keyOf } from './guard.ts';
import { Intake } from './intake/intake.ts';
import { KeptItems } from './kept-items.ts';
import { Metrics } from './metrics.ts';
import { type Limits, now, type Service } from './service.ts';
import { TokenText } from './token-text.ts';

export interface ServeOptions extends SchedulerOptions {
  /** 127.0.0.1 unless given. Elsewhere than on loopback an API key is needed. */
  host?: string;
  /** 8000 unless given; 0 for any that is free. */
  port?: number;
  apiKey?: string;
  /** Origins whose pages may ask, `*` for all. */
  origins?: readonly string[];
  limits?: Partial<Limits>;
  log: Logger;
}

export interface RunningServer {
  url: string;
  scheduler: Scheduler;
  /**
   * Takes no further requests, finishes those that were taken, and stops; after so many seconds it ends them.
   */
  drain(seconds: number): Promise<void>;
}

/** Bodies of 4 MiB hold a prompt of a million tokens. */
const BODY = 4 * 1024 * 1024;
const SECONDS = 600;
/** 4 MiB at a megabit per second. */
const BODY_SECONDS = 40;
const READ_SECONDS = 10;
/** A week, which timers can count in milliseconds. */
const MOST_SECONDS = 604_800;
/** JSON of that size takes gigabytes. */
const MOST_BODY = 2 ** 28;
const HEADER_SECONDS = 20;
/** Sockets that are open at once. */
const CONNECTIONS = 2000;
/** Milliseconds between two looks whether all is answered. */
const POLL = 20;

/**
 * Serves a model over HTTP, by OpenAI's interface.
 *
 * @param names that requests may call it by
 * @throws InputError for an address that cannot be listened on, or should not be without a key
 */
export async function serve(
  model: Model,
  names: readonly string[],
  options: ServeOptions,
): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 8000, origins = [], log } = options;
  const apiKey = keyOf(options.apiKey);
  if (options.apiKey !== undefined && !apiKey) log.warn('the API key is empty: none is asked for');
  check('port (--port)', port, 0, 65_535);
  if (!isLoopback(host) && !apiKey) {
    throw new InputError(`${host} can be reached by other machines: give an API key, or serve on 127.0.0.1`);
  }
  const scheduler = new Scheduler(model, options);
  const { contextLength, maxQueue } = scheduler;
  const limits: Limits = {
    body: BODY,
    seconds: SECONDS,
    bodySeconds: BODY_SECONDS,
    readSeconds: READ_SECONDS,
    maxTokens: contextLength,
    ...options.limits,
  };
  check('limits.body (--max-body)', limits.body, 1, MOST_BODY);
  check('limits.maxTokens (--max-tokens)', limits.maxTokens, 1, Number.MAX_SAFE_INTEGER);
  check('limits.seconds (--timeout)', limits.seconds, 0.001, MOST_SECONDS);
  check('limits.bodySeconds', limits.bodySeconds, 0.001, MOST_SECONDS);
  check('limits.readSeconds', limits.readSeconds, 0.001, MOST_SECONDS);
  const items = new KeptItems();
  const settings = {
    ...{ names, contextLength, maxQueue, maxTokens: limits.maxTokens },
    vocabSize: model.config.vocabSize,
    boundaries: model.prefixes !== null,
  };
  const intake = new Intake(model.files, items, settings, limits);
  try {
    await intake.ready();
  } catch (error) {
    await intake.close();
    throw error;
  }
  const service: Service = {
    model,
    names,
    scheduler,
    tokens: new TokenText(model.tokenizer),
    formats: new Formats(model),
    intake,
    items,
    limits,
    metrics: new Metrics(scheduler, model, intake),
    log,
    failed: (c) => (error) => {
      const { id, signal } = c.get('call');
      if (signal.aborted && signal.reason === error)
        log.warn({ id, reason: (error as Error).message }, 'ended');
      else log.error({ id, err: error }, 'failed');
    },
    started: now(),
    draining: false,
    open: new Set(),
  };
  const app = createApp(service, { apiKey, loopback: isLoopback(host), origins });
  // Node's own HTTP server: no http2 is asked for.
  const server = createAdaptorServer({
    ...{ fetch: app.fetch, hostname: host },
    serverOptions: {
      // Node.js closes what has not come by then, with 408.
      requestTimeout: 1000 * limits.bodySeconds,
      headersTimeout: 1000 * Math.min(limits.bodySeconds, HEADER_SECONDS),
      connectionsCheckingInterval: Math.min(1000, 500 * limits.bodySeconds),
    },
  }) as Server;
  server.maxConnections = CONNECTIONS;
  // A client that neither reads nor writes holds nothing but its socket; for a little longer than an answer may take.
  server.setTimeout(1000 * (service.limits.seconds + 10));
  const address = await listen(server, host, port).catch(async (error: unknown) => {
    await intake.close();
    throw error;
  });
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    scheduler,
    drain: async (seconds) => {
      service.draining = true;
      const end = performance.now() + 1000 * seconds;
      while (service.open.size > 0 && performance.now() < end) await setTimeout(POLL);
      scheduler.close(new ApiError(503, 'the server stopped before the answer was finished'));
      const closed = new Promise<void>((done) => server.close(() => done()));
      // What was just ended is still told so.
      for (let i = 0; i < 20 && service.open.size > 0; i++) await setTimeout(POLL);
      server.closeAllConnections();
      await closed;
      await intake.close();
    },
  };
}

function check(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new InputError(`${name} is ${value}, expected a number from ${least} to ${most}`);
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is taken: give another with --port' : error.message;
      fail(new InputError(`cannot listen on ${host}:${port}: ${why}`));
    });
    server.listen(port, host, () => done(server.address() as AddressInfo));
  });
}
