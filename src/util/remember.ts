import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from './files.ts';

/** A short hash of plain data: what something depends on. */
export function identityOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/**
 * What `make` gives, kept in a file: made once, then read, as long as `identity`, a hash of everything it depends
 * on, is the same. A file that is missing, damaged or of another identity is made anew.
 */
export async function remember<T>(path: string, identity: string, make: () => Promise<T>): Promise<T> {
  const kept = recall<T>(path, identity);
  if (kept !== undefined) return kept;
  const value = await make();
  writeFileAtomic(path, `${JSON.stringify({ identity, value })}\n`);
  return value;
}

/** What was kept under this identity, or undefined. */
export function recall<T>(path: string, identity: string): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as { identity: string; value: T };
    return kept.identity === identity ? kept.value : undefined;
  } catch {
    return undefined;
  }
}
