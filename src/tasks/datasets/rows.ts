import { readFileSync } from 'node:fs';
import { InputError } from '../../util/errors.ts';
import { systemMeaning } from '../../util/system-errors.ts';
import { parseCsv } from '../csv.ts';
import type { Row } from './fields.ts';

/** Rows of files of several formats, each with its place for messages. */

export interface PlacedRow {
  /** 'piqa.jsonl, line 3', line or row counted from 1. */
  place: string;
  row: Row;
}

const READERS: Readonly<Record<string, (path: string, columns?: readonly string[]) => Promise<PlacedRow[]>>> =
  {
    jsonl: linesOf,
    ndjson: linesOf,
    json: listOf,
    csv: tableOf,
    parquet: parquetOf,
  };

/** The endings of files that are read. */
export const ENDINGS = Object.keys(READERS);

/**
 * All rows of a file.
 *
 * @param columns of a table without a row of headers
 * @throws InputError for a file that cannot be read, naming it, and for what is no row, naming the line
 */
export async function rowsOf(path: string, columns?: readonly string[]): Promise<PlacedRow[]> {
  const read = READERS[endingOf(path)];
  if (!read) throw new InputError(`${path}: expected a file that ends in .${ENDINGS.join(', .')}`);
  return read(path, columns);
}

export function endingOf(path: string): string {
  return /\.(\w+)$/.exec(path)?.[1]?.toLowerCase() ?? '';
}

function textOf(path: string): string {
  return bytesOf(path)
    .toString('utf8')
    .replace(/^\uFEFF/, '');
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new InputError(`${path}: ${systemMeaning(error) ?? (error as Error).message}; expected a data set`);
  }
}

function rowAt(place: string, value: unknown): PlacedRow {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return { place, row: value as Row };
  throw new InputError(
    `${place}: ${JSON.stringify(value)?.slice(0, 60)} is no object of JSON, expected {"field": ...}`,
  );
}

function parsed(place: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${place}: ${(error as Error).message}; expected JSON`);
  }
}

async function linesOf(path: string): Promise<PlacedRow[]> {
  return textOf(path)
    .split('\n')
    .flatMap((line, i) => {
      const place = `${path}, line ${i + 1}`;
      return line.trim() === '' ? [] : rowAt(place, parsed(place, line));
    });
}

/** A list of objects; lines of JSON are often called .json, too. */
async function listOf(path: string): Promise<PlacedRow[]> {
  const text = textOf(path);
  if (!/^\s*\[/.test(text)) return linesOf(path);
  return (parsed(path, text) as unknown[]).map((value, i) => rowAt(`${path}, item ${i + 1}`, value));
}

async function tableOf(path: string, columns?: readonly string[]): Promise<PlacedRow[]> {
  const rows = parseCsv(textOf(path));
  const bare = columns !== undefined && !rows[0]?.includes(columns[0]!);
  const names = bare ? columns : (rows[0] ?? []);
  return rows.slice(bare ? 0 : 1).map((fields, i) => {
    const place = `${path}, row ${i + (bare ? 1 : 2)}`;
    if (fields.length !== names.length) {
      throw new InputError(
        `${place}: it has ${fields.length} fields, expected ${names.length}: ${names.join(', ')}`,
      );
    }
    return { place, row: Object.fromEntries(names.map((name, j) => [name, fields[j]])) };
  });
}

async function parquetOf(path: string): Promise<PlacedRow[]> {
  // Loaded when it is needed, as for texts.
  const { parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  // As a whole: a reader that fails at one place must leave no other reads of the file behind.
  const bytes = bytesOf(path);
  try {
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const rows = await parquetReadObjects({ file, compressors });
    return rows.map((row, i) => rowAt(`${path}, row ${i + 1}`, withNumbers(row)));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: ${(error as Error).message}; expected a Parquet file`);
  }
}

/** Whole numbers of 64 bits, which labels are, as usual ones. */
function withNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withNumbers(each)]));
}
