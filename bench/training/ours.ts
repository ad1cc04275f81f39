import { readSync, writeSync } from 'node:fs';
import { memoryOf } from '../../src/graph/index.ts';
import { BranchWeights } from '../../src/search/network/branches.ts';
import type { Network } from '../../src/search/network/network.ts';
import { PathGradient } from '../../src/search/network/path-gradient.ts';
import { gatherWeights } from '../../src/search/network/trained-weights.ts';
import { align } from '../../src/search/train/align.ts';
import { train } from '../../src/train/trainer.ts';
import type { OnProgress } from '../../src/util/progress.ts';
import type { Random } from '../../src/util/random.ts';
import { randomNetwork } from '../smollm2.ts';
import { type Task, teacherConfig } from './cases.ts';
import type { Step } from './contender.ts';

/** The project as a contender (contender.ts): the task is the argument. */

const task = JSON.parse(process.argv[2]!) as Task;
const { batch, length, threads } = task;
const shape = { batch, length };
const config = teacherConfig();
const teacher = randomNetwork(config);

let begun = 0;
let used = 0;
const processor = () => Object.values(process.cpuUsage()).reduce((a, b) => a + b, 0) / 1e6;

/** Waits for its turn; ends the process where none comes. */
function wait(): void {
  if (readSync(0, Buffer.alloc(16)) === 0) process.exit();
  [begun, used] = [performance.now(), processor()];
}

const batches = {
  fill(out: Int32Array, _width: number, random: Random) {
    wait();
    for (let i = 0; i < out.length; i++) out[i] = random.below(config.vocabSize);
  },
};

const onProgress: OnProgress = ({ values }) => {
  // Only a whole step has a loss.
  if (values?.loss === undefined) return;
  const step: Step = {
    seconds: (performance.now() - begun) / 1000,
    processor: processor() - used,
    loss: values.loss,
    peak: process.resourceUsage().maxRSS / 1024,
  };
  writeSync(1, `${JSON.stringify(step)}\n`);
};

const schedule = { peak: 1e-5, warmup: 1, steps: 1000, decay: 'constant', final: 1 } as const;

/** The student: its weights are the teacher's wherever it has the same. */
function studentOf(layers: Task['case']['layers']): Network {
  const own = randomNetwork({ ...config, layers: [...layers] });
  Object.assign(own.outer, teacher.outer);
  for (const [layer, [branch]] of own.branches.entries()) {
    Object.assign(own.layers[layer]!, teacher.layers[layer]!);
    if (branch!.spec.kind !== 'gated_deltanet') branch!.weights = teacher.branches[layer]![0]!.weights;
  }
  return own;
}

if (task.case.trained === 'align') {
  const layers = config.layers.map((_, layer) => layer);
  const branches = new BranchWeights(teacher, layers, task.case.layers[0]!);
  branches.initialise(1);
  await align({ branches, batches, shape, schedule, seed: 1, threads, onProgress });
} else {
  const student = studentOf(task.case.layers);
  const everything = task.case.trained === 'all';
  const trained = gatherWeights(student, ({ layer, branch }) =>
    everything || (branch !== undefined && student.branches[layer!]![branch]!.spec.kind === 'gated_deltanet')
      ? 1
      : undefined,
  );
  const memory = memoryOf('cpu');
  const losses = { vocabulary: { divergence: 1, temperature: 1, crossEntropy: 0 } };
  const path = new PathGradient({ memory, teacher, student, trained, shape, losses, threads });
  const own = student.branches.map(() => 0);
  const ids = new Int32Array(batch * length);
  await train({
    stage: 'distil',
    parameters: trained.vector,
    objective: {
      gradient(random, gradient, _step, onPart) {
        batches.fill(ids, length, random);
        return path.compute(own, ids, gradient, onPart);
      },
    },
    memory,
    schedule,
    seed: 1,
    optimizer: { weightDecay: 0 },
    threads,
    tokensPerStep: batch * length,
    onProgress,
  });
}
