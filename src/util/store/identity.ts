import { createHash } from 'node:crypto';

/**
 * What a unit of work depends on, as fields with names: plain values where they are short, hashes of what is long.
 * It is kept beside the work, so that whoever meets work of another identity can be told what differs.
 */
export type Identity = Readonly<Record<string, unknown>>;

/** A short hash of plain data: what stands in an identity for what is long. */
export function hashOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** The same text for the same identity, in whatever order its fields were written; what is undefined is no field. */
export function canonical(identity: unknown): string {
  return JSON.stringify(identity, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

/** All fields but these: what is left is all that counts, so that a new field counts until it is named here. */
export function without<T extends object, K extends keyof T>(object: T, ...fields: K[]): Omit<T, K> {
  const left = { ...object };
  for (const field of fields) delete left[field];
  return left;
}
