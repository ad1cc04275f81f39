import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Document } from '../../tasks/datasets/document.ts';
import { type ExampleScore, outcomeOf } from '../../tasks/harness.ts';
import { type Example, requestsOf } from '../../tasks/task.ts';
import { FILTERS, isRight, WRITING } from '../../tasks/written.ts';
import { writeFileAtomic } from '../../util/files.ts';
import type { JudgedTask } from './judged-task.ts';
import { fileName } from './score.ts';

/** Log-likelihoods of every document, a line each, by the fields that lm-evaluation-harness writes with --log_samples. */

const hashed = (text: string) => createHash('sha256').update(text).digest('hex');

/** As Python writes a truth; what is not known is None. */
const truth = (value: boolean | null) => (value === null ? 'None' : value ? 'True' : 'False');

/**
 * Writes samples_TASK.jsonl into a folder.
 *
 * @param written the answers, where the task has them written
 */
export function writeSamples(
  folder: string,
  task: JudgedTask,
  scores: readonly ExampleScore[],
  written?: readonly string[],
): void {
  const { set, examples = [], plan } = task;
  const lines = examples.flatMap((example, i) => {
    const { row } = set!.rows[i]!;
    const { loss, ...outcome } = outcomeOf(plan.examples[i]!, scores[i]!);
    const shared = { doc_id: i, doc: row, doc_hash: hashed(JSON.stringify(row)), gold_loss: loss };
    return written
      ? writtenSamples(set!.documents[i]!, task.prompts![i]!, written[i]!).map((each) => ({
          ...shared,
          ...each,
        }))
      : { ...shared, ...scoredSample(example, scores[i]!, outcome) };
  });
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  writeFileAtomic(join(folder, `samples_${fileName(task.name)}.jsonl`), text);
}

function scoredSample(
  example: Example,
  { logProbs, greedy }: ExampleScore,
  { correct, correctNorm }: { correct: boolean; correctNorm?: boolean },
): object {
  const requests = requestsOf(example);
  const whole = 'whole' in example;
  const responses = logProbs.map((logProb, j) =>
    whole ? String(logProb) : [String(logProb), truth(greedy[j]!)],
  );
  const target = targetOf(example);
  const measured = {
    ...(whole ? {} : { acc: Number(correct) }),
    ...(correctNorm !== undefined && { acc_norm: Number(correctNorm) }),
  };
  return {
    target,
    arguments: argumentsOf(requests),
    resps: responses.map((response) => [response]),
    ...{ filtered_resps: responses, filter: 'none', metrics: [...Object.keys(measured), 'gold_loss'] },
    ...{ prompt_hash: hashed(requests[0]![0]!), target_hash: hashed(target) },
    ...measured,
  };
}

/** A line for each way to take the answer from the text. */
function writtenSamples(document: Document, prompt: string, text: string): object[] {
  const target = 'target' in document ? document.target : '';
  return Object.entries(FILTERS).map(([filter, extract]) => ({
    target,
    arguments: argumentsOf([
      [prompt, { until: WRITING.until, max_gen_toks: WRITING.maxTokens, do_sample: false }],
    ]),
    ...{ resps: [[text]], filtered_resps: [extract(text)], filter, metrics: ['exact_match', 'gold_loss'] },
    ...{ prompt_hash: hashed(prompt), target_hash: hashed(target) },
    exact_match: Number(isRight(extract(text), target)),
  }));
}

function argumentsOf(requests: readonly (readonly unknown[])[]): object {
  const named = (name: string, values: readonly unknown[]) =>
    Object.fromEntries(values.map((value, i) => [`${name}_${i}`, value]));
  return named(
    'gen_args',
    requests.map((request) => named('arg', request)),
  );
}

/** The gold answer: an index, or the text. */
function targetOf(example: Example): string {
  if ('whole' in example) return example.whole;
  if ('answer' in example) return example.answer;
  return 'options' in example ? String(example.gold) : example.continuation.trim();
}
