import { SPACE } from './lexer.ts';
import { type Native, native, required, textOf, wholeOf } from './native.ts';
import {
  characters,
  iterate,
  TemplateError,
  Tuple,
  textLength,
  typeName,
  type Value,
  type Work,
} from './values.ts';

/** Python's methods of str. */

const LEADING = new RegExp(`^[${SPACE}]+`);
const TRAILING = new RegExp(`[${SPACE}]+$`);
const WORDS = new RegExp(`[^${SPACE}]+`, 'g');
const BREAKS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINES = new RegExp(`[^${BREAKS}]*(?:\\r\\n|[${BREAKS}]|$)`, 'g');
const LINE_END = new RegExp(`(?:\\r\\n|[${BREAKS}])$`);

/** @param sides 1 the left one, 2 the right one, 3 both */
export function strip(work: Work, text: string, chars: Value, sides: 1 | 2 | 3): string {
  work.spend(text.length / 16);
  if (chars === null) {
    const left = sides & 1 ? text.replace(LEADING, '') : text;
    return sides & 2 ? left.slice(0, left.length - trailing(left)) : left;
  }
  const set = new Set(characters(textOf(chars, 'strip()')));
  let [start, end] = [0, text.length];
  if (sides & 1) {
    for (let one = first(text, start); one !== '' && set.has(one); one = first(text, start)) {
      work.spend(1);
      start += one.length;
    }
  }
  if (sides & 2) {
    for (let one = last(text, start, end); one !== '' && set.has(one); one = last(text, start, end)) {
      work.spend(1);
      end -= one.length;
    }
  }
  return text.slice(start, end);
}

/** The character that begins there; empty at the end. */
const first = (text: string, at: number) =>
  at < text.length ? String.fromCodePoint(text.codePointAt(at)!) : '';

/** The character that ends there; empty at the start. */
function last(text: string, start: number, end: number): string {
  const two = text.slice(Math.max(start, end - 2), end);
  return characters(two).at(-1) ?? '';
}

/** A pattern that is anchored at the end alone would be tried at every blank of the text. */
function trailing(text: string): number {
  let n = 0;
  while (n < text.length && TRAILING.test(text[text.length - 1 - n]!)) n++;
  return n;
}

function split(work: Work, text: string, separator: Value, limit: number, fromRight: boolean): string[] {
  work.spend(text.length / 16);
  const most = limit < 0 ? Number.POSITIVE_INFINITY : limit;
  if (separator !== null) {
    const between = textOf(separator, 'split()');
    if (between === '') throw new TemplateError('split() has an empty separator');
    const parts = work.list(text.split(between));
    if (parts.length - 1 <= most) return parts;
    return fromRight
      ? [parts.slice(0, parts.length - most).join(between), ...parts.slice(parts.length - most)]
      : [...parts.slice(0, most), parts.slice(most).join(between)];
  }
  const words = work.list([...text.matchAll(WORDS)]);
  if (words.length - 1 < most) return words.map(([word]) => word);
  if (most === 0) return words.length === 0 ? [] : [strip(work, text, null, fromRight ? 2 : 1)];
  if (fromRight) {
    const kept = words.slice(words.length - most);
    const rest = text.slice(0, kept[0]!.index).replace(TRAILING, '');
    return [...(rest === '' ? [] : [rest]), ...kept.map(([word]) => word)];
  }
  const next = words[most];
  return [...words.slice(0, most).map(([word]) => word), ...(next ? [text.slice(next.index)] : [])];
}

export function splitLines(work: Work, text: string, keepEnds = false): string[] {
  const lines = work.list(text.match(LINES) ?? []).filter((line) => line !== '');
  return keepEnds ? lines : lines.map((line) => line.replace(LINE_END, ''));
}

export function replace(work: Work, text: string, old: string, by: string, count: number): string {
  work.spend(text.length / 64);
  const most = count < 0 ? Number.POSITIVE_INFINITY : count;
  const kept = old === '' ? aroundCharacters(work, text, most) : between(work, text, old, most);
  if (kept.length === 1) return text;
  // Before they are joined: what is too long would not fit the memory.
  const length = text.length + (kept.length - 1) * (by.length - old.length);
  work.spend(length > 64_000_000 ? Number.POSITIVE_INFINITY : 0);
  return work.text(kept.join(by));
}

/** What stands between the first matches, at most so many. */
function between(work: Work, text: string, old: string, most: number): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = text.indexOf(old); at >= 0 && parts.length < most; at = text.indexOf(old, from)) {
    work.spend(2);
    parts.push(text.slice(from, at));
    from = at + old.length;
  }
  return [...parts, text.slice(from)];
}

/** An empty text is found before every character and at the end. */
function aroundCharacters(work: Work, text: string, most: number): string[] {
  work.spend(text.length);
  const points = characters(text);
  if (most === 0) return [text];
  if (most > points.length) return ['', ...points, ''];
  return ['', ...points.slice(0, most - 1), points.slice(most - 1).join('')];
}

/** From `start` to `end` as Python counts them, with the number of characters before. */
function part(work: Work, text: string, start: Value, end: Value): { text: string; before: number } {
  if (start === null && end === null) return { text, before: 0 };
  work.spend(text.length / 4);
  const points = characters(text);
  const clamp = (value: Value, other: number) => {
    if (value === null) return other;
    const at = wholeOf(value, 'a position');
    return Math.max(0, at < 0 ? at + points.length : at);
  };
  const from = clamp(start, 0);
  return { text: points.slice(from, clamp(end, points.length)).join(''), before: from };
}

function find(work: Work, text: string, sub: Value, start: Value, end: Value, last: boolean): number {
  work.spend(text.length / 64);
  const within = part(work, text, start, end);
  const needle = textOf(sub, 'find()');
  const at = last ? within.text.lastIndexOf(needle) : within.text.indexOf(needle);
  return at < 0 ? -1 : within.before + textLength(within.text.slice(0, at));
}

function affix(name: string, has: (text: string, affix: string) => boolean): Native {
  return native(
    { self: required, prefix: required, start: null, end: null },
    (work, self: string, prefix: Value, start: Value, end: Value) => {
      const { text } = part(work, self, start, end);
      const all = prefix instanceof Tuple ? prefix.items : [prefix];
      return all.some((one) => has(text, textOf(one, name)));
    },
  );
}

const found = (name: string, last: boolean, required_: boolean): Native =>
  native(
    { self: required, sub: required, start: null, end: null },
    (work, self: string, sub: Value, start: Value, end: Value) => {
      const at = find(work, self, sub, start, end, last);
      if (at < 0 && required_) throw new TemplateError(`${name} does not find its text`);
      return at;
    },
  );

const partition = (last: boolean): Native =>
  native({ self: required, sep: required }, (work, self: string, sep: Value) => {
    const between = textOf(sep, 'partition()');
    if (between === '') throw new TemplateError('partition() has an empty separator');
    work.text(self);
    const at = last ? self.lastIndexOf(between) : self.indexOf(between);
    if (at < 0) return new Tuple(last ? ['', '', self] : [self, '', '']);
    return new Tuple([self.slice(0, at), between, self.slice(at + between.length)]);
  });

const stripped = (sides: 1 | 2 | 3): Native =>
  native({ self: required, chars: null }, (work, self: string, chars: Value) =>
    strip(work, self, chars, sides),
  );

const splitted = (fromRight: boolean): Native =>
  native({ self: required, sep: null, maxsplit: -1 }, (work, self: string, sep: Value, limit: Value) =>
    split(work, self, sep, wholeOf(limit, 'split()'), fromRight),
  );

export function justify(
  work: Work,
  text: string,
  width: Value,
  fill: Value,
  leftShare: (room: number) => number,
): string {
  const room = Math.max(0, wholeOf(width, 'a width') - textLength(text));
  work.spend(room);
  const by = textOf(fill, 'a fill character');
  const left = leftShare(room);
  return work.text(by.repeat(left) + text + by.repeat(room - left));
}

const justified = (share: (room: number, width: number) => number): Native =>
  native(
    { self: required, width: required, fillchar: ' ' },
    (work, self: string, width: Value, fill: Value) =>
      justify(work, self, width, fill, (room) => share(room, Number(width))),
  );

/** Python puts the odd blank to the left where the width is odd. */
export const centred = (room: number, width: number) => Math.floor(room / 2) + (room & width & 1);

const changed = (change: (text: string) => string): Native =>
  native({ self: required }, (work, self: string) => work.text(change(self)));

/** For what goes letter by letter, which takes far longer than a whole text's change. */
const slowlyChanged = (change: (text: string) => string): Native =>
  native({ self: required }, (work, self: string) => {
    work.spend(self.length * 2);
    return work.text(change(self));
  });

const is = (pattern: RegExp): Native =>
  native({ self: required }, (work, self: string) => {
    work.text(self);
    return pattern.test(self);
  });

export const capitalize = (text: string) => {
  const head = first(text, 0);
  return head.toUpperCase() + text.slice(head.length).toLowerCase();
};

const title = (text: string) => text.replace(/\p{Cased}+/gu, (word) => capitalize(word));

export const stringMethods: Record<string, Native> = {
  capitalize: changed(capitalize),
  casefold: changed((text) => text.toLowerCase().replaceAll('ß', 'ss')),
  center: justified(centred),
  count: native(
    { self: required, sub: required, start: null, end: null },
    (work, self: string, sub: Value, start: Value, end: Value) => {
      const { text } = part(work, work.text(self), start, end);
      const needle = textOf(sub, 'count()');
      return needle === ''
        ? textLength(text) + 1
        : between(work, text, needle, Number.POSITIVE_INFINITY).length - 1;
    },
  ),
  endswith: affix('endswith()', (text, end) => text.endsWith(end)),
  expandtabs: native({ self: required, tabsize: 8 }, (work, self: string, size: Value) => {
    const width = wholeOf(size, 'expandtabs()');
    let column = 0;
    const expanded = characters(self).map((character) => {
      const blanks = character === '\t' && width > 0 ? width - (column % width) : 0;
      work.spend(blanks + 1);
      column = character === '\n' || character === '\r' ? 0 : column + (character === '\t' ? blanks : 1);
      return character === '\t' ? ' '.repeat(blanks) : character;
    });
    return work.text(expanded.join(''));
  }),
  find: found('find()', false, false),
  rfind: found('rfind()', true, false),
  index: found('index()', false, true),
  rindex: found('rindex()', true, true),
  isalnum: is(/^[\p{L}\p{N}]+$/u),
  isalpha: is(/^\p{L}+$/u),
  isascii: is(/^[\0-\x7f]*$/),
  isdecimal: is(/^\p{Nd}+$/u),
  isdigit: is(/^[\p{Nd}²³¹⁰⁴-⁹₀-₉]+$/u),
  isnumeric: is(/^\p{N}+$/u),
  islower: is(/^(?=[\s\S]*\p{Lowercase})[^\p{Uppercase}\p{Lt}]*$/u),
  isupper: is(/^(?=[\s\S]*\p{Uppercase})[^\p{Lowercase}\p{Lt}]*$/u),
  isspace: is(new RegExp(`^[${SPACE}]+$`)),
  join: native({ self: required, iterable: required }, (work, self: string, items: Value) => {
    const texts = iterate(items, work).map((item) => {
      if (typeof item !== 'string') throw new TemplateError(`join() needs texts, not '${typeName(item)}'`);
      work.spend((item.length + self.length) / 64);
      return item;
    });
    return work.text(texts.join(self));
  }),
  ljust: justified(() => 0),
  rjust: justified((room) => room),
  lower: changed((text) => text.toLowerCase()),
  upper: changed((text) => text.toUpperCase()),
  swapcase: slowlyChanged((text) =>
    text.replace(/[\s\S]/gu, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())),
  ),
  lstrip: stripped(1),
  rstrip: stripped(2),
  strip: stripped(3),
  partition: partition(false),
  rpartition: partition(true),
  removeprefix: native({ self: required, prefix: required }, (_, self: string, prefix: Value) => {
    const text = textOf(prefix, 'removeprefix()');
    return self.startsWith(text) ? self.slice(text.length) : self;
  }),
  removesuffix: native({ self: required, suffix: required }, (_, self: string, suffix: Value) => {
    const text = textOf(suffix, 'removesuffix()');
    return text !== '' && self.endsWith(text) ? self.slice(0, -text.length) : self;
  }),
  replace: native(
    { self: required, old: required, new: required, count: -1 },
    (work, self: string, old: Value, by: Value, count: Value) =>
      replace(work, self, textOf(old, 'replace()'), textOf(by, 'replace()'), wholeOf(count, 'replace()')),
  ),
  split: splitted(false),
  rsplit: splitted(true),
  splitlines: native({ self: required, keepends: false }, (work, self: string, keep: Value) =>
    splitLines(work, self, keep === true || keep === 1),
  ),
  startswith: affix('startswith()', (text, start) => text.startsWith(start)),
  title: slowlyChanged(title),
  zfill: native({ self: required, width: required }, (work, self: string, width: Value) => {
    const sign = /^[+-]/.exec(self)?.[0] ?? '';
    const room = Math.max(0, wholeOf(width, 'zfill()') - textLength(self));
    work.spend(room);
    return work.text(sign + '0'.repeat(room) + self.slice(sign.length));
  }),
};
