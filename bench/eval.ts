import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ENGINE_VERSION } from '../src/graph/index.ts';
import { writeFileAtomic } from '../src/util/files.ts';
import { Contender, type Requests } from './eval/contenders.ts';
import { type EvalResults, evalMarkdown, HARNESS, type Measured } from './eval/report.ts';
import { instructionSets } from './peers/instructions.ts';

/** Documents a second beside lm-evaluation-harness with its HF backend. */

const USAGE = `npm run bench -- eval --python FOLDER [options]

  --python FOLDER    a virtual environment with torch, transformers and lm-eval[hf]==0.4.13
  --model FOLDER     (.cache/smollm2/hf, or that of $POSTNAS_CACHE; scripts/fetch-smollm2.mjs)
  --data FOLDER      rows of the tasks (../shared/data/eval)
  --task NAME        may be given again (the eight of docs/eval.md)
  --documents N      of each task; of mmlu 4 each of a quarter as many subjects (32)
  --rounds N         (3)
  --threads N        (2)
  --batch N          of the harness (8)
  --out PATH         of the report, without its ending (docs/bench-eval)`;

const TASKS = [
  'lambada_openai',
  'arc_easy',
  'piqa',
  'winogrande',
  'hellaswag',
  'boolq',
  'openbookqa',
  'mmlu',
];

export async function main(args: string[]): Promise<void> {
  const one = (value: string) => ({ type: 'string', default: value }) as const;
  const { values } = parseArgs({
    args,
    options: {
      python: { type: 'string' },
      model: one(join(process.env.POSTNAS_CACHE ?? '.cache', 'smollm2/hf')),
      data: one('../shared/data/eval'),
      task: { type: 'string', multiple: true, default: TASKS },
      documents: one('32'),
      rounds: one('3'),
      threads: one('2'),
      batch: one('8'),
      out: one('docs/bench-eval'),
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || !values.python) {
    console.log(USAGE);
    return;
  }
  const { python, model, task: names, out } = values;
  const [documents, rounds, threads, batch] = [
    values.documents,
    values.rounds,
    values.threads,
    values.batch,
  ].map(Number) as [number, number, number, number];
  const folder = mkdtempSync(join(tmpdir(), 'postnas-bench-eval-'));
  const contenders: Contender[] = [];
  try {
    // Of each subject of MMLU a fiftieth of the documents is written: four.
    const written = Math.max(200, documents);
    const script = resolve(import.meta.dirname, '../test/extra/lm-eval/tasks.py');
    execFileSync(`${python}/bin/python`, [script, values.data, folder, String(written)]);
    const sets = names.map((name) => (name === 'mmlu' ? subjects(folder, documents / 4) : name));
    const harness = Contender.harness(python, [model, folder, String(batch), String(threads), ...sets]);
    contenders.push(harness);
    const told = await harness.answer<{ versions: Record<string, string>; sets: Requests[] }>();
    const requests = told.sets.map((own) => own.filter(([document]) => document < documents));
    harness.tell(JSON.stringify(documents));
    for (const dtype of ['f32', 'q8'] as const) {
      const ours = Contender.ours(dtype, model, threads);
      contenders.push(ours);
      ours.tell(JSON.stringify(requests));
    }
    for (const contender of contenders) await contender.answer();
    const results: EvalResults = {
      date: new Date().toISOString().slice(0, 10),
      command: ['npm run bench -- eval', ...args].join(' '),
      machine: `${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`,
      instructions: instructionSets(),
      versions: { 'onnxruntime-node': ENGINE_VERSION, ...told.versions },
      threads,
      batch,
      tasks: names.map((task, i) => ({
        task,
        documents: task === 'mmlu' ? sets[i]!.split(',').length * 4 : documents,
        difference: 0,
        turns: Object.fromEntries(
          contenders.map(({ name }) => [name, { seconds: [], processorSeconds: [] }]),
        ),
      })),
    };
    // What is compiled or allocated when it is first needed.
    for (const contender of contenders) await contender.ask(0);
    for (let round = 0; round < rounds; round++) {
      for (const [i, measured] of results.tasks.entries()) await playRound(contenders, i, measured);
      console.log(`round ${round + 1} of ${rounds} done`);
      writeFileAtomic(`${out}.json`, `${JSON.stringify(results, null, 1)}\n`);
      writeFileAtomic(`${out}.md`, evalMarkdown(results));
    }
    console.log(evalMarkdown(results));
  } finally {
    for (const contender of contenders) contender.end();
    rmSync(folder, { recursive: true });
  }
}

/** Subjects spread over the alphabet. */
function subjects(folder: string, count: number): string {
  const all = readdirSync(folder).filter((file) => /^mmlu_.*\.yaml$/.test(file));
  const chosen = all.filter(
    (_, i) => Math.floor((i * count) / all.length) !== Math.floor(((i - 1) * count) / all.length),
  );
  return chosen.map((file) => file.replace('.yaml', '')).join();
}

async function playRound(contenders: readonly Contender[], set: number, measured: Measured): Promise<void> {
  let expected: number[] = [];
  for (const contender of contenders) {
    const { seconds, processorSeconds, logProbs } = await contender.ask(set);
    const turns = measured.turns[contender.name]!;
    turns.seconds.push(seconds);
    turns.processorSeconds.push(processorSeconds);
    if (contender.name === HARNESS) expected = logProbs;
    else if (contender.name === 'postnas f32') {
      const differences = logProbs.map((logProb, i) => Math.abs(logProb - expected[i]!));
      measured.difference = Math.max(measured.difference, ...differences);
    }
    const rate = (measured.documents / seconds).toFixed(2);
    console.log(
      `${measured.task}, ${contender.name}: ${rate} documents/s, ${processorSeconds.toFixed(1)} s of processor time`,
    );
  }
}
