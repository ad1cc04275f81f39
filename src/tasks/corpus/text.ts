import type { TextSource } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import { type SideName, sideOf } from './documents.ts';
import { checkSame, type OpenFile, openFile } from './file.ts';
import type { Layout } from './layout.ts';
import { piecesOf } from './pieces.ts';
import type { RecordReading } from './record.ts';

/** A part of a corpus: the text of a file, on one side of its division. */
export interface Part {
  /** Where the file is, and what people call it. */
  path: string;
  name: string;
  layout: Layout;
  side: SideName;
  reading: RecordReading;
  /** What stands behind it: what separates it from the next part. */
  end: string;
}

/** The texts of parts, one after the other, of which only what is asked for is read. */
export function joinedText(parts: readonly Part[]): TextSource {
  const starts: number[] = [];
  let length = 0;
  for (const part of parts) {
    starts.push(length);
    length += partLength(part);
  }
  return {
    length,
    slice(start, end) {
      let text = '';
      for (const [i, part] of parts.entries()) {
        const [from, to] = [start - starts[i]!, Math.min(end, length) - starts[i]!];
        if (to <= 0) break;
        if (from < partLength(part)) text += sliceOf(part, Math.max(0, from), to);
      }
      return text;
    },
  };
}

const partLength = ({ layout, side, end }: Part) => layout[side].length + end.length;

function sliceOf(part: Part, start: number, end: number): string {
  const { length } = part.layout[part.side];
  const text = start < length ? read(part, start, Math.min(end, length)) : '';
  return end <= length ? text : text + part.end.slice(Math.max(0, start - length), end - length);
}

/** @throws InputError where the file is no more what it was */
function read(part: Part, start: number, end: number): string {
  const { path, name, layout, side } = part;
  const { before } = layout[side].places;
  const { file, close } = openFile(path, name);
  try {
    checkSame(file, layout, name);
    let text = '';
    let place = lastAtMost(before, start);
    for (let at = before[place]!; at < end; ) {
      const first = at;
      for (const piece of from(place, part, file)) {
        const after = at + piece.length;
        if (after > start) text += piece.slice(Math.max(0, start - at), end - at);
        at = after;
        if (at >= end) break;
      }
      if (at === first)
        throw new InputError(`${name} is no more what it was, though its time and size are the same`);
      place = lastAtMost(before, at);
    }
    return text;
  } finally {
    close();
  }
}

/** Pieces from a place on, up to where it is better to go on from another one. */
function* from(place: number, { layout, side, reading }: Part, file: OpenFile): Generator<string> {
  const { bytes, before } = layout[side].places;
  let [at, next] = [before[place]!, place + 1];
  for (const piece of piecesOf(file, layout.cut, bytes[place]!, reading)) {
    if (sideOf(piece.content, layout.share) !== side) continue;
    yield piece.text;
    at += piece.text.length;
    while (before[next]! < at) next++;
    // What stands between here and there is on the other side.
    if (before[next] === at && bytes[next]! - piece.at > FAR) return;
  }
}

/** Bytes that are not read for nothing. */
const FAR = 1 << 15;

/** Where the last of ascending numbers stands that is no greater. */
function lastAtMost(numbers: readonly number[], value: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
