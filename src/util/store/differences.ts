/** How two identities differ, in words for people. */

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
  network: 'weights of the network',
  data: 'training text',
  align: 'alignment',
  supernet: 'super network',
  tasks: 'tasks',
  unseenTasks: 'unseen tasks',
  finalTasks: 'tasks of the final judgement',
  generation: 'generation config',
  numbers: 'version of what is computed',
  sources: 'source of the mixer',
};

/** Objects whose fields are told without the name of the object. */
const TRANSPARENT = ['schedule', 'shape', 'training', 'losses', 'optimizer', 'found'];

/** Follows from the number of steps. */
const DERIVED = ['warmup'];

const HASH = /^"[0-9a-f]{16,}"$/;
/** Names of several things. */
const SEVERAL = /weights|examples/;
/** Characters of a value that a line shows. */
const SHOWN = 120;

/** 'rows: 8 -> 4' for each setting that differs, in the order of the earlier one; a setting once. */
export function differences(before: unknown, now: unknown): string[] {
  const [was, is] = [leaves(before), leaves(now)];
  const names = [...new Set([...was.keys(), ...is.keys()])].filter((name) => was.get(name) !== is.get(name));
  // The sizes of another mixer are others, too, and so are the examples of other tasks.
  const replaced = names.filter((name) => was.has(name) && is.has(name));
  const lines = names.flatMap((name) => {
    if (replaced.some((other) => name.startsWith(`${other} `))) return [];
    const group = name.split(' ')[0]!;
    // Of a whole part that only one of them has, one line is enough.
    if (sizeOf(was, group) === 0 && sizeOf(is, group) >= PART) return [`${group}: none before`];
    if (sizeOf(is, group) === 0 && sizeOf(was, group) >= PART) return [`${group}: none any more`];
    const [a, b] = [was.get(name), is.get(name)];
    if (a !== undefined && b !== undefined && (HASH.test(a) || a.length > SHOWN || b.length > SHOWN)) {
      return [`${name}: ${SEVERAL.test(name) ? 'others' : 'another one'}`];
    }
    return [`${name}: ${a ?? 'none'} -> ${b ?? 'none'}`];
  });
  return [...new Set(lines)];
}

/** Fields that make a part. */
const PART = 4;

/** How many fields there are below a name. */
function sizeOf(all: Map<string, string>, part: string): number {
  return [...all.keys()].filter((name) => name.startsWith(`${part} `)).length;
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
    } else if (isTasks(each)) {
      const { names, ...tasks } = each;
      found.set(at.join(' '), names.join(', '));
      for (const [name, leaf] of leaves(tasks, at)) found.set(name, leaf);
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

/** What a list of tasks is in an identity: their names in order, and each by its name. */
function isTasks(value: unknown): value is { names: string[] } {
  return Array.isArray((value as { names?: unknown } | null)?.names);
}
