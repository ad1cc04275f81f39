import { InputError } from '../../../util/errors.ts';
import type { Pace } from '../../../util/pace.ts';

/** Reading JSON Schemas: places, references, bounds of size. */

export type Schema = Record<string, unknown>;

/** A schema and where it stands. */
export interface Place {
  schema: Schema | boolean;
  path: string;
}

const DEEPEST = 200;
/** Values of all kinds: an enum of 100,000 is within. */
const MOST_VALUES = 250_000;
/** Schemas and objects of them. */
const MOST_OBJECTS = 10_000;
const MOST_KEYS = 20_000;
/** References that follow each other without anything in between. */
const MOST_REFERENCES = 200;

/**
 * Looks over a schema before anything is done with it.
 *
 * @returns places by their `$anchor`
 * @throws InputError where it is too deep or too large
 */
export async function survey(schema: unknown, path: string, pace: Pace): Promise<ReadonlyMap<string, Place>> {
  interface Step {
    value: object;
    key: string;
    depth: number;
    from: Step | null;
  }
  const pathTo = (step: Step): string => {
    const keys: string[] = [];
    for (let at: Step | null = step; at; at = at.from) keys.unshift(at.key);
    return keys.join('.');
  };
  const anchors = new Map<string, Place>();
  const pending: Step[] = [];
  let [count, objects, keys] = [0, 0, 0];
  const visit = (value: unknown, key: string, from: Step | null) => {
    count++;
    if (typeof value === 'object' && value)
      pending.push({ value, key, depth: (from?.depth ?? -1) + 1, from });
  };
  visit(schema, path, null);
  for (let step = pending.pop(); step; step = pending.pop()) {
    if (pace.due) await pace.turn();
    const { value, depth } = step;
    if (depth > DEEPEST)
      throw new InputError(`${shortened(pathTo(step))} is nested deeper than ${DEEPEST} levels`);
    if (Array.isArray(value)) for (let i = 0; i < value.length; i++) visit(value[i], `${i}`, step);
    else {
      objects++;
      const own = Object.keys(value);
      keys += own.length;
      for (const key of own) visit((value as Schema)[key], key, step);
    }
    const { $anchor } = value as Schema;
    if (typeof $anchor === 'string') anchors.set($anchor, { schema: value as Schema, path: pathTo(step) });
    for (const [what, number, most] of [
      ['values', count, MOST_VALUES],
      ['objects', objects, MOST_OBJECTS],
      ['keys', keys, MOST_KEYS],
    ] as const) {
      if (number > most) throw new InputError(`${path} has more than ${most} ${what}`);
    }
  }
  return anchors;
}

/** Places in schemas of absurd shape have paths of absurd length. */
export const shortened = (path: string) =>
  path.length <= 200 ? path : `${path.slice(0, 80)} ... ${path.slice(-80)}`;

export const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 100 ? text : `${text.slice(0, 100)}...`;
};

/** @throws InputError unless the value can be a schema */
export function placeOf(value: unknown, path: string): Place {
  if (typeof value === 'boolean') return { schema: value, path };
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { schema: value as Schema, path };
  }
  throw new InputError(`${shortened(path)} is ${shown(value)}, expected a schema`);
}

export function listOf(value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new InputError(`${shortened(path)} is ${shown(value)}, expected a list`);
}

export function namesOf(value: unknown, path: string): string[] {
  const list = listOf(value, path);
  const wrong = list.find((name) => typeof name !== 'string');
  if (wrong === undefined) return list as string[];
  throw new InputError(`${shortened(path)} has ${shown(wrong)}, expected names`);
}

export function objectOf(value: unknown, path: string): Schema {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Schema;
  throw new InputError(`${shortened(path)} is ${shown(value)}, expected an object`);
}

/** The places that references within a schema point to. */
export class References {
  constructor(
    private readonly root: Place,
    private readonly anchors: ReadonlyMap<string, Place>,
  ) {}

  /** @throws InputError where there is no such place */
  resolve(reference: unknown, path: string): Place {
    if (typeof reference !== 'string' || !reference.startsWith('#')) {
      throw new InputError(
        `${shortened(path)} is ${shown(reference)}, expected a place in this schema such as #/$defs/x`,
      );
    }
    const missing = () =>
      new InputError(`${shortened(path)}: there is no ${shown(reference)} in this schema`);
    let pointer: string;
    try {
      pointer = decodeURIComponent(reference.slice(1));
    } catch {
      throw missing();
    }
    if (pointer !== '' && !pointer.startsWith('/')) {
      const anchored = this.anchors.get(pointer);
      if (anchored) return anchored;
      throw missing();
    }
    let target: unknown = this.root.schema;
    let place = this.root.path;
    for (const part of pointer.split('/').slice(1)) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof target !== 'object' || target === null || !Object.hasOwn(target, key)) throw missing();
      target = (target as Schema)[key];
      place += `.${key}`;
    }
    return placeOf(target, place);
  }

  /**
   * The schemas that all hold where these do: references are followed and `allOf` is taken apart.
   *
   * @returns null where one of them is false
   */
  flatten(places: readonly Place[]): Place[] | null {
    interface Step {
      place: Place;
      from: Step | null;
      depth: number;
    }
    const found = new Map<Schema, Place>();
    const pending: Step[] = places.map((place) => ({ place, from: null, depth: 0 })).reverse();
    const seen = new Set<Schema>();
    for (let step = pending.pop(); step; step = pending.pop()) {
      const { schema, path } = step.place;
      if (schema === true) continue;
      if (schema === false) return null;
      for (let at = step.from; at; at = at.from) {
        if (at.place.schema === schema)
          throw new InputError(`${shortened(at.place.path)} leads back to itself`);
      }
      if (seen.has(schema)) continue;
      seen.add(schema);
      if (step.depth > MOST_REFERENCES) {
        throw new InputError(`${shortened(path)} is reached by more than ${MOST_REFERENCES} references`);
      }
      const further = (place: Place) => pending.push({ place, from: step, depth: step.depth + 1 });
      if (schema.allOf !== undefined) {
        const parts = listOf(schema.allOf, `${path}.allOf`);
        for (let i = parts.length - 1; i >= 0; i--) further(placeOf(parts[i], `${path}.allOf[${i}]`));
      }
      if (schema.$ref !== undefined) further(this.resolve(schema.$ref, `${path}.$ref`));
      found.set(schema, step.place);
    }
    return [...found.values()];
  }
}
