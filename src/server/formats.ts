import { createHash } from 'node:crypto';
import { Automaton } from '../runtime/constrain/automaton.ts';
import { choice, type Expression } from '../runtime/constrain/grammar.ts';
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
  /** With `strict`, a schema that cannot be held to in all of its keywords is refused. */
  | { type: 'json_schema'; schema: Record<string, unknown>; strict?: boolean };

/** Functions that have to be called, or may be. */
export interface Calls {
  tools: readonly FunctionTool[];
  required: boolean;
  several: boolean;
}

interface Compiled {
  automaton: Automaton;
  unheld: readonly string[];
}

/** Grammars that are kept with what was learnt of them, and the characters of their schemas together: each takes some 40 bytes. */
const KEPT = 32;
const KEPT_CHARACTERS = 4_000_000;

/** What texts have to be, by the formats that requests ask for. */
export class Formats {
  /** null where the model has no tokenizer. */
  private readonly trie: TokenTrie | null;
  /** The most recently used last. */
  private readonly compiled = new Map<string, { made: Promise<Compiled>; size: number }>();

  constructor(model: Model) {
    this.trie = model.tokenizer && new TokenTrie(model.tokenizer.tokenBytes);
  }

  /**
   * Takes its time where a schema is large, and lets the event loop turn meanwhile.
   *
   * @param tell is given the places of keywords that the text may break, if there are any
   * @returns nothing where any text will do
   * @throws InputError for a schema that cannot be held to
   */
  async constraint(
    format: Format | undefined,
    calls: Calls | null,
    tell: (unheld: readonly string[]) => void = () => {},
  ): Promise<(() => Constraint) | undefined> {
    const json = format !== undefined && format.type !== 'text';
    if (!json && !calls?.required) return undefined;
    const { trie } = this;
    if (!trie)
      throw new ApiError(400, 'a format needs a model with a tokenizer', { param: 'response_format' });
    const schemas = JSON.stringify([format, calls]);
    const key = createHash('sha256').update(schemas).digest('base64');
    const make = () => compileFormat(json ? format : null, calls);
    const { automaton, unheld } = await this.kept(key, schemas.length, make);
    if (unheld.length > 0) tell(unheld);
    return () => new GrammarConstraint(trie, automaton);
  }

  private kept(key: string, size: number, make: () => Promise<Compiled>): Promise<Compiled> {
    const { compiled } = this;
    const made = compiled.get(key)?.made ?? make();
    compiled.delete(key);
    compiled.set(key, { made, size });
    made.catch(() => compiled.delete(key));
    let all = 0;
    for (const kept of compiled.values()) all += kept.size;
    for (const [oldest, kept] of compiled) {
      if (compiled.size === 1 || (compiled.size <= KEPT && all <= KEPT_CHARACTERS)) break;
      compiled.delete(oldest);
      all -= kept.size;
    }
    return made;
  }
}

/** @throws InputError for a schema that cannot be held to */
export async function compileFormat(
  format: Exclude<Format, { type: 'text' }> | null,
  calls: Calls | null,
): Promise<Compiled> {
  const ways: Expression[] = [];
  const unheld: string[] = [];
  if (calls) {
    const { grammar, unheld: places } = await toolCallGrammar(calls.tools, calls.several);
    ways.push(grammar);
    unheld.push(...places);
  }
  if (format && !calls?.required) {
    if (format.type === 'json_object') ways.push(anyObject);
    else {
      const { grammar, unheld: places } = await schemaGrammar(format.schema, { strict: format.strict });
      ways.push(grammar);
      unheld.push(...places);
    }
  }
  return { automaton: new Automaton(choice(...ways)), unheld };
}
