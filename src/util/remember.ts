import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from './files.ts';

/** A short hash of plain data: what something depends on. */
export function identityOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** Is told of a file that cannot be used. */
type OnNotice = (line: string) => void;

/**
 * What `make` gives, kept in a file: made once, then read, as long as `identity`, a hash of everything it depends
 * on, is the same. A file that is missing, damaged or of another identity is made anew.
 *
 * @param onNotice is told of a damaged file
 */
export async function remember<T>(
  path: string,
  identity: string,
  make: () => Promise<T>,
  onNotice?: OnNotice,
): Promise<T> {
  const kept = recall<T>(path, identity, onNotice);
  if (kept !== undefined) return kept;
  const value = await make();
  keep(path, identity, value);
  return value;
}

/** Keeps a value of plain data under its identity, with a check sum. */
export function keep(path: string, identity: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify({ identity, check: identityOf(value), value })}\n`);
}

/** What was kept under this identity, or undefined. */
export function recall<T>(path: string, identity: string, onNotice?: OnNotice): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as { identity: string; check?: string; value: T };
    if (kept.identity !== identity) return undefined;
    if (kept.check === identityOf(kept.value)) return kept.value;
    onNotice?.(`${path} is damaged (its check sum is another): made anew`);
  } catch (error) {
    onNotice?.(`${path} is damaged (${(error as Error).message}): made anew`);
  }
  return undefined;
}
