import { InputError } from '../../util/errors.ts';
import { beginning, boundary, decode, type OpenFile } from './file.ts';
import { type RecordReading, recordText } from './record.ts';

/** Files as lists of pieces of text, each of which begins at a byte from which on the same pieces are found again. */

export interface Piece {
  text: string;
  /** The same without what separates documents that are records. */
  content: string;
  /** Its first byte. */
  at: number;
}

/**
 * - `whole`: plain text as it is, in pieces of any kind; the file is one document
 * - `paragraphs`: plain text whose documents are its paragraphs, with the blank lines behind them
 * - `lines`: plain text without blank lines, whose documents are its lines
 * - `records`: a JSON object on each line, which is a document
 */
export type Cut = 'whole' | 'paragraphs' | 'lines' | 'records';

/** Bytes of a piece of plain text; a longer paragraph is several documents. */
const LONGEST_PIECE = 1 << 14;
/** Bytes of a record. */
const LONGEST_RECORD = 1 << 26;

/** @param from where a piece begins; 0 for the first one */
export function piecesOf(file: OpenFile, cut: Cut, from: number, reading: RecordReading): Generator<Piece> {
  const start = from === 0 ? beginning(file) : from;
  if (cut === 'records') return records(file, start, reading);
  return plain(file, start, { whole: wholeEnd, paragraphs: paragraphEnd, lines: lineEnd }[cut]);
}

/** How the documents of plain text are told apart: by blank lines if there is one near its beginning. */
export function documentsIn(file: OpenFile): Cut {
  const head = file.head(1 << 20).toString('latin1');
  return /\n[ \t\r]*\n[ \t\r]*\S/.test(head) ? 'paragraphs' : 'lines';
}

/** Where the first piece of some bytes ends, if it can be told from them. */
type EndOf = (bytes: Buffer, at: number, last: boolean) => number | undefined;

function* plain(file: OpenFile, from: number, endOf: EndOf): Generator<Piece> {
  let bytes: Buffer = Buffer.alloc(0);
  let [first, at] = [from, 0];
  const blocks = file.blocks(from);
  for (let last = false; !last; ) {
    const { value } = blocks.next();
    last = value === undefined;
    if (value) {
      bytes = at === bytes.length ? value : Buffer.concat([bytes.subarray(at), value]);
      first += at;
      at = 0;
    }
    while (at < bytes.length) {
      const end = endOf(bytes, at, last);
      if (end === undefined) break;
      const text = decode(bytes.subarray(at, end), file, first + at);
      yield { text, content: text, at: first + at };
      at = end;
    }
  }
}

const wholeEnd: EndOf = (bytes, at, last) => {
  const end = at + LONGEST_PIECE;
  if (end < bytes.length) return boundary(bytes, end);
  return last ? bytes.length : undefined;
};

const NEWLINE = 10;

const lineEnd: EndOf = (bytes, at, last) => {
  const end = bytes.indexOf(NEWLINE, at) + 1;
  return end > 0 && end - at <= LONGEST_PIECE ? end : wholeEnd(bytes, at, last);
};

/** The end of the blank lines behind a paragraph; of a paragraph that is too long, that of its last line that is not. */
const paragraphEnd: EndOf = (bytes, at, last) => {
  const limit = at + LONGEST_PIECE;
  let [line, blank] = [at, false];
  for (;;) {
    const text = firstNot(bytes, line);
    const end = bytes[text] === NEWLINE ? text + 1 : undefined;
    // What is no blank line, behind one, begins the next paragraph.
    if (blank && end === undefined && text < bytes.length) return line;
    const next = end ?? bytes.indexOf(NEWLINE, line) + 1;
    if (next === 0 || next > limit) {
      if (next === 0 && !last && bytes.length <= limit) return undefined;
      if (next === 0 && last && bytes.length <= limit) return bytes.length;
      return line > at ? line : wholeEnd(bytes, at, last);
    }
    blank ||= end !== undefined && line > at;
    line = next;
  }
};

/** The first byte from a place on that is no blank within a line. */
function firstNot(bytes: Buffer, at: number): number {
  let place = at;
  while (bytes[place] === 32 || bytes[place] === 9 || bytes[place] === 13) place++;
  return place;
}

/** The texts of the records of a file of JSON lines; those without text are left out. */
function* records(file: OpenFile, from: number, reading: RecordReading): Generator<Piece> {
  let number = 0;
  for (const { bytes, at } of recordLines(file, from)) {
    number++;
    const line = decode(bytes, file, at);
    if (line.trim() === '') continue;
    // Lines are counted from the file's beginning alone; a second reading finds no mistake that the first did not.
    const where = () => `${file.name}:${number}`;
    const { content, marked = content, end } = recordText(parsed(line, where), where, reading);
    if (content !== '') yield { text: marked + end, content, at };
  }
}

function parsed(line: string, where: () => string): unknown {
  try {
    // Without its end, which the message would show.
    return JSON.parse(line.trimEnd());
  } catch (error) {
    throw new InputError(`${where()}: ${(error as Error).message}; expected an object in JSON on each line`);
  }
}

/** Lines with their ends. */
function* recordLines(file: OpenFile, from: number): Generator<{ bytes: Buffer; at: number }> {
  let held: Buffer[] = [];
  let [bytes, at] = [0, from];
  for (const block of file.blocks(from)) {
    for (let start = 0; start < block.length; ) {
      const end = block.indexOf(NEWLINE, start) + 1 || block.length;
      held.push(block.subarray(start, end));
      bytes += end - start;
      if (bytes > LONGEST_RECORD) {
        throw new InputError(
          `${file.name}: the line that begins at byte ${at} is longer than ${LONGEST_RECORD / 1e6} MB; expected a record on each line`,
        );
      }
      if (block[end - 1] === NEWLINE) {
        yield { bytes: held.length === 1 ? held[0]! : Buffer.concat(held), at };
        held = [];
        at += bytes;
        bytes = 0;
      }
      start = end;
    }
  }
  if (bytes > 0) yield { bytes: Buffer.concat(held), at };
}
