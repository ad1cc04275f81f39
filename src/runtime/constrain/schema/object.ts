import { InputError } from '../../../util/errors.ts';
import { countOf, valuesOf } from './keywords.ts';
import type { Alternative, Nodes, ObjectAlternative } from './nodes.ts';
import { objectOf as expectObject, namesOf, type Place, placeOf, type Schema, shortened } from './reader.ts';

/** Objects of schemas. */

/** Patterns of names that may overlap, each way of which is told apart. */
const MOST_PATTERNS = 3;

/** What one of the schemas says of members. */
interface Part {
  properties: Schema;
  patterns: [string, unknown][];
  additional: unknown;
  path: string;
}

/**
 * Members come in the schema's order. Others than those that it names come behind them, where it names none or says what
 * they are.
 */
export async function objectOf(nodes: Nodes, places: readonly Place[]): Promise<Alternative | null> {
  const parts = places.map(({ schema, path }) => partOf(schema as Schema, path));
  const required = new Set(valuesOf(places, 'required').flatMap(({ value, path }) => namesOf(value, path)));
  const propertyNames = valuesOf(places, 'propertyNames').map(({ value, path }) => placeOf(value, path));
  let min = countOf(places, 'minProperties', 0);
  const max = countOf(places, 'maxProperties', Number.POSITIVE_INFINITY);
  const names = new Set([...parts.flatMap(({ properties }) => Object.keys(properties)), ...required]);
  const listed = await listedNames(nodes, propertyNames);
  for (const name of listed ?? []) names.add(name);

  const members: ObjectAlternative['members'][number][] = [];
  for (const name of names) {
    if (listed && !listed.has(name)) {
      if (required.has(name)) return null;
      continue;
    }
    await nodes.breathe();
    const held: Place[] = [];
    for (const part of parts) held.push(...(await saidOf(nodes, part, name)));
    members.push({ name, node: nodes.of(...held), required: required.has(name) });
  }

  const open =
    names.size === 0 ||
    parts.some(({ additional, patterns }) => additional !== undefined || patterns.length > 0);
  const extras = open && !listed ? await extrasOf(nodes, parts, [...names], propertyNames) : [];
  if (extras.length > 0 && min > Math.max(1, required.size)) {
    // A key may come twice, and counts once.
    for (const { path } of valuesOf(places, 'minProperties'))
      nodes.unheld.add(path, 'counts keys that may repeat');
    min = Math.max(1, required.size);
  }
  return { kind: 'object', members, extras, min, max };
}

function partOf(schema: Schema, path: string): Part {
  const properties = expectObject(schema.properties ?? {}, `${path}.properties`);
  const patterns = Object.entries(expectObject(schema.patternProperties ?? {}, `${path}.patternProperties`));
  return { properties, patterns, additional: schema.additionalProperties, path };
}

/** What a schema says of the member of this name. */
async function saidOf(nodes: Nodes, part: Part, name: string): Promise<Place[]> {
  const { properties, patterns, additional, path } = part;
  const found: Place[] = [];
  if (Object.hasOwn(properties, name)) found.push(placeOf(properties[name], `${path}.properties.${name}`));
  for (const [pattern, schema] of patterns) {
    const at = `${path}.patternProperties.${pattern}`;
    if (await nodes.texts.matches(pattern, at, name)) found.push(placeOf(schema, at));
  }
  if (found.length === 0 && additional !== undefined) {
    found.push(placeOf(additional, `${path}.additionalProperties`));
  }
  return found;
}

/** The names that `propertyNames` lists; null where it doesn't. */
async function listedNames(nodes: Nodes, propertyNames: readonly Place[]): Promise<Set<string> | null> {
  for (const place of propertyNames) {
    const flat = nodes.flat(place) ?? [{ schema: { enum: [] }, path: place.path }];
    for (const { schema } of flat) {
      const { enum: values, const: value } = schema as Schema;
      const list = Array.isArray(values) ? values : value === undefined ? null : [value];
      if (list) return new Set(list.filter((name): name is string => typeof name === 'string'));
    }
  }
  return null;
}

/** Members of names that are not listed, by which patterns their names are of. */
async function extrasOf(
  nodes: Nodes,
  parts: readonly Part[],
  names: readonly string[],
  propertyNames: readonly Place[],
): Promise<ObjectAlternative['extras']> {
  const patterns = [...new Set(parts.flatMap((part) => part.patterns.map(([pattern]) => pattern)))];
  const path = parts.find((part) => part.patterns.length > 0)?.path ?? '';
  if (patterns.length > MOST_PATTERNS) {
    throw new InputError(
      `${shortened(path)}.patternProperties has ${patterns.length} patterns, at most ${MOST_PATTERNS} are followed`,
    );
  }
  const keyPlaces = propertyNames.flatMap((place) => nodes.flat(place) ?? []);
  for (const { schema, path: at } of keyPlaces) {
    const other = Object.keys(schema).find((key) => ['anyOf', 'oneOf', 'not'].includes(key));
    if (other) nodes.unheld.add(`${at}.${other}`);
  }
  const found: ObjectAlternative['extras'][number][] = [];
  for (let way = 0; way < 1 << patterns.length; way++) {
    const own = patterns.filter((_, i) => (way >> i) & 1);
    const held = parts.flatMap((part): Place[] => {
      const said = part.patterns
        .filter(([pattern]) => own.includes(pattern))
        .map(([pattern, schema]) => placeOf(schema, `${part.path}.patternProperties.${pattern}`));
      if (said.length > 0 || part.additional === undefined) return said;
      return [placeOf(part.additional, `${part.path}.additionalProperties`)];
    });
    if (held.some(({ schema }) => schema === false)) continue;
    const node = nodes.of(...held);
    const others = patterns.filter((pattern) => !own.includes(pattern));
    const demanded = own.map((pattern) => ({
      schema: { pattern },
      path: `${path}.patternProperties.${pattern}`,
    }));
    const key = await nodes.texts.string([...keyPlaces, ...demanded], { names, patterns: others });
    if (key) found.push({ key, node });
  }
  return found;
}
