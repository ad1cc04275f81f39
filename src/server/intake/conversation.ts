import type { ChatMessage, Tokenizer } from '../../model/tokenizer.ts';
import { chatPrompt } from '../../runtime/chat-prompt.ts';
import { cut } from '../errors.ts';
import type { Calls, Format } from '../formats.ts';
import { type FunctionTool, type ToolCall, writesToolCalls } from '../tool-calls.ts';
import { checkLength, checkText, required } from './encode.ts';
import { type IntakeSettings, wrong } from './settings.ts';
import type { Enter } from './stage.ts';

/** A conversation, whatever interface it came through. */
export interface Conversation {
  messages: ChatMessage[];
  tools: readonly FunctionTool[];
  toolChoice: 'none' | 'auto' | 'required' | { name: string };
  severalCalls: boolean;
  format?: Format;
  stop?: string[];
  choices: number;
  maxTokens: number;
  topLogProbs?: number;
}

/** The same, ready for the scheduler. */
export interface ConversationAsk
  extends Pick<Conversation, 'format' | 'stop' | 'choices' | 'maxTokens' | 'topLogProbs'> {
  ids: Int32Array;
  /** Ends of messages, in tokens. */
  boundaries: number[];
  /** Functions that have to be called, or may be. */
  calls: Calls | null;
}

/** @throws ApiError or InputError for what cannot be asked for */
export function readConversation(
  conversation: Conversation,
  tokenizer: Tokenizer | null,
  settings: IntakeSettings,
  enter: Enter,
): ConversationAsk {
  const { messages, format, stop, choices, maxTokens, topLogProbs } = conversation;
  const inUse = required(tokenizer);
  const calls = callsOf(inUse, conversation);
  for (const { content } of messages) checkText(settings, content ?? '');
  enter('template');
  const { ids, boundaries } = chatPrompt(inUse, messages, {
    tools: calls?.tools.map((tool) => ({ type: 'function', function: tool })),
    boundaries: settings.boundaries,
    rendered: (text) => {
      checkText(settings, text);
      enter('tokenise');
    },
  });
  checkLength(settings, ids.length);
  return { ids: Int32Array.from(ids), boundaries, calls, format, stop, choices, maxTokens, topLogProbs };
}

/** The functions that this answer may call. */
function callsOf(tokenizer: Tokenizer, conversation: Conversation): Calls | null {
  const { tools, toolChoice, severalCalls } = conversation;
  if (toolChoice === 'none') return null;
  if (tools.length === 0) {
    if (toolChoice !== 'auto') throw wrong('tool_choice', 'there are no tools');
    return null;
  }
  if (!writesToolCalls(tokenizer.chatTemplate(true) ?? '')) {
    throw wrong('tools', "the model's chat template has no tools in a known form (<tool_call>)");
  }
  if (typeof toolChoice === 'string')
    return { tools, required: toolChoice === 'required', several: severalCalls };
  const named = tools.filter(({ name }) => name === toolChoice.name);
  if (named.length === 0) throw wrong('tool_choice', `there is no tool ${cut(toolChoice.name)}`);
  return { tools: named, required: true, several: false };
}

/** A turn of the assistant as chat templates know it. */
export function assistantMessage(content: string, calls: readonly ToolCall[]): ChatMessage {
  return {
    role: 'assistant',
    content,
    ...(calls.length > 0
      ? {
          tool_calls: calls.map(({ id, name, arguments: json }) => ({
            ...{ id, type: 'function', function: { name, arguments: parsed(json) } },
          })),
        }
      : {}),
  };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
