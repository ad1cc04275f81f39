import type { Context } from 'hono';
import { type AnswerPart, answer } from '../conversation.ts';
import { jsonAnswer, mapGently } from '../gently.ts';
import type { ScoredToken } from '../prompt-scores.ts';
import { type Env, newId, now, type Service } from '../service.ts';
import { eventStream } from '../sse.ts';
import { finite, type TokenText } from '../token-text.ts';
import type { ToolCall } from '../tool-calls.ts';
import { UsageSum } from '../usage.ts';

/** Conversations by the model's chat template. */
export async function chatCompletions(service: Service, c: Context<Env>): Promise<Response> {
  const { body, conversation } = await service.intake.read('chat', c);
  const usage = new UsageSum();
  c.set('usage', usage);
  const parts = await answer(service, c, body, conversation, usage);
  const base = { id: newId('chatcmpl'), created: now(), model: service.names[0], system_fingerprint: null };
  const logprobs = async (tokens: ScoredToken[]) =>
    body.logprobs ? { content: await chatLogProbs(service.tokens, tokens, body.top_logprobs ?? 0) } : null;

  if (body.stream) {
    const withUsage = body.stream_options?.include_usage === true;
    const chunk = (choices: unknown[], sum: unknown = null) => ({
      data: { ...base, object: 'chat.completion.chunk', choices, ...(withUsage ? { usage: sum } : {}) },
    });
    async function* events() {
      const callsSoFar = new Map<number, number>();
      const begun = new Set<number>();
      for await (const part of parts) {
        const { choice: index, text, calls, tokens, finish } = part;
        if (!begun.has(index)) {
          begun.add(index);
          const delta = { role: 'assistant', content: '' };
          yield chunk([{ index, delta, logprobs: null, finish_reason: null }]);
        }
        if (text !== '' || (body.logprobs && calls.length === 0)) {
          const delta = { content: text };
          yield chunk([{ index, delta, logprobs: await logprobs(tokens), finish_reason: null }]);
        }
        for (const call of calls) {
          const at = callsSoFar.get(index) ?? 0;
          callsSoFar.set(index, at + 1);
          const delta = { tool_calls: [{ index: at, ...callBody(call) }] };
          yield chunk([{ index, delta, logprobs: null, finish_reason: null }]);
        }
        if (finish) yield chunk([{ index, delta: {}, logprobs: null, finish_reason: finish }]);
      }
      if (withUsage) yield chunk([], usage.body());
    }
    return eventStream(service.metrics.timed(events()), { last: '[DONE]', onError: service.failed(c) });
  }

  const choices = [];
  for (const { choice, text, calls, tokens, finish } of await gather(parts)) {
    choices.push({
      index: choice,
      message: {
        role: 'assistant',
        content: text === '' && calls.length > 0 ? null : text,
        refusal: null,
        ...(calls.length > 0 ? { tool_calls: calls.map(callBody) } : {}),
      },
      logprobs: await logprobs(tokens),
      finish_reason: finish,
    });
  }
  return jsonAnswer(c, { ...base, object: 'chat.completion', choices, usage: usage.body() });
}

/** All parts of each choice together, by their order. */
async function gather(parts: AsyncIterable<AnswerPart>): Promise<AnswerPart[]> {
  const whole: AnswerPart[] = [];
  for await (const part of parts) {
    const known = whole[part.choice];
    if (!known) {
      whole[part.choice] = part;
      continue;
    }
    known.text += part.text;
    known.calls.push(...part.calls);
    known.tokens.push(...part.tokens);
    known.finish = part.finish ?? known.finish;
  }
  return whole;
}

const callBody = ({ id, name, arguments: json }: ToolCall) => ({
  ...{ id, type: 'function', function: { name, arguments: json } },
});

function chatLogProbs(text: TokenText, tokens: ScoredToken[], count: number) {
  const shown = ({ id, logProb }: { id: number; logProb: number | null }) => ({
    token: text.text(id),
    logprob: finite(logProb ?? 0),
    bytes: [...text.bytes(id)],
  });
  return mapGently(tokens, (token) => ({
    ...shown(token),
    top_logprobs: (token.top ?? []).slice(0, count).map(shown),
  }));
}
