import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type ExampleScore, outcomeOf } from '../../tasks/harness.ts';
import { type Example, requestsOf } from '../../tasks/task.ts';
import { writeFileAtomic } from '../../util/files.ts';
import type { JudgedTask } from './judged-task.ts';
import { fileName } from './score.ts';

/** Log-likelihoods of every document, a line each, by the fields that lm-evaluation-harness writes with --log_samples. */

const hashed = (text: string) => createHash('sha256').update(text).digest('hex');

/** As Python writes a truth; what is not known is None. */
const truth = (value: boolean | null) => (value === null ? 'None' : value ? 'True' : 'False');

/** Writes samples_TASK.jsonl into a folder. */
export function writeSamples(folder: string, task: JudgedTask, scores: readonly ExampleScore[]): void {
  const { set, examples = [], plan } = task;
  const lines = examples.map((example, i) => {
    const { row } = set!.rows[i]!;
    const score = scores[i]!;
    const { correct, correctNorm, loss } = outcomeOf(plan.examples[i]!, score);
    const requests = requestsOf(example);
    const responses = score.logProbs.map((logProb, j) => [String(logProb), truth(score.greedy[j]!)]);
    const whole = 'whole' in example;
    const target = targetOf(example);
    return JSON.stringify({
      doc_id: i,
      doc: row,
      target,
      arguments: Object.fromEntries(
        requests.map((request, j) => [
          `gen_args_${j}`,
          Object.fromEntries(request.map((text, k) => [`arg_${k}`, text])),
        ]),
      ),
      resps: responses.map((response) => [whole ? response[0] : response]),
      filtered_resps: responses.map((response) => (whole ? response[0] : response)),
      filter: 'none',
      metrics: whole ? [] : ['acc', ...(correctNorm === undefined ? [] : ['acc_norm']), 'gold_loss'],
      doc_hash: hashed(JSON.stringify(row)),
      prompt_hash: hashed(requests[0]![0]!),
      target_hash: hashed(target),
      ...(whole ? {} : { acc: Number(correct) }),
      ...(correctNorm !== undefined && { acc_norm: Number(correctNorm) }),
      gold_loss: loss,
    });
  });
  writeFileAtomic(
    join(folder, `samples_${fileName(task.name)}.jsonl`),
    lines.map((line) => `${line}\n`).join(''),
  );
}

/** The gold answer: an index, or the text. */
function targetOf(example: Example): string {
  if ('whole' in example) return example.whole;
  if ('answer' in example) return example.answer;
  return 'options' in example ? String(example.gold) : example.continuation.trim();
}
