import { InputError } from '../../../util/errors.ts';
import type { Pace } from '../../../util/pace.ts';
import { type Expression, sequence, type Word, wordOf } from '../grammar.ts';
import { boolean, nothing } from '../json-grammar.ts';
import { arrayOf } from './array.ts';
import { guessedTypes, limits, type TypeName, typesOf, type Unheld, valuesOf } from './keywords.ts';
import { objectOf } from './object.ts';
import { listOf, type Place, placeOf, type References, type Schema, shortened } from './reader.ts';
import type { Texts } from './texts.ts';

/**
 * A schema as a graph: what may stand at a place is one of several alternatives, whose parts are such nodes again. Places
 * that are held to the same schemas are one node, so that the graph is no larger than the schema.
 */

export interface Node {
  path: string;
  alternatives: Alternative[];
  /** Whether any text fits; told once all nodes are known. */
  fits: boolean;
}

export type Alternative =
  | { kind: 'node'; node: Node }
  | { kind: 'text'; type: TypeName; expression: Expression }
  /** By how they are written in JSON. */
  | { kind: 'values'; values: ReadonlyMap<string, Word> }
  | ObjectAlternative
  | ArrayAlternative;

export interface ObjectAlternative {
  kind: 'object';
  /** In the order that they are written in. */
  members: readonly { name: string; node: Node; required: boolean }[];
  /** Members of other names, by what their keys are. */
  extras: readonly { key: Expression; node: Node }[];
  min: number;
  max: number;
}

export interface ArrayAlternative {
  kind: 'array';
  first: readonly Node[];
  /** Those after the first ones; null for none. */
  items: Node | null;
  min: number;
  max: number;
}

const nothingMore = sequence();

const MOST_NODES = 10_000;
/** What has no keyword but these is held to nothing here. */
const OF_NO_EFFECT = new Set([
  '$ref',
  'allOf',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  '$schema',
]);

export class Nodes {
  readonly all: Node[] = [];
  /** Of which exactly one must fit. */
  readonly exclusive: { nodes: readonly Node[]; path: string }[] = [];
  private readonly known = new Map<string, Node>();
  /** By node. */
  private readonly places: (readonly Place[])[] = [];
  private readonly ids = new WeakMap<Schema, number>();
  private readonly stripped = new WeakMap<Schema, Map<string, Schema>>();
  private count = 0;

  constructor(
    private readonly references: References,
    readonly texts: Texts,
    readonly unheld: Unheld,
    private readonly pace: Pace,
  ) {}

  /** Where all of these hold. */
  of(...places: readonly Place[]): Node {
    const flat = this.references.flatten(places);
    const path = places[0]?.path ?? 'schema';
    for (const place of flat ?? []) if (!this.ids.has(place.schema as Schema)) this.unheld.check(place);
    const telling = flat?.filter(({ schema }) => Object.keys(schema).some((key) => !OF_NO_EFFECT.has(key)));
    const key = telling
      ? telling
          .map(({ schema }) => this.id(schema as Schema))
          .sort((a, b) => a - b)
          .join()
      : 'none';
    const known = this.known.get(key);
    if (known) return known;
    if (this.all.length >= MOST_NODES) {
      throw new InputError(`${shortened(path)} is one of more than ${MOST_NODES} places, which are too many`);
    }
    const node: Node = { path, alternatives: [], fits: false };
    this.known.set(key, node);
    this.all.push(node);
    this.places.push(telling ?? []);
    return node;
  }

  /** The schemas that hold at a place; null where one of them is false. */
  flat(place: Place): Place[] | null {
    return this.references.flatten([place]);
  }

  /** Finds the alternatives of all nodes there are. */
  async complete(): Promise<void> {
    for (const [i, node] of this.all.entries()) {
      await this.breathe();
      if (node !== this.known.get('none'))
        node.alternatives = await this.alternatives(this.places[i]!, node.path);
    }
  }

  /** Lets the event loop turn when it is time. */
  async breathe(): Promise<void> {
    if (this.pace.due) await this.pace.turn();
  }

  private id(schema: Schema): number {
    const id = this.ids.get(schema) ?? this.count++;
    this.ids.set(schema, id);
    return id;
  }

  private async alternatives(places: readonly Place[], path: string): Promise<Alternative[]> {
    for (const key of ['anyOf', 'oneOf']) {
      const at = places.findIndex(({ schema }) => (schema as Schema)[key] !== undefined);
      if (at >= 0) return this.branches(places, at, key);
    }
    for (const { value, path: at } of valuesOf(places, 'not')) {
      if (value === true || (typeof value === 'object' && value && Object.keys(value).length === 0))
        return [];
      if (value !== false) this.unheld.add(at);
    }
    const telling = places.some(({ schema }) => (schema as Schema).type !== undefined);
    const guessed = telling ? null : guessedTypes(places);
    const types = guessed && guessed.size > 0 ? guessed : typesOf(places);
    const values = await this.values(places, path);
    if (values) return await this.among(values, types, places);
    const found: Alternative[] = [];
    for (const type of types) {
      const alternative = await this.typed(type, places);
      if (alternative) found.push(alternative);
    }
    return found;
  }

  private async branches(places: readonly Place[], at: number, key: string): Promise<Alternative[]> {
    const { schema, path } = places[at]!;
    const rest = [...places];
    rest[at] = { schema: this.without(schema as Schema, key), path };
    const options = listOf((schema as Schema)[key], `${path}.${key}`);
    if (options.length === 0) throw new InputError(`${shortened(path)}.${key} is empty, expected schemas`);
    const nodes: Node[] = [];
    for (const [i, option] of options.entries()) {
      await this.breathe();
      nodes.push(this.of(placeOf(option, `${path}.${key}[${i}]`), ...rest));
    }
    if (key === 'oneOf') this.exclusive.push({ nodes, path: `${path}.oneOf` });
    return nodes.map((node) => ({ kind: 'node', node }));
  }

  /** The same object each time, so that places are told to be the same. */
  private without(schema: Schema, key: string): Schema {
    const known = this.stripped.get(schema) ?? new Map<string, Schema>();
    this.stripped.set(schema, known);
    const { [key]: _, $ref, allOf, ...rest } = schema;
    const made = known.get(key) ?? rest;
    known.set(key, made);
    return made;
  }

  /** As JSON, where all that fits is listed. */
  private async values(places: readonly Place[], path: string): Promise<Map<string, unknown> | null> {
    const lists = [
      ...valuesOf(places, 'enum').map(({ value, path: at }) => listOf(value, at)),
      ...valuesOf(places, 'const').map(({ value }) => [value]),
    ];
    let common: Map<string, unknown> | null = null;
    for (const list of lists) {
      if (list.length === 0) throw new InputError(`${shortened(path)}.enum is empty, expected values`);
      const found = new Map<string, unknown>();
      for (const [i, value] of list.entries()) {
        if (i % 1000 === 0) await this.breathe();
        const text = JSON.stringify(value);
        if (common?.has(text) ?? true) found.set(text, value);
      }
      common = found;
    }
    return common;
  }

  private async among(
    values: ReadonlyMap<string, unknown>,
    types: ReadonlySet<TypeName>,
    places: readonly Place[],
  ): Promise<Alternative[]> {
    for (const { schema, path } of places) {
      const beside = Object.keys(schema).find((key) => limits(key));
      if (beside) this.unheld.add(`${path}.${beside}`, 'stands beside enum or const');
    }
    const fitting = new Map<string, Word>();
    for (const [text, value] of values) {
      if (fitting.size % 1000 === 0) await this.breathe();
      if (isOf(types, value)) fitting.set(text, wordOf(text, nothingMore));
    }
    return fitting.size > 0 ? [{ kind: 'values', values: fitting }] : [];
  }

  private async typed(type: TypeName, places: readonly Place[]): Promise<Alternative | null> {
    const text = (expression: Expression | null): Alternative | null =>
      expression && { kind: 'text', type, expression };
    switch (type) {
      case 'object':
        return objectOf(this, places);
      case 'array':
        return arrayOf(this, places);
      case 'string':
        return text(await this.texts.string(places));
      case 'number':
      case 'integer':
        return text(await this.texts.number(places, type === 'integer'));
      case 'boolean':
        return text(boolean);
      case 'null':
        return text(nothing);
    }
  }
}

function isOf(types: ReadonlySet<TypeName>, value: unknown): boolean {
  if (value === null) return types.has('null');
  if (Array.isArray(value)) return types.has('array');
  if (typeof value === 'number')
    return types.has('number') || (types.has('integer') && Number.isInteger(value));
  return types.has(typeof value as TypeName);
}
