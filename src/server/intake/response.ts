import type { ChatMessage, Tokenizer } from '../../model/tokenizer.ts';
import { ApiError, cut } from '../errors.ts';
import { type ResponsesItem, type ResponsesRequest, responsesRequest } from '../schemas/responses.ts';
import {
  assistantMessage,
  type Conversation,
  type ConversationAsk,
  readConversation,
} from './conversation.ts';
import { parseBody } from './parse.ts';
import { checkBias, checkModel, checkTokens, type IntakeSettings, wrong } from './settings.ts';
import type { Enter } from './stage.ts';

/** A request of Responses, ready for the scheduler. */
export interface ResponseAsk {
  body: Omit<ResponsesRequest, 'input'>;
  conversation: ConversationAsk;
}

/** Items of earlier answers by their ids, as far as the reader knows them. */
export type Items = ReadonlyMap<string, ChatMessage>;

/** Asks for the items that a request refers to. */
export class ItemsNeeded extends Error {
  constructor(readonly ids: string[]) {
    super('items of earlier answers are needed');
  }
}

/** @throws ItemsNeeded where the request refers to items and none were given */
export function readResponse(
  bytes: Uint8Array,
  tokenizer: Tokenizer | null,
  settings: IntakeSettings,
  enter: Enter,
  items?: Items,
): ResponseAsk {
  const request = parseBody(bytes, responsesRequest);
  checkModel(settings.names, request.model);
  checkBias(settings, request.logit_bias);
  const asked = conversationOf(settings, request, items);
  const conversation = readConversation(asked, tokenizer, settings, enter);
  const { input: _, ...body } = request;
  return { body, conversation };
}

function conversationOf(
  settings: IntakeSettings,
  body: ResponsesRequest,
  known: Items | undefined,
): Conversation {
  if (body.previous_response_id !== undefined) {
    throw wrong('previous_response_id', 'answers are not kept as conversations here: send the messages');
  }
  if (body.max_output_tokens === 0) throw wrong('max_output_tokens', 'expected at least 1');
  const { format } = body.text ?? {};
  const { tool_choice = 'auto', instructions, input } = body;
  const said: ChatMessage[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : messagesOf(input, known);
  return {
    messages: instructions === undefined ? said : [{ role: 'system', content: instructions }, ...said],
    tools: body.tools ?? [],
    toolChoice: tool_choice,
    severalCalls: body.parallel_tool_calls ?? true,
    format,
    choices: 1,
    maxTokens: checkTokens(settings, 'max_output_tokens', body.max_output_tokens),
  };
}

/** Items as chat templates know them: a turn's text and calls in one message. */
function messagesOf(items: readonly ResponsesItem[], known: Items | undefined): ChatMessage[] {
  const needed = items.flatMap((item) => (item.type === 'item_reference' ? [item.id] : []));
  if (needed.length > 0 && !known) throw new ItemsNeeded(needed);
  const messages: ChatMessage[] = [];
  const add = (message: ChatMessage) => {
    const last = messages.at(-1);
    if (message.role !== 'assistant' || last?.role !== 'assistant') {
      messages.push(message);
      return;
    }
    const calls = [last, message].flatMap(({ tool_calls }) => (tool_calls as unknown[] | undefined) ?? []);
    const content = `${last.content ?? ''}${message.content ?? ''}`;
    messages[messages.length - 1] = { ...last, content, ...(calls.length > 0 ? { tool_calls: calls } : {}) };
  };
  for (const [i, item] of items.entries()) {
    if (item.type === 'item_reference') {
      const message = known!.get(item.id);
      if (message) add(message);
      else {
        const param = `input[${i}].id`;
        const why = `the item ${cut(item.id)} is not kept here; send it, or ask with store: false`;
        throw new ApiError(400, `${param}: ${why}`, { param });
      }
    } else if (item.type === 'function_call') {
      add(assistantMessage('', [{ id: item.call_id, name: item.name, arguments: item.arguments }]));
    } else if (item.type === 'function_call_output') {
      add({ role: 'tool', content: item.output, tool_call_id: item.call_id });
    } else {
      add({ role: item.role === 'developer' ? 'system' : item.role, content: item.content });
    }
  }
  return messages;
}
