import { countOf, valuesOf } from './keywords.ts';
import type { Alternative, Node, Nodes } from './nodes.ts';
import { listOf, type Place, placeOf, type Schema } from './reader.ts';

/** Arrays of schemas: the first items by their places, the others alike. */
export function arrayOf(nodes: Nodes, places: readonly Place[]): Alternative | null {
  const min = countOf(places, 'minItems', 0);
  const max = countOf(places, 'maxItems', Number.POSITIVE_INFINITY);
  if (min > max) return null;
  const parts = places.map(({ schema, path }) => partOf(schema as Schema, path));
  const length = Math.max(0, ...parts.map(({ first }) => first.length));
  const first: Node[] = [];
  for (let i = 0; i < length; i++) {
    first.push(nodes.of(...parts.flatMap((part) => (part.first[i] ? [part.first[i]!] : part.rest))));
  }
  const rest = parts.flatMap((part) => part.rest);
  const items = rest.some(({ schema }) => schema === false) ? null : nodes.of(...rest);
  if (max > 1) {
    for (const { value, path } of valuesOf(places, 'uniqueItems')) if (value === true) nodes.unheld.add(path);
  }
  return { kind: 'array', first, items, min, max };
}

/** Up to draft 7, `items` was a list, too, with `additionalItems` for the others. */
function partOf(schema: Schema, path: string): { first: Place[]; rest: Place[] } {
  const key = Array.isArray(schema.items) ? 'items' : 'prefixItems';
  const others = key === 'items' ? 'additionalItems' : 'items';
  const first = listOf(schema[key] ?? [], `${path}.${key}`);
  const rest = schema[others];
  return {
    first: first.map((item, i) => placeOf(item, `${path}.${key}[${i}]`)),
    rest: rest === undefined ? [] : [placeOf(rest, `${path}.${others}`)],
  };
}
