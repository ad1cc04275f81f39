import { readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { InputError } from '../../util/errors.ts';
import { systemMeaning } from '../../util/system-errors.ts';
import type { Description, Split } from './description.ts';
import { ENDINGS, endingOf } from './rows.ts';

/**
 * Which files of a folder have a split of a set, by their names: copies of the Hub's repositories
 * (`ai2_arc/ARC-Easy/test-00000-of-00001.parquet`), files by the name of the task (`arc_easy.jsonl`,
 * `anatomy_dev.csv`), and such files in folders (`llm-foundry/arc_easy.jsonl`, `gsm8k/test.jsonl`).
 */

/** Levels of folders that are looked into. */
const DEEPEST = 5;
const SPLITS: readonly [Split, RegExp][] = [
  ['train', /(^|[-_.])train(ing)?([-_.]|$)/i],
  ['validation', /(^|[-_.])(val|valid|validation)([-_.]|$)/i],
  ['test', /(^|[-_.])test([-_.]|$)/i],
  ['dev', /(^|[-_.])dev([-_.]|$)/i],
];

interface Found {
  path: string;
  /** Folders and the file's name without its ending, below the folder that is looked into. */
  parts: string[];
  split: Split | undefined;
}

/** All data files of a folder, in the order of their names. @throws InputError for no folder, or one without such files */
export function dataFiles(folder: string): string[] {
  try {
    if (!statSync(folder).isDirectory())
      throw new InputError(`${folder} is no folder, expected one with data sets`);
    const files = below(folder, DEEPEST);
    if (files.length > 0) return files;
  } catch (error) {
    const meaning = systemMeaning(error);
    if (meaning === undefined) throw error;
    throw new InputError(`${folder}: ${meaning}; expected a folder with data sets`);
  }
  throw new InputError(`${folder}: expected files that end in .${ENDINGS.join(', .')}`);
}

function below(folder: string, levels: number): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) return [];
    if (statSync(path).isDirectory()) return levels > 0 ? below(path, levels - 1) : [];
    return ENDINGS.includes(endingOf(path)) ? [path] : [];
  });
}

/**
 * The files of a split, in the order of their names.
 *
 * @param folder where the files are; its own name may be that of the set
 * @param split the one that is judged is also a file whose name says no split
 * @throws InputError where there are none
 */
export function filesOfSplit(
  files: readonly string[],
  folder: string,
  description: Description,
  split: Split,
): string[] {
  const found = files.map((path): Found => {
    const parts = relative(folder, path).split(sep);
    parts.push(parts.pop()!.replace(/(-\d+-of-\d+)?\.\w+$/, ''));
    return { path, parts, split: splitOf(parts) };
  });
  const names = namesOf(description);
  for (const name of names) {
    const named = found.filter(({ parts }) => parts.some((part) => isNamed(part, name)));
    const own = inConfiguration(named, description);
    const chosen = own.filter((each) => each.split === split);
    if (chosen.length > 0) return pathsOf(chosen);
    const unsaid = own.filter((each) => each.split === undefined);
    if (split === description.split && unsaid.length > 0) return pathsOf(unsaid);
  }
  throw new InputError(
    `${folder || description.repo} has no ${split} split of ${description.name}: expected a file such as ${description.name}/${split}.jsonl ` +
      `(names that are looked for: ${names.join(', ')}; endings: .${ENDINGS.join(', .')})`,
  );
}

/** Of files in several folders those of the uppermost: what lies deeper is a copy, or what an evaluation left. */
function pathsOf(found: readonly Found[]): string[] {
  const [first] = [...found].sort((a, b) => a.parts.length - b.parts.length);
  return found.flatMap(({ path }) => (dirname(path) === dirname(first!.path) ? path : []));
}

/** What files of a set are called; the configuration first, whose name says most. */
function namesOf({ name, config, alsoNamed = [], repo }: Description): string[] {
  const own = config === undefined || config === 'main' || config === 'default' ? [] : [config];
  const repository = own.length === 0 ? [repo.split('/')[1]!] : [];
  return [...new Set([...own, name, ...alsoNamed, ...repository])];
}

/** Whether a part of a path is a name, but for the split: 'anatomy_test' is 'anatomy'. */
function isNamed(part: string, name: string): boolean {
  const [is, wanted] = [part.toLowerCase(), name.toLowerCase()];
  return (
    is === wanted ||
    (is.startsWith(wanted) &&
      splitOf([part.slice(name.length)]) !== undefined &&
      /^[-_.]/.test(part.slice(name.length)))
  );
}

/** Of the files of several configurations those of the set's own. */
function inConfiguration(found: readonly Found[], { config }: Description): readonly Found[] {
  const own = found.filter(({ parts }) => parts.some((part) => part.toLowerCase() === config?.toLowerCase()));
  return own.length > 0 ? own : found;
}

/** The split that the last part of a path says, or else a folder. */
function splitOf(parts: readonly string[]): Split | undefined {
  for (const part of [...parts].reverse()) {
    const said = SPLITS.find(([, pattern]) => pattern.test(part));
    if (said) return said[0];
  }
  return undefined;
}
