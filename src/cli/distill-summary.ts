import { type Measure, taskMeasures } from '../report/measure.ts';
import { objectiveOf } from '../search/judge/judge.ts';
import type { ObjectiveTask } from '../tasks/objective.ts';
import { plain, table } from './table.ts';

/** What a hybrid kept of its teacher, stage by stage of its training, for people at a terminal. */

/** What a model reached on the tasks. */
export interface JudgedModel {
  model: string;
  tasks: Record<string, { accuracy: number; goldLossPerToken: number }>;
}

/** A row per model, each task by the measure that its objective names. */
export function scoreTable(tasks: readonly ObjectiveTask[], judged: readonly JudgedModel[]): string {
  const columns = taskMeasures({ objective: objectiveOf(tasks) }).flatMap((task) => task.columns);
  return plain(
    table(
      ['', ...columns.map(({ heading }) => heading)],
      judged.map((each) => [
        each.model === 'teacher' || each.model === 'hybrid' ? each.model : `after ${each.model}`,
        ...columns.map((measure) => measure.digits(valueIn(measure, each))),
      ]),
    ),
  );
}

/** How far the finished hybrid is from its teacher. */
export function againstTeacher(tasks: readonly ObjectiveTask[], judged: readonly JudgedModel[]): string {
  const [teacher, last] = [judged[0]!, judged.at(-1)!];
  const changes = taskMeasures({ objective: objectiveOf(tasks) }).map((measure) => {
    const change = valueIn(measure, last) - valueIn(measure, teacher);
    return `${measure.phrase} ${measure.showChange(change)}`;
  });
  return plain(
    `Against the teacher: ${changes.join(', ')} (one training: how far another would differ is not known).`,
  );
}

function valueIn(measure: Measure, { tasks }: JudgedModel): number {
  const judged = Object.entries(tasks).map(([name, task]) => [
    name,
    { ...task, goldLoss: task.goldLossPerToken },
  ]);
  return measure.of({ placement: [], score: 0, tasks: Object.fromEntries(judged) })!;
}
