import { createHash, randomUUID } from 'node:crypto';
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { Logger } from 'pino';
import type { Model } from '../runtime/model.ts';
import type { ScheduledRequest, Scheduler } from '../runtime/scheduler.ts';
import type { Formats } from './formats.ts';
import type { Intake } from './intake/intake.ts';
import type { KeptItems } from './kept-items.ts';
import type { Metrics } from './metrics.ts';
import type { Sampling } from './schemas/common.ts';
import type { TokenText } from './token-text.ts';
import type { UsageSum } from './usage.ts';

/** What all routes work with. */
export interface Service {
  model: Model;
  /** Names that requests may call the model by, the first of which is told. */
  names: readonly string[];
  scheduler: Scheduler;
  tokens: TokenText;
  formats: Formats;
  intake: Intake;
  items: KeptItems;
  limits: Limits;
  metrics: Metrics;
  log: Logger;
  /** Writes an error of a request, whose answer has begun, to the log. */
  failed: (c: Context<Env>) => (error: unknown) => void;
  /** Seconds since 1970. */
  started: number;
  /** No further requests are taken. */
  draining: boolean;
  /** Requests that were taken and are not yet answered. */
  open: Set<Call>;
}

export interface Limits {
  /** Bytes of a request's body. */
  body: number;
  /** Tokens that a request may ask for, by text. */
  maxTokens: number;
  /** A request's time from its arrival to the last token. */
  seconds: number;
  /** For its body to arrive. */
  bodySeconds: number;
  /** For reading it: its JSON, the chat template, the tokenizer. */
  readSeconds: number;
}

/** What is known of a request beside its body. */
interface Call {
  id: string;
  client: string;
  /** Ends the request: the client went away, its time is over, or the server stops. */
  signal: AbortSignal;
}

export type Env = { Bindings: HttpBindings; Variables: { call: Call; usage: UsageSum } };

export function newId(prefix: string): string {
  return `${prefix}-${randomUUID().replaceAll('-', '')}`;
}

export const now = () => Math.floor(Date.now() / 1000);

/** The sampling part of what the scheduler is asked for. */
export function samplingOf(c: Context<Env>, body: Sampling): Omit<ScheduledRequest, 'prompt'> {
  const { client, signal } = c.get('call');
  return {
    temperature: body.temperature,
    topP: body.top_p,
    topK: body.top_k,
    minP: body.min_p,
    frequencyPenalty: body.frequency_penalty,
    presencePenalty: body.presence_penalty,
    repetitionPenalty: body.repetition_penalty,
    logitBias: body.logit_bias,
    seed: body.seed,
    ...(body.ignore_eos ? { eosTokenIds: [] } : {}),
    client: body.user ? createHash('sha256').update(body.user).digest('hex') : client,
    signal,
  };
}
