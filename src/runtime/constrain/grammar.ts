/** Context-free grammars over bytes, as expressions. `Automaton` reads texts by them. */

export type Expression =
  | { kind: 'bytes'; set: Uint8Array }
  | { kind: 'sequence'; parts: readonly Expression[] }
  | { kind: 'choice'; parts: readonly Expression[] }
  | { kind: 'repeat'; part: Expression; min: number; max: number; less?: Expression }
  | { kind: 'rule'; make: () => Expression; made?: Expression }
  | Words;

/** Texts of which one is to come, told apart byte by byte as they are needed. */
interface Words {
  kind: 'words';
  words: readonly Word[];
  /** Bytes that have been read. */
  depth: number;
  split?: { ended: readonly Expression[]; after: ReadonlyMap<number, Words> };
}

export interface Word {
  /** A character for each byte. */
  text: string;
  /** What follows this word. */
  rest: Expression;
}

/** One byte of these ranges, ends included. */
export function byteIn(...ranges: readonly (readonly [number, number])[]): Expression {
  const set = new Uint8Array(256);
  for (const [from, to] of ranges) set.fill(1, from, to + 1);
  return { kind: 'bytes', set };
}

const bytes = Array.from({ length: 256 }, (_, byte) => byteIn([byte, byte]));

/** One of these ASCII characters. */
export const oneOf = (characters: string): Expression =>
  byteIn(...Array.from(characters, (c) => [c.charCodeAt(0), c.charCodeAt(0)] as const));

const encoder = new TextEncoder();

/** This very text. */
export const literal = (text: string): Expression =>
  sequence(...Array.from(encoder.encode(text), (byte) => bytes[byte]!));

export const sequence = (...parts: Expression[]): Expression => ({ kind: 'sequence', parts });

export const choice = (...parts: Expression[]): Expression => ({ kind: 'choice', parts });

export const optional = (part: Expression): Expression => repeat(part, 0, 1);

export const repeat = (part: Expression, min = 0, max = Number.POSITIVE_INFINITY): Expression => ({
  ...{ kind: 'repeat', part, min, max },
});

/** An expression that is made when it is first needed, for those that contain themselves. */
export const rule = (make: () => Expression): Expression => ({ kind: 'rule', make });

/** One of these texts, however many, each with what follows it. */
export function oneWord(texts: Iterable<readonly [text: string, rest: Expression]>): Expression {
  return wordsOf(Array.from(texts, ([text, rest]) => wordOf(text, rest)));
}

/** Of `wordsOf`, for those who make them in pieces. */
export const wordOf = (text: string, rest: Expression): Word => ({ text: byteString(text), rest });

export const wordsOf = (words: readonly Word[]): Expression => ({ kind: 'words', words, depth: 0 });

function byteString(text: string): string {
  let ascii = true;
  for (let i = 0; i < text.length && ascii; i++) ascii = text.charCodeAt(i) < 0x80;
  if (ascii) return text;
  return Array.from(encoder.encode(text), (byte) => String.fromCharCode(byte)).join('');
}

/** Words that are split beforehand where there are many together. */
const SPLIT = 50;

/** What may come of such words: those that end here, and the others by their next byte. */
export function splitWords(expression: Words): {
  ended: readonly Expression[];
  after: ReadonlyMap<number, Words>;
} {
  expression.split ??= split(expression.words, expression.depth);
  return expression.split;
}

/** Splits lists that are so long that it is better done before a token waits for it. */
export async function splitLong(expression: Expression, breathe: () => Promise<void>): Promise<void> {
  const pending = [expression];
  for (let next = pending.pop(); next; next = pending.pop()) {
    if (next.kind === 'rule') {
      next.made ??= next.make();
      pending.push(next.made);
    } else if (next.kind === 'choice') pending.push(...next.parts.filter(({ kind }) => kind === 'words'));
    else if (next.kind === 'words' && next.words.length > SPLIT) {
      await breathe();
      pending.push(...splitWords(next).after.values());
    }
  }
}

function split(words: readonly Word[], depth: number): NonNullable<Words['split']> {
  const below = (group: readonly Word[]): Words => ({ kind: 'words', words: group, depth: depth + 1 });
  // What all words go on with takes no groups. Beyond its end, a text has NaN, which is like nothing.
  const first = words[0]?.text.charCodeAt(depth) ?? Number.NaN;
  let alike = 0;
  while (alike < words.length && words[alike]!.text.charCodeAt(depth) === first) alike++;
  if (alike > 0 && alike === words.length) return { ended: [], after: new Map([[first, below(words)]]) };
  const ended: Expression[] = [];
  const groups = new Map<number, Word[]>();
  for (const word of words) {
    if (word.text.length === depth) {
      ended.push(word.rest);
      continue;
    }
    const byte = word.text.charCodeAt(depth);
    const group = groups.get(byte);
    if (group) group.push(word);
    else groups.set(byte, [word]);
  }
  return { ended, after: new Map(Array.from(groups, ([byte, group]) => [byte, below(group)])) };
}

/** The set of one byte. */
export const setOf = (byte: number): Uint8Array => (bytes[byte] as { set: Uint8Array }).set;
