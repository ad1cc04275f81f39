import { join } from 'node:path';
import { type ExampleScore, type LogProbScorer, type Plan, scoreExamples } from '../../tasks/harness.ts';
import { noticeBy, type OnProgress } from '../../util/progress.ts';
import { hashOf, type Identity } from '../../util/store/identity.ts';
import { keep, recall } from '../../util/store/kept.ts';

/** Examples that are scored at once: enough for full batches, few enough that little is lost by an interruption. */
const CHUNK = 256;

export interface Keeping {
  /** Folder in which scores are kept. */
  folder: string;
  /** What they depend on beside the examples: the model, and how its weights are. */
  identity: Identity;
}

export interface TimedScores {
  scores: ExampleScore[];
  /** That scoring took, of all processes that did a part of it. */
  seconds: number;
}

/**
 * Scores a plan's examples a part at a time; parts that were scored before, by the same model on the same examples, are
 * read.
 *
 * @throws OtherWorkError where the folder keeps scores of other settings
 */
export async function scoreInParts(
  scorer: LogProbScorer,
  plan: Plan,
  {
    keeping,
    onProgress,
    signal,
  }: { keeping?: Keeping | undefined; onProgress?: OnProgress; signal?: AbortSignal },
): Promise<TimedScores> {
  const stage = plan.name;
  const path = keeping && join(keeping.folder, 'kept', `${fileName(plan.name)}.json`);
  const identity = keeping && { ...keeping.identity, examples: hashOf(plan) };
  const kept =
    path === undefined ? undefined : recall<TimedScores>(path, identity!, noticeBy(onProgress, stage));
  const done = kept ?? { scores: [], seconds: 0 };
  const total = plan.examples.length;
  const report = (count: number) => onProgress?.({ stage, done: count, total, unit: 'examples' });
  report(done.scores.length);
  while (done.scores.length < total) {
    const from = done.scores.length;
    const part = partOf(plan, from, Math.min(from + CHUNK, total));
    const began = performance.now();
    const scores = await scoreExamples(scorer, part, {
      ...(signal && { signal }),
      onProgress: ({ done, total }) => report(from + Math.floor((part.examples.length * done) / total)),
    });
    done.scores.push(...scores);
    done.seconds += (performance.now() - began) / 1000;
    if (path) keep(path, identity!, done);
    report(done.scores.length);
  }
  return done;
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
