import { type AST, RegExpParser } from '@eslint-community/regexpp';
import { InputError } from '../../util/errors.ts';
import { ANY, type Characters, complement, escaped, union } from './characters.ts';
import type { Languages, Regular } from './language.ts';

/**
 * Patterns of ECMAScript (with its flag u) as regular languages: the texts in which a match is found. A pattern is
 * translated from its end: what each part makes of what follows it. So lookaheads are intersections, and `^` and `$`
 * know whether something comes before and after.
 */

const LONGEST = 4096;
const DEEPEST = 100;
/** Repetitions of what holds a lookahead or an anchor, which are written out. */
const MOST_WRITTEN_OUT = 16;
const LINE_ENDS: Characters = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];

/** What follows, by whether the text begins here. */
type Following = (start: boolean) => Regular;

/** @throws InputError saying what of the pattern cannot be followed */
export function patternLanguage(languages: Languages, source: string): Regular {
  const { alternatives } = parse(source);
  const { anything } = languages;
  const translation = new Translation(languages);
  const found = (start: boolean) => translation.alternatives(alternatives, () => anything)(start);
  const later = languages.sequence(languages.one(ANY), anything, found(false));
  return languages.any(found(true), later);
}

function parse(source: string): AST.Pattern {
  if (source.length > LONGEST) {
    throw new InputError(`has ${source.length} characters, at most ${LONGEST} are followed`);
  }
  let depth = 0;
  for (const c of source) {
    depth += c === '(' ? 1 : c === ')' ? -1 : 0;
    if (depth > DEEPEST) throw new InputError(`has groups nested deeper than ${DEEPEST}`);
  }
  const parser = new RegExpParser({ ecmaVersion: 2024 });
  const read = (text: string) => parser.parsePattern(text, 0, text.length, { unicode: true });
  try {
    return read(source);
  } catch (error) {
    try {
      // Other languages let any punctuation be escaped.
      return read(
        source.replace(/\\([\s\S])/g, (whole, c: string) => (/[ _'"@#%&,:;<>=!~`]/.test(c) ? c : whole)),
      );
    } catch {
      throw new InputError(`is no pattern of ECMAScript (${(error as Error).message})`);
    }
  }
}

class Translation {
  constructor(private readonly languages: Languages) {}

  alternatives(alternatives: readonly AST.Alternative[], after: Following): Following {
    const ways = alternatives.map(({ elements }) =>
      elements.reduceRight<Following>((following, element) => this.element(element, following), after),
    );
    return remembered((start) => this.languages.any(...ways.map((way) => way(start))));
  }

  private element(element: AST.Element, after: Following): Following {
    const { languages } = this;
    languages.spend(1);
    switch (element.type) {
      case 'Character':
      case 'CharacterSet':
      case 'CharacterClass': {
        const one = languages.one(charactersOf(element));
        return remembered(() => languages.sequence(one, after(false)));
      }
      case 'Group':
        if (element.modifiers) throw new InputError(`has modifiers (${element.raw}), which are not followed`);
        return this.alternatives(element.alternatives, after);
      case 'CapturingGroup':
        return this.alternatives(element.alternatives, after);
      case 'Quantifier':
        return this.quantifier(element, after);
      case 'Assertion':
        return this.assertion(element, after);
      case 'Backreference':
        throw new InputError(`has a backreference (${element.raw}), which is not regular`);
      default:
        throw new InputError(`has ${element.raw}, which is not followed`);
    }
  }

  private quantifier({ element, min, max, raw }: AST.Quantifier, after: Following): Following {
    const { languages } = this;
    if (!asserts(element)) {
      // The same wherever it stands, and with nothing behind it: repeated as it is.
      const part = this.element(element, () => languages.empty)(false);
      const repeated = languages.repeat(part, min, max);
      return remembered((start) => {
        if (!start) return languages.sequence(repeated, after(false));
        const some = languages.all(repeated, languages.sequence(languages.one(ANY), languages.anything));
        const ways = [languages.sequence(some, after(false))];
        if (repeated.nullable) ways.push(after(true));
        return after(true) === after(false)
          ? languages.sequence(repeated, after(false))
          : languages.any(...ways);
      });
    }
    if (max > MOST_WRITTEN_OUT) {
      throw new InputError(`repeats a lookaround or an anchor (${raw}), which is not followed`);
    }
    let following = after;
    for (let i = max; i > 0; i--) {
      const once = this.element(element, following);
      // Whoever stops before that goes on with what follows the whole.
      following = i > min ? remembered((start) => languages.any(after(start), once(start))) : once;
    }
    return following;
  }

  private assertion(assertion: AST.Assertion, after: Following): Following {
    const { languages } = this;
    switch (assertion.kind) {
      case 'start':
        return remembered((start) => (start ? after(true) : languages.none));
      case 'end':
        return remembered((start) => languages.all(after(start), languages.empty));
      case 'lookahead': {
        const ahead = this.alternatives(assertion.alternatives, () => languages.anything);
        return remembered((start) => {
          const seen = ahead(start);
          return languages.all(assertion.negate ? languages.not(seen) : seen, after(start));
        });
      }
      default:
        throw new InputError(`has ${assertion.raw}, which is not followed`);
    }
  }
}

function remembered(following: Following): Following {
  const known: (Regular | undefined)[] = [];
  return (start) => {
    known[Number(start)] ??= following(start);
    return known[Number(start)]!;
  };
}

/** Whether it looks at more than its own characters. */
function asserts(element: AST.Element | AST.QuantifiableElement): boolean {
  switch (element.type) {
    case 'Assertion':
      return true;
    case 'Quantifier':
      return asserts(element.element);
    case 'Group':
    case 'CapturingGroup':
      return element.alternatives.some(({ elements }) => elements.some(asserts));
    default:
      return false;
  }
}

function charactersOf(
  element: AST.Character | AST.CharacterSet | AST.CharacterClass | AST.CharacterClassElement,
): Characters {
  switch (element.type) {
    case 'Character':
      return [[element.value, element.value]];
    case 'CharacterClassRange':
      return [[element.min.value, element.max.value]];
    case 'CharacterSet':
      return element.kind === 'any' ? complement(LINE_ENDS) : escaped(element.raw);
    case 'CharacterClass': {
      const inside = union(
        (element.elements as readonly AST.CharacterClassElement[]).flatMap((one) => [...charactersOf(one)]),
      );
      return element.negate ? complement(inside) : inside;
    }
    default:
      throw new InputError(`has ${element.raw}, which is not followed`);
  }
}
