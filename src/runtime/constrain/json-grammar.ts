import {
  byteIn,
  choice,
  type Expression,
  literal,
  oneOf,
  optional,
  repeat,
  rule,
  sequence,
} from './grammar.ts';

/** JSON (RFC 8259) as a grammar, with bounds that keep a model from writing white space or digits for ever. */

const SPACES = 20;
const DIGITS = 15;

export const space = repeat(oneOf(' \n\r\t'), 0, SPACES);

const digit = byteIn([0x30, 0x39]);
const hex = byteIn([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
const following = byteIn([0x80, 0xbf]);

/** UTF-8 of a character that need not be escaped (RFC 3629, syntax of byte sequences). */
const unescaped = choice(
  byteIn([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7f]),
  sequence(byteIn([0xc2, 0xdf]), following),
  sequence(byteIn([0xe0, 0xe0]), byteIn([0xa0, 0xbf]), following),
  sequence(byteIn([0xe1, 0xec], [0xee, 0xef]), following, following),
  sequence(byteIn([0xed, 0xed]), byteIn([0x80, 0x9f]), following),
  sequence(byteIn([0xf0, 0xf0]), byteIn([0x90, 0xbf]), following, following),
  sequence(byteIn([0xf1, 0xf3]), following, following, following),
  sequence(byteIn([0xf4, 0xf4]), byteIn([0x80, 0x8f]), following, following),
);

const escaped = sequence(
  literal('\\'),
  choice(
    oneOf('"\\/bfnrt'),
    // No halves of surrogate pairs.
    sequence(
      literal('u'),
      byteIn([0x30, 0x39], [0x41, 0x43], [0x45, 0x46], [0x61, 0x63], [0x65, 0x66]),
      hex,
      hex,
      hex,
    ),
    sequence(literal('u'), oneOf('dD'), byteIn([0x30, 0x37]), hex, hex),
  ),
);

const character = choice(unescaped, escaped);

/** A string of so many characters. */
export const string = (min = 0, max = Number.POSITIVE_INFINITY): Expression =>
  sequence(literal('"'), repeat(character, min, max), literal('"'));

const anyString = string();

export const integer = sequence(
  optional(literal('-')),
  choice(literal('0'), sequence(byteIn([0x31, 0x39]), repeat(digit, 0, DIGITS - 1))),
);

export const number = sequence(
  integer,
  optional(sequence(literal('.'), repeat(digit, 1, DIGITS))),
  optional(sequence(oneOf('eE'), optional(oneOf('+-')), repeat(digit, 1, 2))),
);

export const boolean = choice(literal('true'), literal('false'));

export const nothing = literal('null');

export const comma = sequence(space, literal(','), space);

/** What stands between a key and its value. */
export const keyEnd = sequence(space, literal(':'), space);

/** A key with its value. */
export const member = (key: Expression, value: Expression): Expression => sequence(key, keyEnd, value);

export const braces = (members: Expression): Expression =>
  sequence(literal('{'), space, members, space, literal('}'));

export const brackets = (items: Expression): Expression =>
  sequence(literal('['), space, items, space, literal(']'));

/** Several of these with commas between, from `min` to `max`. */
function list(item: Expression, min = 0, max = Number.POSITIVE_INFINITY): Expression {
  if (max === 0) return sequence();
  const some = sequence(item, repeat(sequence(comma, item), Math.max(0, min - 1), max - 1));
  return min === 0 ? optional(some) : some;
}

/** An object of any members with such values. */
const record = (value: Expression): Expression => braces(list(member(anyString, value)));

export const anyValue: Expression = rule(() =>
  choice(anyObject, brackets(list(anyValue)), anyString, number, boolean, nothing),
);

export const anyObject: Expression = record(anyValue);
