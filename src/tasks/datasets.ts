/**
 * Public evaluation sets as tasks, all scored by log-probability: llm-foundry's JSON Lines in their three shapes
 * (delimiters after its tasks_v0.3.yaml), HellaSwag and MMLU (prompts after lm-evaluation-harness). No shots but
 * MMLU's, which come from its dev split.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { parseCsv } from './csv.ts';
import { asked, type Example, type Task } from './task.ts';

/** What is read from a line is unknown until looked at. */
type Line = Record<string, unknown>;

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');

const isIndex = (value: unknown, length: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < length;

/** A task that draws without replacement from all of a set's examples, read when first needed. */
function datasetTask(name: string, read: () => Example[]): Task {
  let all: Example[] | undefined;
  return {
    name,
    examples(count, seed, apart = []) {
      all ??= read();
      const taken = new Set(apart.map(asked));
      return new Random(seed).shuffled(all.filter((example) => !taken.has(asked(example)))).slice(0, count);
    },
  };
}

function readLines(path: string, toExample: (line: Line) => Example | undefined, shape: string): Example[] {
  const examples: Example[] = [];
  for (const [i, text] of readFileSync(path, 'utf8').split('\n').entries()) {
    if (text.trim() === '') continue;
    let example: Example | undefined;
    try {
      const line: unknown = JSON.parse(text);
      if (line && typeof line === 'object') example = toExample(line as Line);
    } catch {
      // Reported below, as every other line that is not of the shape.
    }
    if (!example) throw new InputError(`${path}, line ${i + 1}: expected ${shape}`);
    examples.push(example);
  }
  return examples;
}

/**
 * llm-foundry's shapes: {query, choices, gold}, {context, continuation}, {context_options, continuation, gold}.
 *
 * @param delimiter what stands between question and answer; its trailing space counts to the answer
 * @throws InputError, when examples are drawn, for a line of another shape
 */
export function jsonLinesTask(name: string, path: string, delimiter = ' '): Task {
  const toExample = (line: Line): Example | undefined => {
    const { query, choices, context, continuation, context_options: contexts, gold } = line;
    if (typeof query === 'string' && isStrings(choices) && isIndex(gold, choices.length)) {
      return { context: query + delimiter, options: choices, gold };
    }
    if (typeof continuation !== 'string') return undefined;
    if (typeof context === 'string') return { context: context + delimiter, answer: continuation };
    if (isStrings(contexts) && isIndex(gold, contexts.length)) {
      return { contexts: contexts.map((option) => option + delimiter), continuation, gold };
    }
    return undefined;
  };
  const shape =
    '{query, choices, gold}, {context, continuation} or {context_options, continuation, gold} as JSON';
  return datasetTask(name, () => readLines(path, toExample, shape));
}

/** WikiHow's markup in HellaSwag: '[title]' ends a heading, other brackets are dropped. */
const cleaned = (text: string) =>
  text
    .trim()
    .replaceAll(' [title]', '. ')
    .replace(/\[.*?\]/g, '')
    .replaceAll('  ', ' ');

/**
 * HellaSwag (Zellers et al. 2019). The score is lm-evaluation-harness's `acc`; `acc_norm`, which divides by length,
 * is not computed.
 */
export function hellaswagTask(path: string): Task {
  const toExample = (line: Line): Example | undefined => {
    const { activity_label: activity, ctx_a: first, ctx_b: second, endings, label } = line;
    if (typeof activity !== 'string' || typeof first !== 'string' || typeof second !== 'string')
      return undefined;
    if (!isStrings(endings) || !isIndex(label, endings.length)) return undefined;
    const begun = second.charAt(0).toUpperCase() + second.slice(1).toLowerCase();
    const context = cleaned(`${activity}: ${first} ${begun}`);
    return { context, options: endings.map((ending) => ` ${cleaned(ending)}`), gold: label };
  };
  const shape = '{activity_label, ctx_a, ctx_b, endings, label} as JSON';
  return datasetTask('hellaswag', () => readLines(path, toExample, shape));
}

const letters = ['A', 'B', 'C', 'D'];

interface Question {
  text: string;
  gold: number;
}

function readQuestions(path: string): Question[] {
  const [header, ...rows] = parseCsv(readFileSync(path, 'utf8'));
  if (header?.join() !== 'question,choice0,choice1,choice2,choice3,answer') {
    throw new InputError(`${path}: expected the columns question, choice0 to choice3, answer`);
  }
  return rows.map((row, i) => {
    const gold = Number(row[5]);
    if (row.length !== 6 || row[5] === '' || !isIndex(gold, 4)) {
      throw new InputError(
        `${path}, row ${i + 2}: expected 6 fields, the last from 0 to 3, got ${row.length}`,
      );
    }
    const options = letters.map((letter, j) => `${letter}. ${row[j + 1]}`);
    return { text: `${row[0]!.trim()}\n${options.join('\n')}\nAnswer:`, gold };
  });
}

/**
 * MMLU (Hendrycks et al. 2021), scored by the letters.
 *
 * @param folder has dev/<subject>_dev.csv and test/<subject>_test.csv
 * @param shots solved questions of the subject in front, from 0 to 5
 */
export function mmluTask(folder: string, shots = 5): Task {
  return datasetTask('mmlu', () =>
    readdirSync(join(folder, 'test'))
      .sort()
      .flatMap((file) => {
        const subject = file.replace('_test.csv', '');
        const solved = readQuestions(join(folder, 'dev', `${subject}_dev.csv`))
          .slice(0, shots)
          .map(({ text, gold }) => `${text} ${letters[gold]}\n\n`);
        const about = subject.replaceAll('_', ' ');
        const prompt = `The following are multiple choice questions (with answers) about ${about}.\n\n`;
        return readQuestions(join(folder, 'test', file)).map(
          ({ text, gold }): Example => ({
            context: prompt + solved.join('') + text,
            options: letters.map((letter) => ` ${letter}`),
            gold,
          }),
        );
      }),
  );
}

/** Sets whose answers stand behind 'Answer:'; the others follow behind a space. */
const answered = new Set(['arc_easy', 'arc_challenge', 'piqa', 'boolq']);

/**
 * The tasks for which a folder has files: llm-foundry/*.jsonl by their names, hellaswag/hellaswag.jsonl, mmlu/.
 *
 * @throws InputError if there are none
 */
export function evaluationTasks(folder: string): Task[] {
  const tasks: Task[] = [];
  const foundry = join(folder, 'llm-foundry');
  for (const file of existsSync(foundry) ? readdirSync(foundry).sort() : []) {
    if (!file.endsWith('.jsonl')) continue;
    const name = file.slice(0, -'.jsonl'.length);
    tasks.push(jsonLinesTask(name, join(foundry, file), answered.has(name) ? '\nAnswer: ' : ' '));
  }
  const hellaswag = join(folder, 'hellaswag', 'hellaswag.jsonl');
  if (existsSync(hellaswag)) tasks.push(hellaswagTask(hellaswag));
  if (existsSync(join(folder, 'mmlu', 'test'))) tasks.push(mmluTask(join(folder, 'mmlu')));
  if (tasks.length === 0) {
    throw new InputError(`${folder}: expected llm-foundry/*.jsonl, hellaswag/hellaswag.jsonl or mmlu/test`);
  }
  return tasks;
}
