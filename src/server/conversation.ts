import type { Context } from 'hono';
import type { ConversationAsk } from './intake/conversation.ts';
import type { ScoredToken } from './prompt-scores.ts';
import type { Sampling } from './schemas/common.ts';
import { type Env, type Service, samplingOf } from './service.ts';
import { type ToolCall, ToolCallParser } from './tool-calls.ts';
import type { UsageSum } from './usage.ts';

/** The assistant's answer to a conversation, whatever interface it is asked through. */

/** A part of an answer. */
export interface AnswerPart {
  choice: number;
  text: string;
  calls: ToolCall[];
  tokens: ScoredToken[];
  finish: 'stop' | 'length' | 'tool_calls' | null;
}

/**
 * Asks for the answer; it is written as it is read.
 *
 * @throws ApiError or InputError for what cannot be asked for
 */
export async function answer(
  service: Service,
  c: Context<Env>,
  sampling: Sampling,
  conversation: ConversationAsk,
  usage: UsageSum,
): Promise<AsyncGenerator<AnswerPart>> {
  const { scheduler, formats } = service;
  const { ids, boundaries, calls, choices, maxTokens, topLogProbs, stop, format } = conversation;
  const constraint = await formats.constraint(format, calls, (unheld) => tellUnheld(c, unheld));
  usage.prompt(ids.length);
  const written = scheduler.submit({
    ...samplingOf(c, sampling),
    ...{ prompt: Array.from(ids), boundaries, choices, stop, topLogProbs, constraint },
    maxNewTokens: Math.max(1, maxTokens),
  });
  async function* parts(): AsyncGenerator<AnswerPart> {
    const parsers = Array.from({ length: choices }, () => new ToolCallParser());
    const called = new Set<number>();
    for await (const token of written) {
      usage.token(token);
      const { choice, id, logProb, top = [], finish = null } = token;
      const parser = parsers[choice]!;
      const found = calls ? [...parser.push(token.text), ...(finish ? parser.flush() : [])] : [token.text];
      const own = found.filter((part) => typeof part !== 'string');
      if (own.length > 0) called.add(choice);
      // What stands between two calls is only there to part them.
      const said = found.filter(
        (part) => typeof part === 'string' && (!called.has(choice) || part.trim() !== ''),
      );
      const reason = finish === 'stop' && called.has(choice) ? 'tool_calls' : finish;
      yield { choice, text: said.join(''), calls: own, tokens: [{ id, logProb, top }], finish: reason };
    }
  }
  return parts();
}

/** What a schema asks for and the text may break, in a header of the answer. */
function tellUnheld(c: Context<Env>, unheld: readonly string[]): void {
  // Names of properties may hold anything, headers may not.
  const places = unheld
    .join(', ')
    .replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  c.res.headers.set('X-Schema-Unheld', places.slice(0, 1000));
}
