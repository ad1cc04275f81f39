import type { Context } from 'hono';
import type { ScheduledToken } from '../../runtime/scheduler.ts';
import { jsonAnswer, mapGently } from '../gently.ts';
import type { CompletionAsk } from '../intake/completion.ts';
import { PromptScores, type ScoredToken } from '../prompt-scores.ts';
import { type Env, newId, now, type Service, samplingOf } from '../service.ts';
import { eventStream, merge } from '../sse.ts';
import { finite, type TokenText } from '../token-text.ts';
import { UsageSum } from '../usage.ts';

/** OpenAI's older interface, without roles: what lm-evaluation-harness asks, with echo and log-probabilities. */

/** A part of a choice. */
interface Piece {
  index: number;
  text: string;
  tokens: ScoredToken[];
  finish: 'stop' | 'length' | null;
}

export async function completions(service: Service, c: Context<Env>): Promise<Response> {
  const ask = await service.intake.read('completions', c);
  const { body } = ask;
  const usage = new UsageSum();
  c.set('usage', usage);
  const pieces = answer(service, c, ask, usage);
  const base = { id: newId('cmpl'), object: 'text_completion', created: now(), model: service.names[0] };
  const logprobs = async (tokens: ScoredToken[]) =>
    body.logprobs === undefined ? null : legacyLogProbs(service.tokens, tokens);

  if (body.stream) {
    const withUsage = body.stream_options?.include_usage === true;
    async function* events() {
      for await (const { index, text, tokens, finish } of pieces) {
        if (text === '' && !finish && body.logprobs === undefined) continue;
        const choice = { index, text, logprobs: await logprobs(tokens), finish_reason: finish };
        // That is an echo.
        const long = tokens.length > 1;
        yield { data: { ...base, choices: [choice], ...(withUsage ? { usage: null } : {}) }, long };
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
  const whole = [];
  for (const { index, text, tokens, finish } of [...choices.values()].sort((a, b) => a.index - b.index)) {
    whole.push({ index, text, logprobs: await logprobs(tokens), finish_reason: finish });
  }
  return jsonAnswer(c, { ...base, choices: whole, usage: usage.body() });
}

/** All prompts' texts as they are written. */
function answer(
  service: Service,
  c: Context<Env>,
  { body, prompts, maxTokens: maxNewTokens }: CompletionAsk,
  usage: UsageSum,
): AsyncGenerator<Piece> {
  const { n = 1, echo = false, logprobs } = body;
  const options = {
    ...samplingOf(c, body),
    stop: body.stop,
    choices: n,
    maxNewTokens,
    topLogProbs: logprobs,
  };
  const asked = prompts.map(({ ids, text }) => {
    usage.prompt(ids.length);
    const prompt = Array.from(ids);
    return {
      prompt,
      text,
      scores: echo && logprobs !== undefined ? new PromptScores(prompt, logprobs) : null,
    };
  });
  const written = service.scheduler.submitAll(
    asked.map(({ prompt, scores }) => ({ ...options, prompt, each: scores?.each })),
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

async function legacyLogProbs(text: TokenText, tokens: ScoredToken[]) {
  let at = 0;
  const shown = await mapGently(tokens, ({ id, logProb, top }) => {
    const token = text.text(id);
    const offset = at;
    at += token.length;
    const record = top === null || logProb === null ? null : text.record([...top, { id, logProb }]);
    return { token, logProb: logProb && finite(logProb), record, offset };
  });
  return {
    tokens: shown.map(({ token }) => token),
    token_logprobs: shown.map(({ logProb }) => logProb),
    top_logprobs: shown.map(({ record }) => record),
    text_offset: shown.map(({ offset }) => offset),
  };
}
