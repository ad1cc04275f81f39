import { join } from 'node:path';
import type { Model } from '../../runtime/model.ts';
import {
  type ExampleScore,
  type LogProbScorer,
  type Plan,
  type ScoreOptions,
  scoreExamples,
} from '../../tasks/harness.ts';
import { WRITING, writeAnswers } from '../../tasks/written.ts';
import { noticeBy, type OnProgress } from '../../util/progress.ts';
import { hashOf, type Identity } from '../../util/store/identity.ts';
import { keep, recall } from '../../util/store/kept.ts';

/** Examples of a part: enough for full batches, few enough that little is lost by an interruption. */
const [SCORED, WRITTEN] = [256, 64];

interface Keeping {
  /** Folder in which scores are kept. */
  folder: string;
  /** What they depend on beside the examples: the model, and how its weights are. */
  identity: Identity;
}

/** What was found out about examples, one value each, and the seconds that it took, of all processes that did a part. */
export interface Timed<T> {
  found: T[];
  seconds: number;
}

interface Control {
  keeping?: Keeping | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Scores a plan's examples a part at a time; parts that were scored before, by the same model on the same examples, are
 * read.
 *
 * @throws OtherWorkError where the folder keeps scores of other settings
 */
export function scoreInParts(
  scorer: LogProbScorer,
  plan: Plan,
  control: Control,
): Promise<Timed<ExampleScore>> {
  const work = { name: plan.name, count: plan.examples.length, size: SCORED, identity: hashOf(plan) };
  return inParts(
    work,
    (from, to, options) => scoreExamples(scorer, partOf(plan, from, to), options),
    control,
  );
}

/** Has answers written, kept in the same way. @throws OtherWorkError where the folder keeps answers of other settings */
export function writeInParts(
  model: Model,
  { name, prompts, contextLength }: { name: string; prompts: readonly string[]; contextLength: number },
  control: Control,
): Promise<Timed<string>> {
  const identity = hashOf(prompts, contextLength, WRITING);
  const write = (from: number, to: number, options: ScoreOptions) =>
    writeAnswers(model, prompts.slice(from, to), contextLength, options);
  return inParts({ name: `${name}.written`, count: prompts.length, size: WRITTEN, identity }, write, control);
}

async function inParts<T>(
  { name, count, size, identity }: { name: string; count: number; size: number; identity: string },
  find: (from: number, to: number, options: ScoreOptions) => Promise<T[]>,
  { keeping, onProgress, signal }: Control,
): Promise<Timed<T>> {
  const path = keeping && join(keeping.folder, 'kept', `${fileName(name)}.json`);
  const all = keeping && { ...keeping.identity, examples: identity };
  const kept = path === undefined ? undefined : recall<Timed<T>>(path, all!, noticeBy(onProgress, name));
  const so: Timed<T> = kept ?? { found: [], seconds: 0 };
  const report = (done: number) => onProgress?.({ stage: name, done, total: count, unit: 'examples' });
  report(so.found.length);
  while (so.found.length < count) {
    signal?.throwIfAborted();
    const from = so.found.length;
    const to = Math.min(from + size, count);
    const began = performance.now();
    const part = await find(from, to, {
      ...(signal && { signal }),
      onProgress: ({ done, total }) => report(from + Math.floor(((to - from) * done) / total)),
    });
    so.found.push(...part);
    so.seconds += (performance.now() - began) / 1000;
    if (path !== undefined) keep(path, all!, so);
  }
  report(count);
  return so;
}

/** A task's name as that of a file. */
export function fileName(task: string): string {
  return task.replace(/[^\w@.-]/g, '_');
}

/** Some of a plan's examples with the rows that they need. */
function partOf(plan: Plan, from: number, to: number): Plan {
  const examples = plan.examples.slice(from, to);
  const needed = [...new Set(examples.flatMap(({ slots }) => slots.map(({ row }) => row)))].sort(
    (a, b) => a - b,
  );
  const place = new Map(needed.map((row, i) => [row, i]));
  return {
    ...plan,
    rows: needed.map((row) => plan.rows[row]!),
    examples: examples.map((example) => ({
      ...example,
      slots: example.slots.map((slot) => ({ ...slot, row: place.get(slot.row)! })),
    })),
  };
}
