/** How two runs differ in what they depend on, in words: what each was given is kept as JSON beside its states. */

/** Names of fields for people; others are told by their own. */
const WORDS: Record<string, string> = {
  peak: 'learning rate',
  rate: 'learning rate',
  bodyRate: 'learning rate of the body',
  batch: 'rows',
  spec: 'mixer',
  parent: 'weights of the model',
  teacher: 'weights of the teacher',
  student: 'weights of the hybrid',
  data: 'training text',
  align: 'alignment',
  supernet: 'super network',
};

/** Objects whose fields are told without the name of the object. */
const TRANSPARENT = ['schedule', 'shape', 'training', 'losses', 'optimizer'];

/** Follows from the number of steps. */
const DERIVED = ['warmup'];

const HASH = /^"[0-9a-f]{16,}"$/;

/** 'rows: 8 -> 4' for each setting that differs, in the order of the earlier one; a setting once. */
export function differences(before: unknown, now: unknown): string[] {
  const [was, is] = [leaves(before), leaves(now)];
  const names = [...new Set([...was.keys(), ...is.keys()])].filter((name) => was.get(name) !== is.get(name));
  // The sizes of another mixer are others, too.
  const replaced = names.filter((name) => was.has(name) && is.has(name));
  return names.flatMap((name) => {
    if (replaced.some((other) => name.startsWith(`${other} `))) return [];
    const [a, b] = [was.get(name), is.get(name)];
    if (a !== undefined && b !== undefined && HASH.test(a) && HASH.test(b)) return [`${name}: another one`];
    return [`${name}: ${a ?? 'none'} -> ${b ?? 'none'}`];
  });
}

/** The values of an object by the names that people know them by. */
function leaves(value: unknown, path: readonly string[] = []): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, each] of Object.entries((value ?? {}) as object)) {
    if (DERIVED.includes(key)) continue;
    const at = TRANSPARENT.includes(key) ? path : [...path, WORDS[key] ?? key];
    if (isMixer(each)) {
      const { kind, rope, ...sizes } = each;
      found.set(at.join(' '), rope === true ? `${kind}+rope` : kind);
      for (const [name, size] of leaves(sizes, at)) found.set(name, size);
    } else if (typeof each === 'object' && each !== null && !Array.isArray(each)) {
      for (const [name, leaf] of leaves(each, at)) found.set(name, leaf);
    } else if (each !== undefined) {
      found.set(at.join(' ') || key, JSON.stringify(each));
    }
  }
  return found;
}

function isMixer(value: unknown): value is { kind: string; rope?: unknown } {
  return typeof (value as { kind?: unknown } | null)?.kind === 'string';
}
