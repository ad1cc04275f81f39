import type { ChatMessage, Tokenizer } from '../../model/tokenizer.ts';
import type { Format } from '../formats.ts';
import { type ChatMessageIn, type ChatRequest, chatRequest } from '../schemas/chat.ts';
import {
  assistantMessage,
  type Conversation,
  type ConversationAsk,
  readConversation,
} from './conversation.ts';
import { parseBody } from './parse.ts';
import { checkBias, checkModel, checkTokens, type IntakeSettings, wrong } from './settings.ts';
import type { Enter } from './stage.ts';

/** A request of Chat Completions, ready for the scheduler. */
export interface ChatAsk {
  body: Omit<ChatRequest, 'messages' | 'tools'>;
  conversation: ConversationAsk;
}

export function readChat(
  bytes: Uint8Array,
  tokenizer: Tokenizer | null,
  settings: IntakeSettings,
  enter: Enter,
): ChatAsk {
  const request = parseBody(bytes, chatRequest);
  checkModel(settings.names, request.model);
  checkBias(settings, request.logit_bias);
  const conversation = readConversation(conversationOf(settings, request), tokenizer, settings, enter);
  const { messages: _, tools: __, ...body } = request;
  return { body, conversation };
}

function conversationOf(settings: IntakeSettings, body: ChatRequest): Conversation {
  if (body.stream_options && !body.stream) throw wrong('stream_options', 'only with stream');
  if (body.top_logprobs && !body.logprobs) throw wrong('top_logprobs', 'only with logprobs');
  const { max_completion_tokens, max_tokens, tool_choice = 'auto' } = body;
  const asked = max_completion_tokens ?? max_tokens;
  if (asked === 0) throw wrong('max_tokens', 'expected at least 1');
  const param = max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens';
  return {
    messages: body.messages.map(toTemplate),
    tools: body.tools?.map((tool) => tool.function) ?? [],
    toolChoice: typeof tool_choice === 'string' ? tool_choice : tool_choice.function,
    severalCalls: body.parallel_tool_calls ?? true,
    format: formatOf(body.response_format),
    stop: body.stop,
    choices: body.n ?? 1,
    maxTokens: checkTokens(settings, param, asked),
    topLogProbs: body.top_logprobs,
  };
}

function formatOf(format: ChatRequest['response_format']): Format | undefined {
  if (format?.type !== 'json_schema') return format;
  const { schema = {}, strict } = format.json_schema;
  return { type: 'json_schema', schema, strict };
}

/** As chat templates know messages: a system, and arguments of calls as objects. */
function toTemplate(message: ChatMessageIn): ChatMessage {
  if (message.role === 'tool') return { ...message, content: message.content ?? '' };
  if (message.role !== 'assistant') {
    return { role: message.role === 'developer' ? 'system' : message.role, content: message.content };
  }
  return assistantMessage(
    message.content ?? '',
    message.tool_calls?.map(({ id, function: { name, arguments: json } }) => ({
      id,
      name,
      arguments: json,
    })) ?? [],
  );
}
