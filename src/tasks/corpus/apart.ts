import { InputError } from '../../util/errors.ts';
import { hashOf } from '../../util/store/identity.ts';
import { turn } from '../../util/turn.ts';
import { FORMAT, rememberOf } from './cache.ts';
import { type Corpus, type CorpusPart, trainingText } from './corpus.ts';
import { Fingerprints, fingerprint, plainly } from './documents.ts';
import { withFile } from './file.ts';
import { documentsIn, piecesOf } from './pieces.ts';

/** Whether a text that models are judged by is apart from the one that they are trained on. */

/** Characters of a document that is more than a common phrase. */
const LEAST = 200;
/** How much of the beginning and the end of a held-out file is looked for at any place of the training text. */
const SAMPLE = 1000;
/** How many of those, at most: each is looked for everywhere. */
const SAMPLES = 32;
/** Characters of training text in which they are looked for at once. */
const WINDOW = 1 << 20;
/** White space that may stand before a beginning and behind an end. */
const MARGIN = 1 << 16;
/** Characters of texts that are compared as a whole. */
const WHOLE = 1 << 26;

/**
 * A model that was trained on the text it is judged by has learnt the answers. Found are documents (paragraphs of plain
 * text, records) of at least 200 characters that stand in both, however their white space, and the first and last
 * thousand characters of the first 16 held-out files of plain text at any place of the training text. Not found are
 * shorter documents, and passages of a document within another one.
 *
 * Both texts are read once, in bounded memory but for eight bytes for each held-out document.
 *
 * @throws InputError where a part of the held-out text is in the training text
 */
export async function checkApart(
  data: Corpus,
  heldOut: Corpus,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const bytes = [...data.parts, ...heldOut.parts].reduce((sum, { layout }) => sum + layout.bytes, 0);
  await rememberOf('apart', hashOf(FORMAT, data.identity, heldOut.identity), bytes, async () => {
    for (const inner of heldOut.parts) {
      const outer = data.parts.find(
        (part) => inner.layout.content === part.layout.content || areSame(part, inner),
      );
      if (outer) throw refused(outer, inner);
    }
    const samples = heldOut.parts.flatMap((part) => endsOf(part).map((sample) => ({ part, sample })));
    const known = await fingerprintsOf(heldOut.parts, signal);
    for (const outer of data.parts) {
      const find = finder(samples.slice(0, SAMPLES));
      await eachDocument(outer, signal, (text) => {
        const inner = find(text);
        if (inner) throw refused(outer, inner);
        const print = fingerprint(text, LEAST);
        return print !== undefined && known(print) ? checkDocument(text, outer, heldOut, signal) : undefined;
      });
      const inner = find();
      if (inner) throw refused(outer, inner);
    }
    return true;
  });
}

function refused(outer: CorpusPart, inner: CorpusPart, text?: string): InputError {
  const expected = 'expected texts that have nothing in common';
  if (areSame(outer, inner, WHOLE)) {
    return new InputError(
      `the training text ${outer.name} and the held-out text ${inner.name} are the same: ${expected}`,
    );
  }
  const where = text === undefined ? '' : `, near '${text.slice(0, 60)}'`;
  return new InputError(
    `a part of the held-out text ${inner.name} is in the training text ${outer.name}: ${expected}${where}`,
  );
}

const lengthOf = ({ layout }: CorpusPart) => layout.training.length;

/** The whole text of a part, if it is not too long. */
const wholeOf = (part: CorpusPart) =>
  trainingText({ name: part.name, parts: [part], identity: '' }).slice(0, lengthOf(part));

/** Whether two texts are the same but for white space at their ends; false if they are too long to tell. */
function areSame(a: CorpusPart, b: CorpusPart, longest = MARGIN): boolean {
  if (a.layout.content === b.layout.content) return true;
  const [one, other] = [lengthOf(a), lengthOf(b)];
  if (Math.max(one, other) > longest || Math.abs(one - other) > MARGIN || other === 0) return false;
  const text = wholeOf(b).trim();
  return text !== '' && wholeOf(a).trim() === text;
}

/** Beginning and end of plain text; of records, each is looked for as a document. */
function endsOf(part: CorpusPart): string[] {
  const length = lengthOf(part);
  if (part.layout.cut === 'records' || length === 0) return [];
  const text = trainingText({ name: part.name, parts: [part], identity: '' });
  const first = text.slice(0, MARGIN).trimStart().slice(0, SAMPLE);
  const last = text
    .slice(Math.max(0, length - MARGIN), length)
    .trimEnd()
    .slice(-SAMPLE);
  return [first, last].filter((sample) => sample.length === SAMPLE);
}

/** Looks for samples in a text that comes in pieces, a window at a time; the last one when it is given nothing more. */
function finder(samples: readonly { part: CorpusPart; sample: string }[]) {
  let window = '';
  return (text?: string): CorpusPart | undefined => {
    window += text ?? '';
    if (text !== undefined && window.length < WINDOW) return undefined;
    const found = samples.find(({ sample }) => window.includes(sample));
    window = window.slice(-SAMPLE);
    return found?.part;
  };
}

async function fingerprintsOf(parts: readonly CorpusPart[], signal: AbortSignal | undefined) {
  const documents = new Fingerprints();
  for (const part of parts) {
    await eachDocument(part, signal, (text) => {
      const print = fingerprint(text, LEAST);
      if (print !== undefined) documents.add(print);
    });
  }
  return documents.sealed();
}

/** @throws InputError where a document of the training text is held out, and has not just the fingerprint of one that is */
async function checkDocument(
  text: string,
  outer: CorpusPart,
  heldOut: Corpus,
  signal: AbortSignal | undefined,
): Promise<void> {
  const content = plainly(text);
  for (const inner of heldOut.parts) {
    await eachDocument(inner, signal, (each) => {
      if (plainly(each) === content) throw refused(outer, inner, content);
    });
  }
}

/** Visits all documents of a file, and what stands between them in plain text. */
async function eachDocument(
  { path, name, layout, reading }: CorpusPart,
  signal: AbortSignal | undefined,
  visit: (text: string) => Promise<void> | undefined | void,
): Promise<void> {
  await withFile(path, name, async (file) => {
    const cut = layout.cut === 'records' ? 'records' : documentsIn(file);
    let read = 0;
    for (const { content } of piecesOf(file, cut, 0, reading)) {
      const waiting = visit(content);
      if (waiting) await waiting;
      read += content.length;
      if (read < WINDOW) continue;
      read = 0;
      await turn();
      signal?.throwIfAborted();
    }
  });
}
