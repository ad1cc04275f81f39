import type { TextSource } from '../../train/batches.ts';
import { checkSame, openFile } from './file.ts';
import { type Layout, type SideName, sideOf } from './layout.ts';
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
function read({ path, name, layout, side, reading }: Part, start: number, end: number): string {
  const { places } = layout[side];
  const place = lastAtMost(places.before, start);
  let before = places.before[place]!;
  let text = '';
  const { file, close } = openFile(path, name);
  try {
    checkSame(file, layout, name);
    for (const piece of piecesOf(file, layout.cut, places.bytes[place]!, reading)) {
      if (sideOf(piece.content, layout.share) !== side) continue;
      const after = before + piece.text.length;
      if (after > start) text += piece.text.slice(Math.max(0, start - before), end - before);
      if (after >= end) break;
      before = after;
    }
    return text;
  } finally {
    close();
  }
}

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
