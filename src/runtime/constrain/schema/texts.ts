import { InputError } from '../../../util/errors.ts';
import type { Pace } from '../../../util/pace.ts';
import { ANY, inString, learnEscapes, utf8 } from '../characters.ts';
import { type Expression, literal, sequence } from '../grammar.ts';
import { integer, number, string } from '../json-grammar.ts';
import { Effort, expressionOf, knows, Languages, type Regular, type States, TooLarge } from '../language.ts';
import { BEYOND, type Bound, numberLanguage } from '../numbers.ts';
import { patternLanguage } from '../pattern.ts';
import { formatPattern } from '../string-formats.ts';
import { countOf, numbersOf, type Unheld, valuesOf } from './keywords.ts';
import { type Place, type Schema, shortened, shown } from './reader.ts';

/** Strings and numbers of schemas as grammars. */

/** Something that texts are held to, and its place. */
interface Demand {
  path: string;
  pattern?: string;
  language: (languages: Languages) => Regular;
}

/** Names that are not meant by what is said of all others. */
interface Except {
  names: readonly string[];
  patterns: readonly string[];
}

/** Of looking at all characters. */
const ESCAPE_WORK = 250_000;

const ofPattern = (pattern: string, path: string): Demand => ({
  ...{ path, pattern, language: (l) => patternLanguage(l, pattern) },
});

export class Texts {
  private readonly effort = new Effort();
  private readonly strings = new Map<string, Promise<Expression | null>>();

  constructor(
    private readonly unheld: Unheld,
    private readonly pace: Pace,
  ) {}

  /** @returns null where no string fits */
  string(places: readonly Place[], except: Except = { names: [], patterns: [] }): Promise<Expression | null> {
    const keywords = ['pattern', 'format', 'minLength', 'maxLength'];
    const key = JSON.stringify([
      except,
      ...keywords.map((name) => valuesOf(places, name).map(({ value }) => value)),
    ]);
    const known = this.strings.get(key) ?? this.makeString(places, except);
    this.strings.set(key, known);
    return known;
  }

  private async makeString(places: readonly Place[], except: Except): Promise<Expression | null> {
    const min = countOf(places, 'minLength', 0);
    const max = countOf(places, 'maxLength', Number.POSITIVE_INFINITY);
    if (min > max) return null;
    const demands = this.demands(places, except);
    if (demands.length === 0) return string(min, max);
    if (min > 0 || max < Number.POSITIVE_INFINITY) {
      const [length] = [...valuesOf(places, 'maxLength'), ...valuesOf(places, 'minLength')];
      demands.push({ path: length!.path, language: (l) => l.repeat(l.one(ANY), min, max) });
    }
    const states = await this.states(demands);
    if (states === undefined) return string(min, max);
    return states && sequence(literal('"'), expressionOf(states, inString), literal('"'));
  }

  /** Whether a name is of a pattern; no where the pattern cannot be followed. */
  async matches(pattern: string, path: string, name: string): Promise<boolean> {
    const states = await this.states([ofPattern(pattern, path)]);
    return states ? knows(states, name) : false;
  }

  private demands(places: readonly Place[], { names, patterns: others }: Except): Demand[] {
    const found: Demand[] = [];
    const patterns = valuesOf(places, 'pattern');
    // What is last is given up first where all of it takes too many states.
    for (const { value, path } of valuesOf(places, 'format')) {
      const pattern = typeof value === 'string' ? formatPattern(value) : undefined;
      if (pattern !== undefined) found.push(ofPattern(pattern, path));
      // Beside a pattern, formats of other names say what the pattern is for.
      else if (patterns.length === 0) this.unheld.add(path, `is ${shown(value)}`);
    }
    for (const { value, path } of patterns) {
      if (typeof value !== 'string') {
        throw new InputError(`${shortened(path)} is ${shown(value)}, expected a pattern`);
      }
      found.push(ofPattern(value, path));
    }
    const [place] = places;
    const path = place?.path ?? 'schema';
    if (names.length > 0) found.push({ path, language: (l) => l.not(l.words(names)) });
    for (const pattern of others) {
      found.push({ path, pattern, language: (l) => l.not(patternLanguage(l, pattern)) });
    }
    return found;
  }

  /** What is of all these languages, less those that cannot be followed; undefined if that is all of them. */
  private async states(demands: readonly Demand[]): Promise<States | null | undefined> {
    for (const { pattern } of demands) {
      if (pattern) await learnEscapes(pattern, this.pace, () => this.effort.spend(ESCAPE_WORK));
    }
    const held = demands.filter(({ path, language }) => {
      try {
        language(new Languages());
        return true;
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        this.unheld.add(path, error.message);
        return false;
      }
    });
    while (held.length > 0) {
      const languages = new Languages(this.effort);
      try {
        const all = languages.all(...held.map(({ language }) => language(languages)));
        return await languages.states(all, this.pace);
      } catch (error) {
        if (!(error instanceof TooLarge)) throw error;
        this.unheld.add(held.pop()!.path, error.message);
      }
    }
    return undefined;
  }

  /** @returns null where no number fits */
  async number(places: readonly Place[], whole: boolean): Promise<Expression | null> {
    const [least, most] = [bound(places, 'minimum', 1), bound(places, 'maximum', -1)];
    const multiples = valuesOf(places, 'multipleOf');
    const values = numbersOf(places, 'multipleOf');
    for (const [i, value] of values.entries()) {
      if (!(value > 0))
        throw new InputError(`${shortened(multiples[i]!.path)} is ${value}, expected a number above 0`);
    }
    const free = (!least || least.value <= -BEYOND) && (!most || most.value >= BEYOND);
    if (free && values.length === 0) return whole ? integer : number;
    const languages = new Languages(this.effort);
    let multiplesOf = values;
    try {
      let language = numberLanguage(languages, { whole, least, most, multiplesOf });
      if (!language) {
        this.unheld.add(multiples[0]!.path, 'has too many digits');
        multiplesOf = [];
        if (free) return whole ? integer : number;
        language = numberLanguage(languages, { whole, least, most, multiplesOf })!;
      }
      const states = await languages.states(language, this.pace);
      return states && expressionOf(states, utf8);
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      const [first] = [...multiples, ...valuesOf(places, 'minimum'), ...valuesOf(places, 'maximum')];
      this.unheld.add(first?.path ?? places[0]!.path, error.message);
      return whole ? integer : number;
    }
  }
}

/** The innermost of several bounds; `sign` is 1 for lower ones. */
function bound(places: readonly Place[], key: 'minimum' | 'maximum', sign: 1 | -1): Bound | undefined {
  const exclusiveKey = key === 'minimum' ? 'exclusiveMinimum' : 'exclusiveMaximum';
  let found: Bound | undefined;
  const take = (value: number, exclusive: boolean) => {
    const further = !found || sign * value > sign * found.value || (value === found.value && exclusive);
    if (further) found = { value, exclusive };
  };
  for (const place of places) {
    const exclusive = (place.schema as Schema)[exclusiveKey];
    // Up to draft 4, it was a flag of the other keyword.
    for (const value of numbersOf([place], key)) take(value, exclusive === true);
    if (typeof exclusive !== 'boolean')
      for (const value of numbersOf([place], exclusiveKey)) take(value, true);
  }
  return found;
}
