import { Automaton, choice, type Expression } from '../runtime/constrain/grammar.ts';
import { GrammarConstraint } from '../runtime/constrain/grammar-constraint.ts';
import { anyObject } from '../runtime/constrain/json-grammar.ts';
import { schemaGrammar } from '../runtime/constrain/json-schema.ts';
import { TokenTrie } from '../runtime/constrain/token-trie.ts';
import type { Constraint } from '../runtime/continuation.ts';
import type { Model } from '../runtime/model.ts';
import { ApiError } from './errors.ts';
import { type FunctionTool, toolCallGrammar } from './tool-calls.ts';

export type Format =
  | { type: 'text' }
  | { type: 'json_object' }
  | { type: 'json_schema'; schema: Record<string, unknown> };

/** Functions that have to be called, or may be. */
export interface Calls {
  tools: readonly FunctionTool[];
  required: boolean;
  several: boolean;
}

/** Grammars that are kept with what was learnt of them. */
const KEPT = 32;

/** What texts have to be, by the formats that requests ask for. */
export class Formats {
  private trie: TokenTrie | null = null;
  /** The most recently used last. */
  private readonly automata = new Map<string, Automaton>();

  constructor(private readonly model: Model) {}

  /**
   * @returns nothing where any text will do
   * @throws InputError for a schema that cannot be held to
   */
  async constraint(format: Format | undefined, calls: Calls | null): Promise<(() => Constraint) | undefined> {
    const json = format !== undefined && format.type !== 'text';
    if (!json && !calls?.required) return undefined;
    const { tokenizer } = this.model;
    if (!tokenizer)
      throw new ApiError(400, 'a format needs a model with a tokenizer', { param: 'response_format' });
    const automaton = this.automaton(JSON.stringify([format, calls]), () => {
      const ways: Expression[] = [];
      if (calls) ways.push(toolCallGrammar(calls.tools, calls.several));
      if (json && !calls?.required) {
        ways.push(format.type === 'json_object' ? anyObject : schemaGrammar(format.schema));
      }
      return choice(...ways);
    });
    this.trie ??= new TokenTrie(tokenizer.tokenBytes);
    const { trie } = this;
    return () => new GrammarConstraint(trie, automaton);
  }

  private automaton(key: string, make: () => Expression): Automaton {
    const automaton = this.automata.get(key) ?? new Automaton(make());
    this.automata.delete(key);
    this.automata.set(key, automaton);
    if (this.automata.size > KEPT) this.automata.delete(this.automata.keys().next().value!);
    return automaton;
  }
}
