import { median } from '../../src/util/statistics.ts';

/** The results as Markdown. */

interface Turns {
  /** Of each round. */
  seconds: number[];
  processorSeconds: number[];
}

export interface Measured {
  task: string;
  documents: number;
  /** Largest difference of a log-likelihood of float32 from the harness'. */
  difference: number;
  turns: Record<string, Turns>;
}

export interface EvalResults {
  date: string;
  command: string;
  machine: string;
  instructions: string | undefined;
  versions: Record<string, string>;
  threads: number;
  batch: number;
  tasks: Measured[];
}

export const HARNESS = 'lm-eval';
/** Contenders and how many times the harness' documents a second they are to reach. */
const TARGETS: Record<string, number> = { 'postnas f32': 2, 'postnas q8': 3 };

/** Documents a second, of all tasks together by the sum of their medians. */
function rate(tasks: readonly Measured[], name: string, by: keyof Turns): number {
  const documents = tasks.reduce((sum, task) => sum + task.documents, 0);
  return documents / tasks.reduce((sum, { turns }) => sum + median(turns[name]![by]), 0);
}

export function evalMarkdown(results: EvalResults): string {
  const { date, command, machine, instructions, versions, threads, batch, tasks } = results;
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const names = Object.keys(TARGETS);
  const rows = [...tasks.map((task) => [task]), ...(tasks.length > 1 ? [tasks] : [])].map((some) => {
    const ratio = (name: string, by: keyof Turns) => rate(some, name, by) / rate(some, HARNESS, by);
    const judged = (name: string) => {
      const value = ratio(name, 'seconds');
      return value < TARGETS[name]! ? `**${value.toFixed(2)}**` : value.toFixed(2);
    };
    return [
      some.length > 1 ? 'all' : some[0]!.task,
      String(some.reduce((sum, { documents }) => sum + documents, 0)),
      ...[HARNESS, ...names].map((name) => rate(some, name, 'seconds').toFixed(2)),
      ...names.map(judged),
      ...names.map((name) => ratio(name, 'processorSeconds').toFixed(2)),
      Math.max(...some.map(({ difference }) => difference)).toExponential(1),
    ];
  });
  const header = [
    'task',
    'documents',
    ...[HARNESS, ...names].map((name) => `${name}, documents/s`),
    ...names.map((name) => `${name} / ${HARNESS} (target ${TARGETS[name]})`),
    ...names.map((name) => `${name}, by processor time`),
    'f32, largest difference',
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return `# Scoring beside lm-evaluation-harness

Written by \`${command}\` on ${date}; the numbers behind it are in \`bench-eval.json\`. SmolLM2-135M, the same documents in
turns in processes that have the model loaded, tokenisation included, ${threads} threads: lm-evaluation-harness with its HF
backend (float32, batches of ${batch}), this package with float32 weights and with 8 bits. A rate is the median over
${tasks[0]?.turns[HARNESS]?.seconds.length ?? 0} rounds, a ratio that of medians; bold where the target is missed. Ratios by processor time say more where other processes
used the machine meanwhile.

${machine}; ${instructions ?? 'instruction sets not known'}; ${packages.join(', ')}.

${[line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')}
`;
}
