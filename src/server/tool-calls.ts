import { randomUUID } from 'node:crypto';
import { choice, type Expression, literal, repeat, sequence } from '../runtime/constrain/grammar.ts';
import { braces, comma, member, space } from '../runtime/constrain/json-grammar.ts';
import { type SchemaGrammar, schemaGrammar } from '../runtime/constrain/json-schema.ts';
import { overlap } from '../runtime/stop.ts';

/**
 * Calls of functions in what a model writes, in the form that Hermes introduced and Qwen and others were trained on:
 * `<tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>`, several behind each other.
 */

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';
/** In an answer that consists of nothing else. */
const MOST_CALLS = 8;

export interface FunctionTool {
  name: string;
  description?: string;
  parameters?: Record<string, unknown>;
  /** Parameters that cannot be held to in all of their keywords are refused. */
  strict?: boolean;
}

export interface ToolCall {
  id: string;
  name: string;
  /** As JSON. */
  arguments: string;
}

/** Whether a model with this chat template writes calls in this form. */
export const writesToolCalls = (template: string) => template.includes(OPEN);

/**
 * A text that is a call of one of these functions, or several calls.
 *
 * @throws InputError for parameters that cannot be held to
 */
export async function toolCallGrammar(
  tools: readonly FunctionTool[],
  several: boolean,
): Promise<SchemaGrammar> {
  const calls: Expression[] = [];
  const unheld: string[] = [];
  for (const [i, { name, parameters = {}, strict }] of tools.entries()) {
    const path = `tools[${i}].parameters`;
    const schema = await schemaGrammar({ type: 'object', ...parameters }, { strict, path });
    unheld.push(...schema.unheld);
    calls.push(
      braces(
        sequence(
          member(literal('"name"'), literal(JSON.stringify(name))),
          comma,
          member(literal('"arguments"'), schema.grammar),
        ),
      ),
    );
  }
  const call = sequence(literal(OPEN), space, choice(...calls), space, literal(CLOSE));
  const all = sequence(call, repeat(sequence(space, call), 0, MOST_CALLS - 1));
  return { grammar: several ? all : call, unheld };
}

/** Takes a text apart as it comes: what is said, and calls, which come whole. */
export class ToolCallParser {
  private held = '';
  private inCall = false;

  push(piece: string): (string | ToolCall)[] {
    this.held += piece;
    const found: (string | ToolCall)[] = [];
    for (;;) {
      const mark = this.inCall ? CLOSE : OPEN;
      const at = this.held.indexOf(mark);
      if (at < 0) break;
      const before = this.held.slice(0, at);
      this.held = this.held.slice(at + mark.length);
      found.push(this.inCall ? (asCall(before) ?? `${OPEN}${before}${CLOSE}`) : before);
      this.inCall = !this.inCall;
    }
    if (!this.inCall) {
      const certain = this.held.length - overlap(this.held, OPEN);
      found.push(this.held.slice(0, certain));
      this.held = this.held.slice(certain);
    }
    return found.filter((part) => part !== '');
  }

  /** The rest; a call that the text ended in is read if it is whole, and is text if not. */
  flush(): (string | ToolCall)[] {
    const { held, inCall } = this;
    [this.held, this.inCall] = ['', false];
    if (!inCall) return held === '' ? [] : [held];
    return [asCall(held) ?? OPEN + held];
  }
}

function asCall(text: string): ToolCall | null {
  try {
    const { name, arguments: given = {} } = JSON.parse(text) as { name?: unknown; arguments?: unknown };
    if (typeof name !== 'string') return null;
    const json = typeof given === 'string' ? given : JSON.stringify(given);
    return { id: `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`, name, arguments: json };
  } catch {
    return null;
  }
}
