import { InputError } from '../../util/errors.ts';

/** A row of a file, by the names of its fields. */
export type Row = Readonly<Record<string, unknown>>;

/** Fields of rows, each with an error that says what was expected; where the row stands, whoever reads the file adds. */

const shown = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60));

function refuse(field: string, value: unknown, expected: string): never {
  throw new InputError(`the field ${field} is ${shown(value)}, expected ${expected}`);
}

export function textIn(row: Row, field: string): string {
  const value = row[field];
  return typeof value === 'string' ? value : refuse(field, value, 'a text');
}

export function textsIn(row: Row, field: string): string[] {
  const value = row[field];
  const are = Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string');
  return are ? (value as string[]) : refuse(field, value, 'a list of texts');
}

/** An index below `count`, also where it is written as a text. */
export function indexIn(row: Row, field: string, count: number): number {
  const value = row[field];
  const index = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (Number.isInteger(index) && (index as number) >= 0 && (index as number) < count) return index as number;
  return refuse(field, value, `a whole number from 0 to ${count - 1}`);
}

/** One of some texts, by its place among them. */
export function placeIn(row: Row, field: string, among: readonly string[]): number {
  const value = row[field];
  const place = among.indexOf(String(value).trim());
  return place >= 0 ? place : refuse(field, value, `one of ${among.join(', ')}`);
}

/** Choices as the Hub has them: {"text": [...], "label": [...]}. */
export function labelledIn(row: Row, field: string): { texts: string[]; labels: string[] } {
  const value = row[field];
  const fields = typeof value === 'object' && value !== null ? (value as Row) : {};
  const { text, label } = fields;
  if (!Array.isArray(text) || !Array.isArray(label) || text.length !== label.length) {
    return refuse(field, value, '{"text": [...], "label": [...]} of the same length');
  }
  return { texts: textsIn(fields, 'text'), labels: textsIn(fields, 'label') };
}
