import type { Context } from 'hono';
import type { ScheduledToken } from '../../runtime/scheduler.ts';
import { readBody } from '../body.ts';
import { ApiError } from '../errors.ts';
import { PromptScores, type ScoredToken } from '../prompt-scores.ts';
import { type CompletionRequest, completionRequest } from '../schemas/completions.ts';
import { checkModel, checkTokens, type Env, newId, now, type Service, samplingOf } from '../service.ts';
import { eventStream, merge } from '../sse.ts';
import { finite, type TokenText } from '../token-text.ts';
import { UsageSum } from '../usage.ts';

/** OpenAI's older interface, without roles: what lm-evaluation-harness asks, with echo and log-probabilities. */

const DEFAULT_TOKENS = 16;

/** A part of a choice. */
interface Piece {
  index: number;
  text: string;
  tokens: ScoredToken[];
  finish: 'stop' | 'length' | null;
}

export async function completions(service: Service, c: Context<Env>): Promise<Response> {
  const body = await readBody(c, completionRequest);
  checkModel(service, body.model);
  refuse(body);
  const usage = new UsageSum();
  c.set('usage', usage);
  const pieces = answer(service, c, body, usage);
  const base = { id: newId('cmpl'), object: 'text_completion', created: now(), model: service.names[0] };
  const logprobs = (tokens: ScoredToken[], offset = 0) =>
    body.logprobs === undefined ? null : legacyLogProbs(service.tokens, tokens, offset);

  if (body.stream) {
    const withUsage = body.stream_options?.include_usage === true;
    async function* events() {
      for await (const { index, text, tokens, finish } of pieces) {
        if (text === '' && !finish && body.logprobs === undefined) continue;
        const choice = { index, text, logprobs: logprobs(tokens), finish_reason: finish };
        yield { data: { ...base, choices: [choice], ...(withUsage ? { usage: null } : {}) } };
      }
      if (withUsage) yield { data: { ...base, choices: [], usage: usage.body() } };
    }
    return eventStream(service.metrics.timed(events()), { last: '[DONE]', onError: service.failed(c) });
  }

  const choices = new Map<number, Piece>();
  for await (const piece of pieces) {
    const known = choices.get(piece.index);
    if (!known) choices.set(piece.index, piece);
    else {
      known.text += piece.text;
      known.tokens.push(...piece.tokens);
      known.finish = piece.finish ?? known.finish;
    }
  }
  return c.json({
    ...base,
    choices: [...choices.values()]
      .sort((a, b) => a.index - b.index)
      .map(({ index, text, tokens, finish }) => ({
        ...{ index, text, logprobs: logprobs(tokens), finish_reason: finish },
      })),
    usage: usage.body(),
  });
}

function refuse({ suffix, best_of, n = 1, stream_options, stream }: CompletionRequest): void {
  const wrong = (param: string, message: string) => new ApiError(400, `${param}: ${message}`, { param });
  if (suffix) throw wrong('suffix', 'text before a suffix cannot be written: the model only goes on');
  if (best_of !== undefined && best_of !== n) throw wrong('best_of', 'expected the same as n, or nothing');
  if (stream_options && !stream) throw wrong('stream_options', 'only with stream');
}

/** All prompts' texts as they are written. */
function answer(
  service: Service,
  c: Context<Env>,
  body: CompletionRequest,
  usage: UsageSum,
): AsyncGenerator<Piece> {
  const { scheduler, model, tokens } = service;
  const { n = 1, echo = false, logprobs } = body;
  const maxNewTokens = checkTokens(service, 'max_tokens', body.max_tokens ?? DEFAULT_TOKENS);
  const prompts = promptsOf(body.prompt);
  if (prompts.length * n > scheduler.maxQueue) {
    throw new ApiError(
      400,
      `prompt: ${prompts.length} prompts with ${n} texts each, at most ${scheduler.maxQueue} texts can wait here`,
      { param: 'prompt' },
    );
  }
  const options = {
    ...samplingOf(c, body),
    stop: body.stop,
    choices: n,
    maxNewTokens,
    topLogProbs: logprobs,
  };
  const asked = prompts.map((prompt) => {
    const ids = model.encode(prompt);
    usage.prompt(ids.length);
    const text = typeof prompt === 'string' ? prompt : tokens.join(ids);
    return { ids, text, scores: echo && logprobs !== undefined ? new PromptScores(ids, logprobs) : null };
  });
  const written = scheduler.submitAll(
    asked.map(({ ids, scores }) => ({ ...options, prompt: ids, each: scores?.each })),
  );
  return merge(
    asked.map(({ text, scores }, p) => {
      const before = echo ? { text, tokens: scores?.tokens ?? [] } : null;
      return pieces(written[p]!, { first: p * n, n, before, none: maxNewTokens === 0, usage });
    }),
  );
}

interface Choices {
  /** Index of its first choice. */
  first: number;
  n: number;
  /** What an echo begins with; its scores are there once the prompt has been read. */
  before: { text: string; tokens: ScoredToken[] } | null;
  /** Nothing is written. */
  none: boolean;
  usage: UsageSum;
}

async function* pieces(
  written: AsyncIterable<ScheduledToken>,
  { first, n, before, none, usage }: Choices,
): AsyncGenerator<Piece> {
  const begun = new Set<number>();
  function* begin(choice: number): Generator<Piece> {
    if (!before || begun.has(choice)) return;
    begun.add(choice);
    yield { index: first + choice, text: before.text, tokens: [...before.tokens], finish: null };
  }
  for await (const token of written) {
    const { choice, id, text, logProb, top = [], finish = null } = token;
    usage.token(token);
    yield* begin(choice);
    yield { index: first + choice, text, tokens: [{ id, logProb, top }], finish };
  }
  if (!none) return;
  for (let choice = 0; choice < n; choice++) {
    yield* begin(choice);
    yield { index: first + choice, text: '', tokens: [], finish: 'length' };
  }
}

function promptsOf(prompt: CompletionRequest['prompt']): (string | number[])[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as string[] | number[][]);
}

function legacyLogProbs(text: TokenText, tokens: ScoredToken[], offset: number) {
  let at = offset;
  return {
    tokens: tokens.map(({ id }) => text.text(id)),
    token_logprobs: tokens.map(({ logProb }) => logProb && finite(logProb)),
    top_logprobs: tokens.map(({ id, logProb, top }) =>
      top === null || logProb === null ? null : text.record([...top, { id, logProb }]),
    ),
    text_offset: tokens.map(({ id }) => {
      const start = at;
      at += text.text(id).length;
      return start;
    }),
  };
}
