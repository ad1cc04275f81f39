import { InputError } from '../../util/errors.ts';
import { PythonRandom } from '../../util/python-random.ts';
import { Random } from '../../util/random.ts';
import { asked, type Example, type Task } from '../task.ts';
import type { Description, Split } from './description.ts';
import { type Document, exampleOf, shotOf } from './document.ts';
import { type PlacedRow, rowsOf } from './rows.ts';

/** A set whose files were read. */
export interface Dataset {
  description: Description;
  /** Rows as the files have them, and what they ask. */
  rows: readonly PlacedRow[];
  documents: readonly Document[];
  /** Solved examples that stand in front of a document. */
  shots: number;
  /** What they are taken from; empty without shots. */
  pool: readonly Document[];
}

/** Seed of lm-evaluation-harness for drawing shots, unless it is told another. */
export const SHOTS_SEED = 1234;

/**
 * @param files gives those of a split
 * @param shots the harness' own number unless told
 * @throws InputError for files that cannot be read and rows that are not as expected, naming file and line, and for more
 *   shots than there are
 */
export async function readDataset(
  description: Description,
  files: (split: Split) => Promise<readonly string[]>,
  shots = description.shots ?? 0,
): Promise<Dataset> {
  const { name, split, shotSplit, columns } = description;
  const read = async (split: Split) => {
    const rows: PlacedRow[] = [];
    for (const path of await files(split)) rows.push(...(await rowsOf(path, columns)));
    return { rows, documents: rows.map((row) => documentOf(description, row)) };
  };
  const { rows, documents } = await read(split);
  if (documents.length === 0) throw new InputError(`${name}: its files have no rows`);
  const needed = shots > 0 && description.kind !== 'text';
  const pool = !needed ? [] : split === shotSplit ? documents : (await read(shotSplit)).documents;
  const most = pool.length - (description.shotsWithoutDocument ? 1 : 0);
  if (needed && shots > most) {
    throw new InputError(
      `${name}: ${shots} shots, expected at most ${most}: the ${shotSplit} split has no more`,
    );
  }
  return { description, rows, documents, shots: needed ? shots : 0, pool };
}

function documentOf({ name, document }: Description, { row, place }: PlacedRow): Document {
  try {
    return document(row);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${place}: ${error.message} (${name})`);
    throw error;
  }
}

/**
 * The first examples of a set in the order of its file, each behind its shots. Shots are drawn as lm-evaluation-harness
 * draws them, with Python's generator, one document after the other: with the same seed they are the same.
 */
export function firstExamples(set: Dataset, count = set.documents.length, seed = SHOTS_SEED): Example[] {
  return withShots(set, set.documents.slice(0, count), seed);
}

/** What stands in front of each document. */
function withShots(
  { description, shots, pool }: Dataset,
  documents: readonly Document[],
  seed: number,
): Example[] {
  const { preamble = '', firstShots, shotsWithoutDocument, normalised } = description;
  const random = new PythonRandom(seed);
  const draw = (document: Document): readonly Document[] => {
    if (shots === 0) return [];
    if (firstShots) return pool.slice(0, shots);
    if (!shotsWithoutDocument) return random.sample(pool, shots);
    const others = (drawn: readonly Document[]) => drawn.filter((each) => !isSame(each, document));
    const left = others(random.sample(pool, shots + 1)).slice(0, shots);
    return left.length < shots ? random.sample(others(pool), shots) : left;
  };
  return documents.map((document) =>
    exampleOf(document, preamble + draw(document).map(shotOf).join(''), normalised),
  );
}

const isSame = (a: Document, b: Document) => a === b || JSON.stringify(a) === JSON.stringify(b);

/**
 * Sets as one task, which draws without replacement from all of their documents.
 *
 * @param seed of the shots
 */
export function drawnTask(name: string, sets: readonly Dataset[], seed = SHOTS_SEED): Task {
  return {
    name,
    examples(count, drawSeed, apart = []) {
      const taken = new Set(apart.map(asked));
      const all = sets.flatMap((set) => set.documents.map((document) => ({ set, document })));
      // A question that is there twice counts once.
      const different = new Map(all.map((each) => [JSON.stringify(each.document), each]));
      const left = [...different].flatMap(([asks, each]) => (taken.has(asks) ? [] : each));
      if (count > left.length) {
        throw new InputError(
          `task ${name}: ${count} examples were asked for${apart.length > 0 ? `, none of them among ${apart.length} others,` : ''} ` +
            `but only ${left.length} are left: expected fewer examples`,
        );
      }
      const drawn = new Random(drawSeed).shuffled(left).slice(0, count);
      return drawn.flatMap(({ set, document }) => withShots(set, [document], seed));
    },
  };
}
