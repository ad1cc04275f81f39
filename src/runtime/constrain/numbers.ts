import type { Languages, Regular } from './language.ts';

/** Numbers in bounds as they are written: digits, and a point with decimals where they need not be whole. */

/** Digits before the point and after it, at most. */
const DIGITS = 15;
/** Bounds beyond all numbers that are written say nothing. */
export const BEYOND = 10 ** DIGITS;
/** A multiple takes a state for each rest. */
const LARGEST_DIVISOR = 2000;

export interface Bound {
  value: number;
  /** The bound itself is outside. */
  exclusive: boolean;
}

export interface NumberRule {
  whole: boolean;
  least?: Bound;
  most?: Bound;
  multiplesOf: readonly number[];
}

const digits = '0123456789';

/** @returns null for multiples of a number with too many digits */
export function numberLanguage(languages: Languages, rule: NumberRule): Regular | null {
  const l = languages;
  const among = (from: number, to: number) => (from > to ? l.none : l.one([[0x30 + from, 0x30 + to]]));
  const digit = among(0, 9);
  const some = l.repeat(digit);
  const decimals = l.sequence(l.text('.'), l.repeat(digit, 1, DIGITS));
  const fraction = rule.whole ? l.empty : l.any(l.empty, decimals);
  const integer = l.any(l.text('0'), l.sequence(among(1, 9), l.repeat(digit, 0, DIGITS - 1)));
  const written = l.sequence(integer, fraction);
  const tail = l.any(l.empty, l.sequence(l.text('.'), some));

  /** Digits of the same length that are larger (or smaller), with whatever behind them. */
  const beyond = (text: string, larger: boolean, rest: (left: number) => Regular) =>
    Array.from(text, (c, i) => {
      const value = digits.indexOf(c);
      const other = larger ? among(value + 1, 9) : among(0, value - 1);
      return l.sequence(l.text(text.slice(0, i)), other, rest(text.length - i - 1));
    });
  /** No further digit but zeros, and whether there is one. */
  const zeros = l.any(l.empty, l.sequence(l.text('.'), l.repeat(l.text('0'))));
  const atLeast = (text: string, exclusive: boolean): Regular => {
    const [whole = '', part = ''] = text.split('.');
    const exact = (n: number) => l.repeat(digit, n, n);
    const more = l.sequence(some, among(1, 9), some);
    const equal =
      part === ''
        ? exclusive
          ? l.sequence(l.text('.'), more)
          : tail
        : l.sequence(
            l.text('.'),
            l.any(...beyond(part, true, () => some), l.sequence(l.text(part), exclusive ? more : some)),
          );
    return l.any(
      l.sequence(exact(whole.length), digit, some, tail),
      l.sequence(l.any(...beyond(whole, true, exact)), tail),
      l.sequence(l.text(whole), equal),
    );
  };
  const atMost = (text: string, exclusive: boolean): Regular => {
    const [whole = '', part = ''] = text.split('.');
    const exact = (n: number) => l.repeat(digit, n, n);
    const ways: Regular[] = [
      l.sequence(l.repeat(digit, 1, whole.length - 1), whole.length > 1 ? tail : l.none),
      l.sequence(l.any(...beyond(whole, false, exact)), tail),
    ];
    if (part === '') {
      if (!exclusive) ways.push(l.sequence(l.text(whole), zeros));
    } else {
      const smaller = [
        ...beyond(part, false, () => some),
        ...Array.from(part, (_, i) => l.text(part.slice(0, i))),
        ...(exclusive ? [] : [l.sequence(l.text(part), l.repeat(l.text('0')))]),
      ];
      ways.push(l.text(whole), l.sequence(l.text(whole), l.text('.'), l.any(...smaller)));
    }
    return l.any(...ways);
  };

  const { least, most } = rule;
  const side = (low: Bound | undefined, high: Bound | undefined): Regular => {
    if (high && (high.value < 0 || (high.value === 0 && high.exclusive))) return l.none;
    const parts = [written];
    if (low && (low.value > 0 || (low.value === 0 && low.exclusive))) {
      if (low.value >= BEYOND) return l.none;
      parts.push(atLeast(plainly(low.value), low.exclusive));
    }
    if (high && high.value < BEYOND) parts.push(atMost(plainly(high.value), high.exclusive));
    return l.all(...parts);
  };
  const mirrored = (bound: Bound | undefined) => bound && { ...bound, value: -bound.value };
  // Zero is written without a sign where it may be written so.
  const negative = l.all(side(mirrored(most), mirrored(least)), l.not(l.sequence(l.text('0'), zeros)));
  const found = [side(least, most), l.sequence(l.text('-'), negative)];
  const multiples = rule.multiplesOf.map((value) => {
    const [whole = '', part = ''] = plainly(value).split('.');
    const divisor = Number(whole + part);
    return divisor >= 1 && divisor <= LARGEST_DIVISOR ? l.multiple(divisor, part.length) : null;
  });
  if (multiples.includes(null)) return null;
  const signed = l.any(l.empty, l.text('-'));
  return l.all(l.any(...found), ...multiples.map((multiple) => l.sequence(signed, multiple!)));
}

/** A positive number without an exponent, as exactly as JSON writes it. */
function plainly(value: number): string {
  const [, whole = '', part = '', exponent = '0'] =
    /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  const all = whole + part;
  const point = whole.length + Number(exponent);
  if (point <= 0) return `0.${'0'.repeat(-point)}${all}`;
  const text = all.padEnd(point, '0');
  const rest = text.slice(point).replace(/0+$/, '');
  return text.slice(0, point) + (rest === '' ? '' : `.${rest}`);
}
