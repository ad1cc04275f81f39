import { InputError } from '../../util/errors.ts';
import { choice, type Expression, literal, optional, rule, sequence } from './grammar.ts';
import {
  anyObject,
  anyValue,
  boolean,
  braces,
  brackets,
  comma,
  integer,
  list,
  member,
  nothing,
  number,
  record,
  string,
} from './json-grammar.ts';

/**
 * JSON Schema as a grammar. All that it lets through is valid by the schema; it may be narrower: the properties of an
 * object come in the schema's order, and others than those only where there are none. What it cannot hold to is an
 * InputError that names the keyword.
 */

type Schema = Record<string, unknown>;

/** Keywords that say nothing of what is valid. */
const ANNOTATIONS = new Set([
  ...['$schema', '$id', '$comment', '$defs', 'definitions', 'title', 'description', 'default', 'examples'],
  ...['deprecated', 'readOnly', 'writeOnly', 'format', 'contentEncoding', 'contentMediaType'],
]);

const KEYWORDS: Record<string, readonly string[]> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength'],
  number: ['minimum', 'maximum'],
  integer: ['minimum', 'maximum'],
  boolean: [],
  null: [],
};

/** Bounds beyond all numbers that the grammar writes say nothing. */
const BEYOND = 1e15;

/** @throws InputError for a keyword that cannot be held to, with its place */
export function schemaGrammar(schema: unknown): Expression {
  return new Compiler(schema).at(schema, 'schema');
}

class Compiler {
  private readonly references = new Map<string, Expression>();

  constructor(private readonly root: unknown) {}

  at(schema: unknown, path: string): Expression {
    if (schema === true || schema === undefined) return anyValue;
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
      throw new InputError(`${path} is ${JSON.stringify(schema)}, expected a schema that something fits`);
    }
    const { $ref, anyOf, oneOf, allOf, type, ...rest } = schema as Schema;
    if ($ref !== undefined) return this.reference(this.only(schema as Schema, '$ref', path), path);
    const options = anyOf ?? oneOf;
    if (options !== undefined) {
      const key = anyOf === undefined ? 'oneOf' : 'anyOf';
      this.only(schema as Schema, key, path);
      return choice(
        ...this.list(options, `${path}.${key}`).map((one, i) => this.at(one, `${path}.${key}[${i}]`)),
      );
    }
    if (allOf !== undefined) {
      const [one, ...more] = this.list(this.only(schema as Schema, 'allOf', path), `${path}.allOf`);
      if (more.length > 0)
        throw new InputError(`${path}.allOf has several schemas, at most one is supported`);
      return this.at(one, `${path}.allOf[0]`);
    }
    if ('const' in rest) return literal(JSON.stringify(this.only(schema as Schema, 'const', path, ['type'])));
    if ('enum' in rest) {
      const values = this.list(this.only(schema as Schema, 'enum', path, ['type']), `${path}.enum`);
      return choice(...values.map((value) => literal(JSON.stringify(value))));
    }
    const types = type === undefined ? guessed(rest) : Array.isArray(type) ? type : [type];
    if (types.length === 0) {
      this.check(schema as Schema, [], path);
      return anyValue;
    }
    const known = types.flatMap((name) => KEYWORDS[name as string] ?? []);
    this.check(schema as Schema, ['type', ...known], path);
    return choice(...types.map((name) => this.typed(name, rest, path)));
  }

  private typed(type: unknown, schema: Schema, path: string): Expression {
    const count = (key: string) => {
      const value = schema[key];
      if (value === undefined || (Number.isInteger(value) && (value as number) >= 0))
        return value as number | undefined;
      throw new InputError(
        `${path}.${key} is ${JSON.stringify(value)}, expected a whole number of at least 0`,
      );
    };
    switch (type) {
      case 'object':
        return this.object(schema, path);
      case 'array':
        return this.array(schema, path, count('minItems'), count('maxItems'));
      case 'string':
        return string(count('minLength'), count('maxLength'));
      case 'number':
      case 'integer':
        for (const key of ['minimum', 'maximum']) {
          const bound = schema[key];
          if (bound === undefined) continue;
          if (key === 'minimum' ? (bound as number) <= -BEYOND : (bound as number) >= BEYOND) continue;
          throw new InputError(`${path}.${key}: bounds of numbers cannot be held to here; leave it out`);
        }
        return type === 'number' ? number : integer;
      case 'boolean':
        return boolean;
      case 'null':
        return nothing;
    }
    throw new InputError(
      `${path}.type is ${JSON.stringify(type)}, expected one of ${Object.keys(KEYWORDS).join(', ')}`,
    );
  }

  private object(schema: Schema, path: string): Expression {
    const { additionalProperties } = schema;
    const required = this.list(schema.required ?? [], `${path}.required`) as string[];
    const properties = { ...(schema.properties as Record<string, unknown> | undefined) };
    for (const name of required) if (!(name in properties)) properties[name] = additionalProperties ?? true;
    const names = Object.keys(properties);
    if (names.length === 0) {
      if (additionalProperties === false) return braces(sequence());
      return additionalProperties === undefined || additionalProperties === true
        ? anyObject
        : record(this.at(additionalProperties, `${path}.additionalProperties`));
    }
    const members = names.map((name) =>
      member(literal(JSON.stringify(name)), this.at(properties[name], `${path}.properties.${name}`)),
    );
    /** What may come from the i-th on: any of them, as long as none that is required is passed over. */
    const known = new Map<string, Expression>();
    const from = (i: number, first: boolean): Expression => {
      const key = `${i} ${first}`;
      const made = known.get(key);
      if (made) return made;
      const ways: Expression[] = [];
      let open = true;
      for (let j = i; j < names.length && open; j++) {
        const next = rule(() => from(j + 1, false));
        ways.push(sequence(...(first ? [] : [comma]), members[j]!, next));
        open = !required.includes(names[j]!);
      }
      if (open) ways.push(sequence());
      const expression = choice(...ways);
      known.set(key, expression);
      return expression;
    };
    return braces(from(0, true));
  }

  private array(schema: Schema, path: string, min = 0, max = Number.POSITIVE_INFINITY): Expression {
    const { prefixItems, items } = schema;
    if (prefixItems === undefined) return brackets(list(this.at(items, `${path}.items`), min, max));
    const first = this.list(prefixItems, `${path}.prefixItems`);
    if (items !== undefined && items !== false) {
      throw new InputError(`${path}.items beside prefixItems cannot be held to here, expected false`);
    }
    // From the last to the first: what may follow after i items.
    let rest: Expression = sequence();
    for (let i = Math.min(first.length, max) - 1; i >= 0; i--) {
      const item = sequence(...(i > 0 ? [comma] : []), this.at(first[i], `${path}.prefixItems[${i}]`), rest);
      rest = i >= min ? optional(item) : item;
    }
    return brackets(rest);
  }

  private reference(pointer: unknown, path: string): Expression {
    if (typeof pointer !== 'string' || !/^#(\/|$)/.test(pointer)) {
      throw new InputError(
        `${path}.$ref is ${JSON.stringify(pointer)}, expected a place in this schema such as #/$defs/x`,
      );
    }
    const known = this.references.get(pointer);
    if (known) return known;
    let target = this.root;
    for (const key of pointer.split('/').slice(1)) {
      target = (target as Schema | undefined)?.[key.replaceAll('~1', '/').replaceAll('~0', '~')];
    }
    if (target === undefined) throw new InputError(`${path}.$ref: there is no ${pointer}`);
    let made: Expression | undefined;
    const expression = rule(() => made!);
    this.references.set(pointer, expression);
    made = this.at(target, pointer);
    return expression;
  }

  /** The value of a keyword that stands alone but for annotations. */
  private only(schema: Schema, key: string, path: string, beside: string[] = []): unknown {
    this.check(schema, [key, ...beside], path);
    return schema[key];
  }

  private check(schema: Schema, allowed: readonly string[], path: string): void {
    const other = Object.keys(schema).find((key) => !ANNOTATIONS.has(key) && !allowed.includes(key));
    if (other !== undefined) throw new InputError(`${path}.${other} cannot be held to here; leave it out`);
  }

  private list(value: unknown, path: string): unknown[] {
    if (Array.isArray(value)) return value;
    throw new InputError(`${path} is ${JSON.stringify(value)}, expected a list`);
  }
}

/** The type that keywords stand for, where it is left out. */
function guessed(schema: Schema): string[] {
  const type = Object.keys(KEYWORDS).find((name) => KEYWORDS[name]!.some((key) => key in schema));
  return type ? [type] : [];
}
