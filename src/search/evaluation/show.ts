import { loadTokenizer } from '../../model/folder.ts';
import { resolveModel } from '../../model/hub.ts';
import { firstExamples } from '../../tasks/datasets/dataset.ts';
import { type DatasetSource, loadDatasets } from '../../tasks/datasets/load.ts';
import { isPublic } from '../../tasks/datasets/sets.ts';
import { fullName, namedTask } from '../../tasks/named-task.ts';
import { SEARCHED } from '../../tasks/objective.ts';
import { type Example, requestsOf } from '../../tasks/task.ts';

/**
 * The first example of a task as text: what a model reads, and what it is asked about, each behind a line that says so.
 *
 * @param model whose tokenizer measures the length of generated tasks
 * @param seed of the shots, or of what is drawn
 * @throws InputError for a task that does not exist, and for files as loadDatasets does
 */
export async function exampleText(
  name: string,
  model: string,
  { seed, ...source }: DatasetSource & { seed?: number | undefined } = {},
): Promise<string> {
  return shown(
    isPublic(name)
      ? await publicExample(name, source, seed)
      : await drawnExample(fullName(name), model, seed, source),
  );
}

async function publicExample(name: string, source: DatasetSource, seed?: number): Promise<Example> {
  const [set] = await loadDatasets(name, source);
  return firstExamples(set!, 1, seed)[0]!;
}

async function drawnExample(
  name: string,
  model: string,
  seed: number | undefined,
  { onProgress, signal }: DatasetSource,
): Promise<Example> {
  const fetching = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  const { task } = await namedTask(name, loadTokenizer(await resolveModel(model, fetching)), {});
  return task.examples(1, seed ?? SEARCHED)[0]!;
}

function shown(example: Example): string {
  const requests = requestsOf(example);
  if ('whole' in example) return `--- predicted:\n${example.whole}`;
  const gold = 'gold' in example ? example.gold : 0;
  const mark = (i: number) => (i === gold ? ' (right)' : '');
  const [first] = requests as [string[], ...string[][]];
  if ('contexts' in example) {
    return [
      ...requests.map(([context], i) => `--- context ${i + 1}${mark(i)}:\n${context}`),
      `--- goes on:\n${first[1]}`,
    ].join('\n');
  }
  const answers = requests.map(([, answer], i) =>
    requests.length === 1 ? `--- answer:\n${answer}` : `--- answer ${i + 1}${mark(i)}:\n${answer}`,
  );
  return [`--- context:\n${first[0]}`, ...answers].join('\n');
}
