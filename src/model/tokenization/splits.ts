import type { Piece } from './pattern.ts';

/** A part of the text that becomes tokens by itself. */
export interface Split {
  text: string;
  /** Whether the text begins with it. */
  first: boolean;
}

export const BEHAVIORS = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
] as const;

/** What becomes of the matches when a text is cut at them. */
export type Behavior = (typeof BEHAVIORS)[number];

/** Matches of one character each. */
export function characterPieces(text: string, matches: RegExp): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  let at = 0;
  for (const character of text) {
    const end = at + character.length;
    if (matches.test(character)) {
      if (from < at) pieces.push({ start: from, end: at, match: false });
      pieces.push({ start: at, end, match: true });
      from = end;
    }
    at = end;
  }
  if (from < at) pieces.push({ start: from, end: at, match: false });
  return pieces;
}

/** Matches of one string. */
export function stringPieces(text: string, match: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (let at = text.indexOf(match); at >= 0 && match !== ''; at = text.indexOf(match, from)) {
    if (from < at) pieces.push({ start: from, end: at, match: false });
    from = at + match.length;
    pieces.push({ start: at, end: from, match: true });
  }
  if (from < text.length) pieces.push({ start: from, end: text.length, match: false });
  return pieces;
}

/** The parts of a text that is cut at some pieces. None is empty. */
export function cut({ text, first }: Split, pieces: Piece[], behavior: Behavior): Split[] {
  const parts: [start: number, end: number][] = [];
  const last = () => parts.at(-1);
  switch (behavior) {
    case 'Removed':
      for (const { start, end, match } of pieces) if (!match) parts.push([start, end]);
      break;
    case 'Isolated':
      for (const { start, end } of pieces) parts.push([start, end]);
      break;
    case 'Contiguous': {
      let before = false;
      for (const { start, end, match } of pieces) {
        if (match === before && last()) last()![1] = end;
        else parts.push([start, end]);
        before = match;
      }
      break;
    }
    case 'MergedWithPrevious': {
      let before = false;
      for (const { start, end, match } of pieces) {
        if (match && !before && last()) last()![1] = end;
        else parts.push([start, end]);
        before = match;
      }
      break;
    }
    case 'MergedWithNext': {
      let after = false;
      for (const { start, end, match } of pieces.toReversed()) {
        if (match && !after && last()) last()![0] = start;
        else parts.push([start, end]);
        after = match;
      }
      parts.reverse();
      break;
    }
  }
  return parts
    .filter(([start, end]) => start < end)
    .map(([start, end]) => ({ text: text.slice(start, end), first: first && start === 0 }));
}
