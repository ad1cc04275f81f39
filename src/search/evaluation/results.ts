import type { Measure } from '../../tasks/measures.ts';
import { pooled } from '../../tasks/measures.ts';
import { groupsIn, type JudgedTask } from './judged-task.ts';

/** What was found on one task. */
export interface TaskResult extends Pick<JudgedTask, 'name' | 'set'> {
  examples: number;
  measures: readonly Measure[];
  seconds: number;
}

/** A row of lm-evaluation-harness' results: 'acc,none', 'acc_stderr,none', ... */
type Row = Record<string, number | string>;

/** Results by the fields of lm-evaluation-harness, whose readers take them. */
export interface HarnessResults {
  results: Record<string, Row>;
  groups?: Record<string, Row>;
  group_subtasks?: Record<string, readonly string[]>;
  configs: Record<string, object>;
  versions: Record<string, number>;
  'n-shot': Record<string, number>;
  higher_is_better: Record<string, Record<string, boolean>>;
  'n-samples': Record<string, { original: number; effective: number }>;
  config: object;
}

const byNames = <T>(tasks: readonly TaskResult[], of: (task: TaskResult) => T): Record<string, T> =>
  Object.fromEntries(tasks.map((task) => [task.name, of(task)]));

function rowOf(name: string, measures: readonly Measure[]): Row {
  const fields = measures.flatMap(({ metric, filter, value, stderr }) => [
    [`${metric},${filter}`, value],
    [`${metric}_stderr,${filter}`, stderr ?? 'N/A'],
  ]);
  return { alias: name, ...Object.fromEntries(fields) };
}

/** Tasks that belong together, as one. */
function groupResults(tasks: readonly TaskResult[]) {
  return groupsIn(tasks.map(({ name }) => name)).map(([name, names]) => ({
    ...{ name, names, measures: pooled(tasks.filter((task) => names.includes(task.name))) },
  }));
}

/** @param config how it was found */
export function harnessResults(tasks: readonly TaskResult[], config: object): HarnessResults {
  const groups = groupResults(tasks);
  const ofSets = tasks.filter(({ set }) => set);
  return {
    results: {
      ...byNames(tasks, ({ name, measures }) => rowOf(name, measures)),
      ...Object.fromEntries(groups.map(({ name, measures }) => [name, rowOf(name, measures)])),
    },
    ...(groups.length > 0 && {
      groups: Object.fromEntries(groups.map(({ name, measures }) => [name, rowOf(name, measures)])),
      group_subtasks: Object.fromEntries(groups.map(({ name, names }) => [name, names])),
    }),
    configs: byNames(ofSets, ({ set }) => {
      const { name, repo, config, kind, split, shotSplit } = set!.description;
      return {
        ...{ task: name, dataset_path: repo, dataset_name: config ?? null, output_type: OUTPUTS[kind] },
        ...{ test_split: split, fewshot_split: shotSplit, num_fewshot: set!.shots },
      };
    }),
    versions: byNames(ofSets, ({ set }) => set!.description.version),
    'n-shot': byNames(tasks, ({ set }) => set?.shots ?? 0),
    higher_is_better: byNames(tasks, ({ measures }) =>
      Object.fromEntries(measures.map(({ metric, higherIsBetter }) => [metric, higherIsBetter])),
    ),
    'n-samples': byNames(tasks, ({ set, examples }) => ({
      ...{ original: set?.documents.length ?? examples, effective: examples },
    })),
    config,
  };
}

/** How the harness calls what is asked. */
const OUTPUTS = {
  answer: 'loglikelihood',
  choice: 'multiple_choice',
  generation: 'generate_until',
  text: 'loglikelihood_rolling',
};

const HEADER = ['Tasks', 'Version', 'Filter', 'n-shot', 'Metric', '', 'Value', '', 'Stderr', '95 % interval'];

/** The table that lm-evaluation-harness prints, in Markdown, with intervals beside the standard errors. */
export function resultsTable(tasks: readonly TaskResult[]): string {
  const groups = groupResults(tasks);
  const rows = [
    ...groups.flatMap(({ name, measures }) => linesOf(name, '', '', measures)),
    ...tasks.flatMap(({ name, set, measures }) =>
      linesOf(name, set ? String(set.description.version) : '', String(set?.shots ?? 0), measures),
    ),
  ];
  return markdown(HEADER, rows);
}

const digits = (value: number) => (Math.abs(value) < 1000 ? value.toFixed(4) : value.toExponential(4));

function linesOf(name: string, version: string, shots: string, measures: readonly Measure[]): string[][] {
  return measures.map(({ metric, filter, value, stderr, interval, higherIsBetter }, i) => [
    ...(i === 0 ? [name, version] : ['', '']),
    ...[filter, shots, metric, higherIsBetter ? '↑' : '↓', digits(value)],
    ...(stderr === undefined ? ['', ''] : ['±', digits(stderr)]),
    interval ? interval.map(digits).join(' to ') : '',
  ]);
}

/** Columns of numbers are aligned to the right. */
function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = header.map((title) => ['Version', 'n-shot', 'Value', 'Stderr'].includes(title));
  const width = header.map((title, i) => Math.max(3, title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `|${cells.map((cell, i) => (right[i] ? cell.padStart(width[i]!) : cell.padEnd(width[i]!))).join('|')}|`;
  const rule = width.map((w, i) => (right[i] ? `${'-'.repeat(w - 1)}:` : '-'.repeat(w)));
  return [line(header), `|${rule.join('|')}|`, ...rows.map(line)].join('\n');
}
