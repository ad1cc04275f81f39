import { join } from 'node:path';
import { taskMeasures } from '../report/measure.ts';
import type { Result } from '../search/result.ts';
import type { FinalResult } from '../search/stages/final/result.ts';
import type { Judged } from '../search/stages/placement/searcher.ts';
import { moreText } from '../train/forecast.ts';
import { duration } from './progress.ts';
import { plain, table } from './table.ts';

/** What a hybrid kept of its teacher, stage by stage of its training, for people at a terminal. */
export function distillSummary(result: Result, { out }: { out: string }): string {
  const final = result.final!;
  const [{ stages, hybrid } = { stages: [], hybrid: '' }] = final.runs;
  const trained = stages.filter(({ steps }) => steps > 0);
  const sum = (value: (stage: (typeof stages)[number]) => number) =>
    stages.reduce((total, stage) => total + value(stage), 0);
  return plain(
    [
      scoreTable(final),
      againstTeacher(final),
      '',
      ...trained.map(stageLine),
      `${sum(({ tokens }) => tokens).toLocaleString('en')} tokens in ${duration(sum(({ seconds }) => seconds))}`,
      `report:  ${join(out, 'report.html')}`,
      `hybrid:  ${hybrid}`,
      '',
      'next, use it, or see what it takes:',
      `  postnas generate ${hybrid} --prompt "Once upon a time"`,
      `  postnas info ${hybrid}`,
    ].join('\n'),
  );
}

/** 'all: 400 steps, loss 0.0310; on held-out text 0.0520 -> 0.0330 nats from the teacher; 12 min more: about ...' */
function stageLine({
  name,
  steps,
  loss,
  ended,
  curve = [],
  more = null,
}: FinalResult['runs'][number]['stages'][number]): string {
  const [first, last] = [curve[0], curve.at(-1)];
  const best = Math.min(...curve.map(({ divergence }) => divergence));
  const end = ended === 'patience' ? ', ended for want of progress, the best weights kept' : '';
  const trained = `${name}: ${steps} steps, loss ${loss.toFixed(4)}${end}`;
  if (!first || !last) return trained;
  const to = ended === 'patience' ? best : last.divergence;
  return `${trained}; on held-out text ${first.divergence.toFixed(4)} -> ${to.toFixed(4)} nats from the teacher; ${moreText(more)}`;
}

/** A row per model, each task by the measure that its objective names. */
function scoreTable(final: FinalResult): string {
  const columns = taskMeasures(final).flatMap((task) => task.columns);
  const row = (name: string, judged: Judged) => [
    name,
    ...columns.map((measure) => measure.digits(measure.of(judged)!)),
  ];
  const stages = final.runs[0]!.stages.map(({ name, judged }) =>
    row(name === 'search' ? 'hybrid' : `after ${name}`, judged),
  );
  return table(['', ...columns.map(({ heading }) => heading)], [row('teacher', final.base), ...stages]);
}

/** How far the finished hybrid is from its teacher. */
function againstTeacher(final: FinalResult): string {
  const last = final.runs[0]!.stages.at(-1)!.judged;
  const changes = taskMeasures(final).map(
    (measure) => `${measure.phrase} ${measure.showChange(measure.of(last)! - measure.of(final.base)!)}`,
  );
  return `Against the teacher: ${changes.join(', ')} (one training: how far another would differ is not known).`;
}
