import { InputError } from '../../util/errors.ts';
import { FIELDS, fieldNeeded, PAIR, TOOLS } from './record.ts';

/** Records of Parquet files, as lines of JSON. */

const LIMITS = {
  /** Bytes of text that are unpacked at once, where the file says where its pages begin. */
  window: 1 << 26,
  /** The same for a group of rows that can only be read as a whole. */
  largest: 2 ** 30,
};

/**
 * Lines of JSON with the field of the text, and what conversations need beside it.
 *
 * @param path where it is
 * @param name as people know it
 * @throws InputError for a file that is damaged, has no such column, or groups of rows that are too large
 */
export async function* parquetLines(
  path: string,
  name: string,
  field: string | undefined,
  { window, largest } = LIMITS,
): AsyncGenerator<string> {
  // Loaded when it is needed: few texts come as Parquet.
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import(
    'hyparquet'
  );
  const { compressors } = await import('hyparquet-compressors');
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const present = parquetSchema(metadata).children.map(({ element }) => element.name);
    const one = field ?? FIELDS.find((each) => present.includes(each));
    const pair = one === undefined && PAIR.every((each) => present.includes(each));
    const found = pair ? PAIR.join(' and ') : one;
    if (found === undefined || !(pair || present.includes(found))) {
      throw new InputError(`${name} has no field ${fieldNeeded(field, present)}`);
    }
    const columns = [...(pair ? PAIR : [found]), TOOLS].filter((each) => present.includes(each));
    let first = 0;
    for (const [i, group] of metadata.row_groups.entries()) {
      const rows = Number(group.num_rows);
      const chunks = group.columns.filter(
        ({ meta_data: of }) => of && columns.includes(of.path_in_schema[0]!),
      );
      const bytes = chunks.reduce((sum, { meta_data: of }) => sum + Number(of!.total_uncompressed_size), 0);
      const inPages = chunks.every((chunk) => chunk.offset_index_offset !== undefined);
      if (!inPages && bytes > largest) {
        throw new InputError(
          `${name}: row group ${i} has ${(bytes / 1e9).toFixed(1)} GB of ${found}, which can only be read as a whole; ` +
            `expected at most ${(largest / 1e9).toFixed(1)} GB: write it with a smaller row_group_size, or with a page index`,
        );
      }
      const step = inPages ? Math.max(1, Math.floor((rows * window) / Math.max(bytes, 1))) : rows;
      for (let at = 0; at < rows; at += step) {
        const range = { rowStart: first + at, rowEnd: first + Math.min(at + step, rows) };
        const records = await parquetReadObjects({
          ...{ file, metadata, columns, compressors, useOffsetIndex: inPages },
          ...range,
        });
        for (const record of records) yield `${JSON.stringify(record, plainValue)}\n`;
      }
      first += rows;
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${name}: ${(error as Error).message}; expected a Parquet file`);
  }
}

/** Whole numbers of 64 bits have no form in JSON. */
function plainValue(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
