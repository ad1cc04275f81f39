import type { Adapter } from './adapter.ts';

/** Rates of one kind of work, a table of its own. */
export interface Section {
  title: string;
  /** Options of the command line and their defaults, all numbers. */
  options: Readonly<Record<string, number>>;
  /** Columns after the first, which says what was measured. */
  columns: readonly string[];
  /** Measures, a row at a time, so that what was measured is kept where a later row fails. */
  rows(options: Readonly<Record<string, number>>, adapter: Adapter): AsyncIterable<readonly string[]>;
}
