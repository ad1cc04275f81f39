import { InputError } from '../../../util/errors.ts';
import { type Place, type Schema, shortened, shown } from './reader.ts';

/** What each keyword of JSON Schema is to a grammar. */

/** Keywords that say nothing of what is valid. */
const ANNOTATIONS = new Set([
  ...['$schema', '$id', 'id', '$comment', '$defs', 'definitions', '$anchor', '$vocabulary'],
  ...['title', 'description', 'default', 'example', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['contentEncoding', 'contentMediaType', 'contentSchema', 'discriminator', 'externalDocs', 'xml'],
]);

/** Those that are followed where they stand. */
const FOLLOWED = new Set([
  ...['$ref', 'allOf', 'anyOf', 'oneOf', 'type', 'const', 'enum', 'nullable', 'not'],
  ...['properties', 'required', 'additionalProperties', 'propertyNames', 'patternProperties'],
  ...['minProperties', 'maxProperties', 'unevaluatedProperties'],
  ...['items', 'prefixItems', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems'],
  ...['minLength', 'maxLength', 'pattern', 'format'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  // Of no effect without those that they belong to.
  ...['then', 'else', 'minContains', 'maxContains'],
]);

/** What a text may break although the grammar lets it through, or an error in its place. */
export class Unheld {
  readonly places: string[] = [];

  constructor(private readonly strict: boolean) {}

  /** @throws InputError where the grammar must hold to all of the schema */
  add(path: string, why = ''): void {
    const place = shortened(path);
    if (this.strict) {
      throw new InputError(
        `${place} cannot be held to here${why && ` (it ${why})`}; leave it out, or leave out "strict"`,
      );
    }
    if (!this.places.includes(place)) this.places.push(place);
  }

  /** Keywords that are not followed at all. */
  check({ schema, path }: Place): void {
    if (typeof schema === 'boolean') return;
    for (const key of Object.keys(schema)) {
      if (ANNOTATIONS.has(key) || FOLLOWED.has(key) || key.startsWith('x-')) continue;
      if (schema[key] === undefined) continue;
      if (key === 'unevaluatedItems' && schema[key] === true) continue;
      this.add(`${path}.${key}`);
    }
  }
}

const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
export type TypeName = (typeof TYPES)[number];

/** Types that these schemas all allow, where any of them says so or has keywords of one type only. */
export function typesOf(places: readonly Place[]): Set<TypeName> {
  let types = new Set<TypeName>(TYPES);
  types.delete('integer');
  for (const { schema, path } of places) {
    const { type, nullable } = schema as Schema;
    if (type === undefined) continue;
    const names = Array.isArray(type) ? type : [type];
    const wrong = names.find((name) => !TYPES.includes(name as TypeName));
    if (wrong !== undefined || names.length === 0) {
      throw new InputError(
        `${shortened(path)}.type is ${shown(wrong ?? type)}, expected one of ${TYPES.join(', ')}`,
      );
    }
    const allowed = new Set(names as TypeName[]);
    if (nullable === true) allowed.add('null');
    const both = (name: TypeName) => allowed.has(name) || (name === 'integer' && allowed.has('number'));
    const next = new Set([...types].filter(both));
    if (types.has('number') && !allowed.has('number') && allowed.has('integer')) next.add('integer');
    types = next;
  }
  return types;
}

/** Keywords of one type: a schema without a type that has them means that type. */
const OF_TYPE: Record<string, TypeName> = {
  ...Object.fromEntries(
    ['properties', 'required', 'additionalProperties', 'propertyNames', 'patternProperties'].map((key) => [
      key,
      'object',
    ]),
  ),
  ...{ minProperties: 'object', maxProperties: 'object' },
  ...Object.fromEntries(
    ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'].map((key) => [key, 'array']),
  ),
  ...Object.fromEntries(['minLength', 'maxLength', 'pattern', 'format'].map((key) => [key, 'string'])),
  ...Object.fromEntries(
    ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'].map((key) => [
      key,
      'number',
    ]),
  ),
};

/** Whether a keyword says more of a value than its type. */
export const limits = (keyword: string): boolean => Object.hasOwn(OF_TYPE, keyword);

/** Types that keywords stand for, where none of the schemas has a type. */
export function guessedTypes(places: readonly Place[]): Set<TypeName> {
  const names = places.flatMap(({ schema }) =>
    Object.keys(schema).flatMap((key) => (Object.hasOwn(OF_TYPE, key) ? [OF_TYPE[key]!] : [])),
  );
  return new Set(names);
}

/** The values of a keyword, each with its place. */
export function valuesOf(places: readonly Place[], key: string): { value: unknown; path: string }[] {
  return places.flatMap(({ schema, path }) => {
    const value = (schema as Schema)[key];
    return value === undefined ? [] : [{ value, path: `${path}.${key}` }];
  });
}

/** The largest of whole numbers such as minLength, or the smallest of those such as maxLength. */
export function countOf(places: readonly Place[], key: string, otherwise: number): number {
  const counts = valuesOf(places, key).map(({ value, path }) => {
    if (Number.isInteger(value) && (value as number) >= 0) return value as number;
    throw new InputError(`${shortened(path)} is ${shown(value)}, expected a whole number of at least 0`);
  });
  return key.startsWith('min') ? Math.max(otherwise, ...counts) : Math.min(otherwise, ...counts);
}

export function numbersOf(places: readonly Place[], key: string): number[] {
  return valuesOf(places, key).map(({ value, path }) => {
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new InputError(`${shortened(path)} is ${shown(value)}, expected a number`);
  });
}
