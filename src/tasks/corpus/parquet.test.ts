import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { corpusFolder } from '../../../test/support/corpus-files.ts';
import { trainingText } from './corpus.ts';
import { parquetLines } from './parquet.ts';

/** Written by pyarrow (make_parquet.py), with the records that are in them. */
const golden = join(import.meta.dirname, '../../../test/golden/parquet');
const { text, messages, conversations } = JSON.parse(readFileSync(join(golden, 'records.json'), 'utf8')) as {
  text: (string | null)[];
  messages: unknown[];
  conversations: unknown[];
};
const at = (name: string) => join(golden, `${name}.parquet`);

let folder: ReturnType<typeof corpusFolder>;
beforeAll(() => {
  folder = corpusFolder();
});
afterAll(() => folder.remove());

async function recordsOf(
  name: string,
  field?: string,
  limits?: { window: number; largest: number },
): Promise<unknown[]> {
  const records: unknown[] = [];
  for await (const line of parquetLines(at(name), name, field, limits)) records.push(JSON.parse(line));
  return records;
}

describe('texts as pyarrow writes them', () => {
  test.each([
    ...['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'],
    ...['paged', 'version-2', 'large-string'],
  ])('%s', async (name) => {
    expect(await recordsOf(name)).toEqual(text.map((each) => ({ text: each })));
  });

  test('a file without rows', async () => {
    expect(await recordsOf('empty')).toEqual([]);
  });

  test('conversations, of which some are null or empty', async () => {
    expect(await recordsOf('messages')).toEqual(messages.map((each) => ({ messages: each })));
    expect(await recordsOf('sharegpt')).toEqual(conversations.map((each) => ({ conversations: each })));
  });

  test('a column that is not there', async () => {
    await expect(recordsOf('snappy', 'body')).rejects.toThrow(
      "snappy has no field 'body': its fields are id, text; name the one with the text by --field",
    );
  });
});

describe('a group of rows that is too large to be read at once', () => {
  test.each([1, 150, 700])('is read in windows of %i bytes where the pages are known', async (window) => {
    const limits = { window, largest: 1 };
    expect(await recordsOf('paged', 'text', limits)).toEqual(text.map((each) => ({ text: each })));
    const expected = Array.from({ length: 20 }, () => messages.map((each) => ({ messages: each }))).flat();
    expect(await recordsOf('messages-paged', 'messages', limits)).toEqual(expected);
  });

  test('and else refused', async () => {
    await expect(recordsOf('none', 'text', { window: 1, largest: 300 })).rejects.toThrow(
      /^none: row group 0 has 0\.0 GB of text, which can only be read as a whole; expected at most 0\.0 GB: write it with/,
    );
  });
});

test('however it is packed, it is the same text', async () => {
  const opened = async (name: string) => {
    const corpus = await folder.open(at(name));
    const joined = trainingText(corpus);
    return { identity: corpus.identity, text: joined.slice(0, joined.length) };
  };
  const first = await opened('none');
  expect(first.text).toBe(
    text
      .filter(Boolean)
      .map((each) => `${each}</s>`)
      .join(''),
  );
  for (const name of ['zstd', 'version-2', 'paged']) expect(await opened(name)).toEqual(first);
  const spoken = await opened('sharegpt');
  expect(spoken.text).toBe([0, 1, 2, 3].map((i) => `user Hello ${i}assistant Good day.`).join(''));
});
