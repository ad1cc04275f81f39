import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import type { Tokenizer } from '../../model/tokenizer.ts';
import type { TextSource } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import { hashOf } from '../../util/store/identity.ts';
import { FORMAT } from './cache.ts';
import type { SideName } from './documents.ts';
import { type Layout, layoutOf } from './layout.ts';
import { type CorpusFile, corpusFiles } from './names.ts';
import { readingOf } from './record.ts';
import { joinedText, type Part } from './text.ts';
import { seekable } from './unpack.ts';

/** Texts that are trained or judged on: files of several formats as one text, of which parts are read when they are needed. */

export interface CorpusSettings {
  /** Files, folders and globs. */
  files: string | readonly string[];
  /** The field of records that has the text; `text`, `messages` or `conversations` unless given. */
  field?: string | undefined;
  /** Whether answers are marked in the text (answers.ts): it has records with answers then. */
  answers?: boolean | undefined;
  /** Of the documents, how many are held out: 0.01. */
  share?: number | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

export interface Corpus {
  /** As people know it: 'novels.txt', 'a.txt and 3 more'. */
  name: string;
  parts: readonly CorpusPart[];
  /** A hash of what is in it and how it is read; where the files lie, and in which order they are named, makes no difference. */
  identity: string;
}

export type CorpusPart = Omit<Part, 'side' | 'end'>;

/** Behind a file of plain text that others follow. */
const separator = ({ layout, reading }: CorpusPart) => (layout.cut === 'records' ? '' : reading.end);

/**
 * Reads all of the files once, to know what is where.
 *
 * @param tokenizer of the model that reads them: its chat template writes conversations, its token ends documents
 * @throws InputError for files that are not there or cannot be read, and for what is wrong in them, saying where
 */
export async function openCorpus(tokenizer: Tokenizer, settings: CorpusSettings): Promise<Corpus> {
  const { field, share, answers = false, onProgress, signal } = settings;
  const files = corpusFiles(settings.files);
  const total = files.reduce((sum, { path }) => sum + statSync(path).size, 0);
  const reading = readingOf(tokenizer, field, answers);
  const templates = [tokenizer.chatTemplate(), tokenizer.chatTemplate(true), tokenizer.specials];
  const readingIdentity = hashOf(field ?? null, reading.end, templates, ...(answers ? ['answers'] : []));
  const name = files.length === 1 ? files[0]!.path : `${files[0]!.path} and ${files.length - 1} more`;
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    onProgress?.({ stage: `read ${name}`, done, total: Math.max(done, total), unit: 'bytes' });
  };
  const open = async (file: CorpusFile): Promise<CorpusPart> => {
    const { path, records } = await seekable(file, field, signal);
    const where = realpathSync(path);
    if (answers && !records) {
      throw new InputError(
        `${file.path} is plain text, in which no answer can be told from the rest; expected conversations, or records with prompt and completion, in .jsonl, .json or .parquet`,
      );
    }
    const layout = await layoutOf({
      ...{ path: where, name: file.path, records, reading, readingIdentity, share, onBytes, signal },
    });
    return { path: where, name: file.path, layout, reading };
  };
  const parts = new Map<string, CorpusPart>();
  for (const file of files) {
    const part = await open(file);
    const content = contentOf(part.layout);
    if (!parts.has(content)) parts.set(content, part);
  }
  // In the order of their contents, so that neither names nor places make a difference.
  const ordered = [...parts].sort(([a], [b]) => (a < b ? -1 : 1));
  const records = ordered.some(([, { layout }]) => layout.cut === 'records');
  return {
    name,
    parts: ordered.map(([, part]) => part),
    identity: hashOf(
      FORMAT,
      ordered.map(([content]) => content),
      share ?? null,
      records ? readingIdentity : null,
      ordered.length > 1 ? reading.end : null,
    ),
  };
}

const contentOf = ({ content, cut }: Layout) =>
  createHash('sha256')
    .update(`${cut === 'records' ? 'records' : 'text'} ${content}`)
    .digest('hex');

/** @throws InputError for the name of a field where no text has fields */
export function checkField(field: string, ...texts: readonly (Corpus | undefined)[]): void {
  const given = texts.flatMap((text) => text ?? []);
  if (given.some(({ parts }) => parts.some(({ layout }) => layout.cut === 'records'))) return;
  const what = given.map(({ name }) => name).join(' and ') || 'what is generated';
  throw new InputError(`--field ${field}: ${what} has no fields; expected .jsonl, .json or .parquet`);
}

/** What is trained on; all where nothing is held out. */
export function trainingText({ parts }: Corpus): TextSource {
  return joinedText(withSide(parts, 'training'));
}

/**
 * What is held out of a corpus. Documents that choices are made on come first, those that are reported on behind them.
 *
 * @throws InputError where there is nothing
 */
export function heldOutText({ parts, name }: Corpus): TextSource {
  const choosing = withSide(parts, 'choosing');
  const reporting = withSide(parts, 'reporting');
  if (choosing.length === 0 || reporting.length === 0) {
    const percent = (100 * parts[0]!.layout.share!).toLocaleString('en', { maximumSignificantDigits: 3 });
    throw new InputError(
      `${name} has too few documents to hold out ${percent} % of them: expected other text by --held-out, or a larger --held-out-share`,
    );
  }
  return { ...joinedText([...choosing, ...reporting]), middle: joinedText(choosing).length };
}

/**
 * The documents that are held out of a corpus and reported on.
 *
 * @throws InputError where there are none
 */
export function reportingText(corpus: Corpus): TextSource {
  heldOutText(corpus);
  return joinedText(withSide(corpus.parts, 'reporting'));
}

function withSide(parts: readonly CorpusPart[], side: SideName): Part[] {
  const some = parts.filter(({ layout }) => layout[side].length > 0);
  return some.map((part, i) => ({ ...part, side, end: i === some.length - 1 ? '' : separator(part) }));
}
