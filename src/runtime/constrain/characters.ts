import { InputError } from '../../util/errors.ts';
import type { Pace } from '../../util/pace.ts';
import { byteIn, choice, type Expression, literal, oneOf, sequence } from './grammar.ts';

/** Sets of characters (Unicode code points without halves of surrogate pairs), and how they are written. */

/** Ranges, ends included, ascending and apart. */
export type Characters = readonly (readonly [number, number])[];

const LAST = 0x10ffff;
const SURROGATES = [0xd800, 0xdfff] as const;
export const ANY: Characters = [
  [0, SURROGATES[0] - 1],
  [SURROGATES[1] + 1, LAST],
];

/** Those of any of the ranges. */
export function union(ranges: Characters): Characters {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const found: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = found.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else found.push([from, to]);
  }
  return found;
}

/** All others. */
export function complement(characters: Characters): Characters {
  const found: [number, number][] = [];
  let from = 0;
  for (const [start, end] of union([...characters, SURROGATES])) {
    if (start > from) found.push([from, start - 1]);
    from = end + 1;
  }
  if (from <= LAST) found.push([from, LAST]);
  return found;
}

export function has(characters: Characters, codePoint: number): boolean {
  return characters.some(([from, to]) => from <= codePoint && codePoint <= to);
}

const escapes = new Map<string, Characters>();
const PIECE = 8192;
/** That are kept. */
const MOST_ESCAPES = 256;

/**
 * What the language itself takes the escapes of a pattern for, such as \\p{L}: to be called before `escaped`.
 *
 * @param found is told of each that is not known yet
 */
export async function learnEscapes(pattern: string, pace: Pace, found: () => void): Promise<void> {
  for (const [source] of pattern.matchAll(/\\(?:[dDsSwW]|[pP]\{[\w=]+\})/g)) {
    if (escapes.has(source)) continue;
    found();
    let runs: RegExp;
    try {
      runs = new RegExp(`${source}+`, 'gu');
    } catch {
      continue;
    }
    const ranges: [number, number][] = [];
    for (const [first, last] of ANY) {
      for (let from = first; from <= last; from += PIECE) {
        if (pace.due) await pace.turn();
        const length = Math.min(PIECE, last - from + 1);
        const text = String.fromCodePoint(...Array.from({ length }, (_, i) => from + i));
        const width = from < 0x10000 ? 1 : 2;
        for (const { 0: run, index } of text.matchAll(runs)) {
          const at = from + index / width;
          ranges.push([at, at + run.length / width - 1]);
        }
      }
    }
    if (escapes.size >= MOST_ESCAPES) escapes.delete(escapes.keys().next().value!);
    escapes.set(source, union(ranges));
  }
}

/** @throws InputError for an escape that has not been learnt */
export function escaped(source: string): Characters {
  const known = escapes.get(source);
  if (known) return known;
  throw new InputError(`has ${source}, which is not followed`);
}

/** Lead bytes of UTF-8 with the first and last character of each, and the bytes that follow. */
const LEADS = [
  { from: 0xc2, to: 0xdf, shift: 6, mask: 0x1f },
  { from: 0xe0, to: 0xef, shift: 12, mask: 0x0f },
  { from: 0xf0, to: 0xf4, shift: 18, mask: 0x07 },
];

/** One of these characters in UTF-8. */
export function utf8(characters: Characters): Expression {
  const parts: Expression[] = [];
  const ascii = characters
    .filter(([from]) => from < 0x80)
    .map(([from, to]) => [from, Math.min(to, 0x7f)] as const);
  if (ascii.length > 0) parts.push(byteIn(...ascii));
  const known = new Map<string, Expression>();
  for (const { from, to, shift, mask } of LEADS) {
    const least = shift === 6 ? 0x80 : 1 << (shift - 1 === 11 ? 11 : 16);
    const leads = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    parts.push(
      ...byLead(leads, (lead) => {
        const start = (lead & mask) << shift;
        const inside = within(characters, Math.max(start, least), start + (1 << shift) - 1);
        return following(inside, start, shift, known);
      }),
    );
  }
  return parts.length === 1 ? parts[0]! : choice(...parts);
}

/** The rest of a character, from its first continuation byte on; null where none of the characters goes on so. */
function following(
  inside: Characters,
  start: number,
  shift: number,
  known: Map<string, Expression>,
): { key: string; rest: Expression } | null {
  if (inside.length === 0) return null;
  const key = `${shift}:${inside.map(([a, b]) => `${a - start}-${b - start}`).join()}`;
  const made = known.get(key);
  if (made) return { key, rest: made };
  const low = shift - 6;
  const bytes = Array.from({ length: 64 }, (_, i) => i);
  let rest: Expression;
  if (low === 0) rest = byteIn(...inside.map(([a, b]) => [0x80 + a - start, 0x80 + b - start] as const));
  else {
    const parts = byLead(
      bytes.map((byte) => 0x80 + byte),
      (byte) => {
        const from = start + ((byte & 0x3f) << low);
        return following(within(inside, from, from + (1 << low) - 1), from, low, known);
      },
    );
    rest = parts.length === 1 ? parts[0]! : choice(...parts);
  }
  known.set(key, rest);
  return { key, rest };
}

/** Bytes together that go on alike. */
function byLead(
  bytes: readonly number[],
  after: (byte: number) => { key: string; rest: Expression } | null,
): Expression[] {
  const groups = new Map<string, { bytes: [number, number][]; rest: Expression }>();
  for (const byte of bytes) {
    const found = after(byte);
    if (!found) continue;
    const group = groups.get(found.key) ?? { bytes: [], rest: found.rest };
    group.bytes.push([byte, byte]);
    groups.set(found.key, group);
  }
  return Array.from(groups.values(), (group) => sequence(byteIn(...group.bytes), group.rest));
}

function within(characters: Characters, from: number, to: number): Characters {
  return characters.flatMap(([a, b]) => {
    const [start, end] = [Math.max(a, from), Math.min(b, to)];
    return start <= end ? [[start, end] as const] : [];
  });
}

const QUOTED = '"\\\b\f\n\r\t';

/** One of these characters as JSON.stringify writes it in a string. */
export function inString(characters: Characters): Expression {
  const raw = characters
    .flatMap(([from, to]) => within([[from, to]], 0x20, LAST))
    .flatMap(([from, to]) => {
      const parts: [number, number][] = [];
      let at = from;
      for (const quoted of [0x22, 0x5c]) {
        if (quoted < at || quoted > to) continue;
        if (quoted > at) parts.push([at, quoted - 1]);
        at = quoted + 1;
      }
      if (at <= to) parts.push([at, to]);
      return parts;
    });
  const parts: Expression[] = raw.length > 0 ? [utf8(raw)] : [];
  const short = Array.from(QUOTED).filter((c) => has(characters, c.charCodeAt(0)));
  if (short.length > 0) {
    parts.push(sequence(literal('\\'), oneOf(short.map((c) => JSON.stringify(c)[2]!).join(''))));
  }
  for (let code = 0; code < 0x20; code++) {
    const written = JSON.stringify(String.fromCharCode(code));
    if (written.length === 8 && has(characters, code)) parts.push(literal(written.slice(1, -1)));
  }
  return parts.length === 1 ? parts[0]! : choice(...parts);
}
