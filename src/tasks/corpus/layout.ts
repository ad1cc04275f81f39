import { createHash } from 'node:crypto';
import { hashOf } from '../../util/store/identity.ts';
import { turn } from '../../util/turn.ts';
import { FORMAT, rememberOf } from './cache.ts';
import { type SideName, sideOf } from './documents.ts';
import { checkSame, type FileState, withFile } from './file.ts';
import { type Cut, documentsIn, piecesOf } from './pieces.ts';
import type { RecordReading } from './record.ts';

/** Where in a file which part of its text is: found by reading all of it once. */

/** The text of one side of a file's division. */
interface Side {
  /** UTF-16 code units, as strings count them. */
  length: number;
  /** Pieces of the text, in order: the byte where each begins, and what of the text comes before it. */
  places: { bytes: number[]; before: number[] };
}

export interface Layout extends FileState, Record<SideName, Side> {
  /** A hash of all bytes but a byte order mark. */
  content: string;
  cut: Cut;
  /** Of its documents, how many are held out. */
  share?: number;
}

export interface Layouting {
  /** Where it is. */
  path: string;
  /** As people know it. */
  name: string;
  records: boolean;
  reading: RecordReading;
  /** What `reading` depends on. */
  readingIdentity: string;
  /** Of the documents, how many are held out; nothing is when it is not given. */
  share?: number | undefined;
  /** Told of bytes as they are read. */
  onBytes?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Places that are remembered of a file, at most. */
const PLACES = 1 << 17;
/** Bytes between two places of what is not held out, at least. */
const CLOSEST = 1 << 14;
/** Bytes after which the event loop turns. */
const TURN = 1 << 23;

/** @throws InputError for a file that cannot be read, or changes meanwhile, and for what is wrong in it */
export function layoutOf(layouting: Layouting): Promise<Layout> {
  const { path, name, share, records, readingIdentity, onBytes, signal } = layouting;
  return withFileState(path, name, (state) => {
    const identity = hashOf(FORMAT, path, state, records ? readingIdentity : null, share ?? null);
    return rememberOf('layout', identity, state.bytes, () => read(layouting, onBytes, signal));
  });
}

async function withFileState<T>(
  path: string,
  name: string,
  use: (state: FileState) => Promise<T>,
): Promise<T> {
  return withFile(path, name, ({ bytes, modified }) => use({ bytes, modified }));
}

async function read(
  { path, name, share, records, reading }: Layouting,
  onBytes: Layouting['onBytes'],
  signal: AbortSignal | undefined,
): Promise<Layout> {
  const hash = createHash('sha256');
  let [unseen, done] = [0, 0];
  const seen = (bytes: Buffer) => {
    hash.update(bytes);
    unseen += bytes.length;
  };
  const before = await withFileState(path, name, async (state) => state);
  return withFile(
    path,
    name,
    async (file) => {
      const cut = records ? 'records' : share === undefined ? 'whole' : documentsIn(file);
      const least = file.bytes / PLACES;
      const apart = { training: Math.max(CLOSEST, least), choosing: least, reporting: least };
      const sides = { training: emptySide(), choosing: emptySide(), reporting: emptySide() };
      for (const { text, content, at } of piecesOf(file, cut, 0, reading)) {
        const side = sideOf(content, share);
        addPiece(sides[side], text, at, apart[side]);
        if (unseen - done < TURN) continue;
        onBytes?.(unseen - done);
        done = unseen;
        await turn();
        signal?.throwIfAborted();
      }
      onBytes?.(unseen - done);
      await withFileState(path, name, async (state) => checkSame(state, before, name));
      const { bytes, modified } = before;
      const content = hash.digest('hex');
      return { bytes, modified, content, cut, ...(share !== undefined && { share }), ...sides };
    },
    seen,
  );
}

const emptySide = (): Side => ({ length: 0, places: { bytes: [], before: [] } });

function addPiece(side: Side, text: string, at: number, apart: number): void {
  const { bytes, before } = side.places;
  if (bytes.length === 0 || at >= bytes.at(-1)! + apart) {
    bytes.push(at);
    before.push(side.length);
  }
  side.length += text.length;
}
