import type { Context } from 'hono';
import type { ChatMessage } from '../../model/tokenizer.ts';
import { type AnswerPart, answer } from '../conversation.ts';
import { type ApiError, asApiError, errorBody } from '../errors.ts';
import { assistantMessage } from '../intake/conversation.ts';
import type { ResponseAsk } from '../intake/response.ts';
import { type Env, newId, now, type Service } from '../service.ts';
import { eventStream } from '../sse.ts';
import type { ToolCall } from '../tool-calls.ts';
import { UsageSum } from '../usage.ts';

/** The part of OpenAI's Responses that clients such as Vercel's AI SDK call: text, functions, streaming. */

interface MessageItem {
  type: 'message';
  id: string;
  status: string;
  role: 'assistant';
  content: { type: 'output_text'; text: string; annotations: []; logprobs: [] }[];
}

interface CallItem {
  type: 'function_call';
  id: string;
  call_id: string;
  status: string;
  name: string;
  arguments: string;
}

type OutputItem = MessageItem | CallItem;

export async function responses(service: Service, c: Context<Env>): Promise<Response> {
  const { body, conversation } = await service.intake.read('responses', c);
  const usage = new UsageSum();
  c.set('usage', usage);
  const parts = await answer(service, c, body, conversation, usage);
  const response = new Answer(service, body, usage);

  if (body.stream) {
    let sequence = 0;
    async function* events() {
      const numbered = (type: string, fields: object) => ({
        event: type,
        data: { type, sequence_number: sequence++, ...fields },
      });
      yield numbered('response.created', { response: response.body() });
      yield numbered('response.in_progress', { response: response.body() });
      try {
        for await (const part of parts)
          for (const [type, fields] of response.take(part)) yield numbered(type, fields);
      } catch (error) {
        service.failed(c)(error);
        response.fail(asApiError(error));
        yield numbered('response.failed', { response: response.body() });
        return;
      }
      response.keep();
      yield numbered(`response.${response.status}`, { response: response.body() });
    }
    return eventStream(service.metrics.timed(events()), { onError: service.failed(c) });
  }

  // Events are only for those who watch.
  for await (const part of parts) for (const _ of response.take(part));
  response.keep();
  return c.json(response.body());
}

/** OpenAI's names for why an answer was not finished; `server_error` for any other. */
const FAILURES: Record<number, string> = { 400: 'invalid_prompt', 429: 'rate_limit_exceeded' };

/** What has been answered so far, and the events that each part of it makes. */
class Answer {
  status: 'in_progress' | 'completed' | 'incomplete' | 'failed' = 'in_progress';
  private readonly id = newId('resp');
  private readonly created = now();
  private readonly output: OutputItem[] = [];
  /** The message that is being written. */
  private open: MessageItem | null = null;
  private error: { code: string; message: string } | null = null;

  constructor(
    private readonly service: Service,
    private readonly request: ResponseAsk['body'],
    private readonly usage: UsageSum,
  ) {}

  *take({ text, calls, finish }: AnswerPart): Generator<[string, object]> {
    if (text !== '') yield* this.say(text);
    for (const call of calls) {
      yield* this.close();
      yield* this.call(call);
    }
    if (!finish) return;
    // An answer without a word is an empty message.
    if (this.output.length === 0) yield* this.say('');
    this.status = finish === 'length' ? 'incomplete' : 'completed';
    yield* this.close(this.status);
  }

  /** No more will come; what was being said is left as it is. */
  fail(error: ApiError): void {
    this.status = 'failed';
    if (this.open) this.open.status = 'incomplete';
    const { message } = errorBody(error).error;
    this.error = { code: FAILURES[error.status] ?? 'server_error', message };
  }

  private *say(text: string): Generator<[string, object]> {
    if (!this.open) {
      const item = {
        type: 'message',
        id: newId('msg'),
        status: 'in_progress',
        role: 'assistant',
        content: [],
      } as const;
      this.open = { ...item, content: [] };
      this.output.push(this.open);
      yield ['response.output_item.added', { output_index: this.last, item: { ...this.open } }];
      const part = { type: 'output_text', text: '', annotations: [], logprobs: [] } as const;
      yield ['response.content_part.added', { ...this.place(), part }];
      this.open.content.push({ ...part, annotations: [], logprobs: [] });
    }
    this.open.content[0]!.text += text;
    yield ['response.output_text.delta', { ...this.place(), delta: text, logprobs: [] }];
  }

  private *close(status: 'completed' | 'incomplete' = 'completed'): Generator<[string, object]> {
    if (!this.open) return;
    const part = this.open.content[0]!;
    this.open.status = status;
    yield ['response.output_text.done', { ...this.place(), text: part.text, logprobs: [] }];
    yield ['response.content_part.done', { ...this.place(), part }];
    yield ['response.output_item.done', { output_index: this.last, item: this.open }];
    this.open = null;
  }

  private *call({ id, name, arguments: json }: ToolCall): Generator<[string, object]> {
    const item: CallItem = {
      ...{ type: 'function_call', id: newId('fc'), call_id: id, status: 'completed', name, arguments: json },
      type: 'function_call',
    };
    this.output.push(item);
    const place = { output_index: this.last };
    const begun = { ...item, status: 'in_progress', arguments: '' };
    yield ['response.output_item.added', { ...place, item: begun }];
    yield ['response.function_call_arguments.delta', { ...place, item_id: item.id, delta: json }];
    yield ['response.function_call_arguments.done', { ...place, item_id: item.id, name, arguments: json }];
    yield ['response.output_item.done', { ...place, item }];
  }

  /** Keeps what later requests may refer to. */
  keep(): void {
    if (this.request.store === false) return;
    for (const item of this.output) this.service.items.set(item.id, asMessage(item));
  }

  private get last(): number {
    return this.output.length - 1;
  }

  private place() {
    return { item_id: this.open!.id, output_index: this.last, content_index: 0 };
  }

  body() {
    const { request, usage, status } = this;
    return {
      id: this.id,
      object: 'response',
      created_at: this.created,
      status,
      error: this.error,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      instructions: request.instructions ?? null,
      max_output_tokens: request.max_output_tokens ?? null,
      model: this.service.names[0],
      output: this.output,
      parallel_tool_calls: request.parallel_tool_calls ?? true,
      previous_response_id: null,
      store: request.store ?? true,
      temperature: request.temperature ?? null,
      text: { format: request.text?.format ?? { type: 'text' } },
      tool_choice: request.tool_choice ?? 'auto',
      tools: request.tools ?? [],
      top_p: request.top_p ?? null,
      metadata: request.metadata ?? {},
      usage:
        status === 'in_progress'
          ? null
          : {
              input_tokens: usage.promptTokens,
              input_tokens_details: { cached_tokens: usage.cachedTokens },
              output_tokens: usage.completionTokens,
              output_tokens_details: { reasoning_tokens: 0 },
              total_tokens: usage.promptTokens + usage.completionTokens,
            },
    };
  }
}

function asMessage(item: OutputItem): ChatMessage {
  if (item.type === 'message') return assistantMessage(item.content[0]?.text ?? '', []);
  return assistantMessage('', [{ id: item.call_id, name: item.name, arguments: item.arguments }]);
}
