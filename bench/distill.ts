import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { float32, input, matmul, Program } from '../src/graph/index.ts';
import { median } from '../src/util/statistics.ts';
import { DEFAULT_VENV, pythonWithTorch } from './python-peer.ts';
import { casesOf, type Task, teacherConfig } from './training/cases.ts';
import { Contender, type Step } from './training/contender.ts';
import { operationsOfStep } from './training/operations.ts';

/**
 * Tokens per second of training steps on SmolLM2-135M's shape, beside PyTorch in one run, in turns, step by step; what
 * of the machine's rate of matrix products that is; and the peak memory of each.
 */

const USAGE = `npm run bench -- distill [options]
  --case NAME    mixers, heads, hybrid or align; may be repeated; all unless told
  --rounds N     steps of each, in turns, after one to warm up (5)
  --batch N --length N   tokens of a step (2 x 512)
  --threads N    (2)
  --no-peer      without PyTorch
  --peer-mode M  eager, compile or both: of both the faster first step stays (both)
  --venv DIR     environment with PyTorch, made where there is none (${DEFAULT_VENV})
  --json FILE    results as JSON`;

interface Result {
  case: string;
  title: string;
  rounds: number;
  /** GFLOP of a step; of a second of the large matrix product, by round. */
  operations: number;
  product: number[];
  load: number[];
  contenders: { name: string; warmUp: number; steps: Step[] }[];
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      case: { type: 'string', multiple: true },
      batch: { type: 'string', default: '2' },
      length: { type: 'string', default: '512' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      venv: { type: 'string', default: DEFAULT_VENV },
      'no-peer': { type: 'boolean', default: false },
      'peer-mode': { type: 'string', default: 'both' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const all = casesOf(teacherConfig());
  const unknown = values.case?.find((name) => !all.some((each) => each.name === name));
  if (unknown !== undefined)
    throw new Error(`--case ${unknown}: expected ${all.map(({ name }) => name).join(', ')}`);
  const [batch, length, threads, rounds] = [values.batch, values.length, values.threads, values.rounds].map(
    Number,
  ) as [number, number, number, number];
  const python = values['no-peer'] ? null : await pythonWithTorch(values.venv);
  const modes = values['peer-mode'] === 'both' ? ['eager', 'compile'] : [values['peer-mode']];
  const results: Result[] = [];
  for (const each of all.filter(({ name }) => !values.case || values.case.includes(name))) {
    const task = { case: each, batch, length, threads };
    const result = await measure(task, rounds, python, modes);
    results.push(result);
    report(result, task);
    if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 1)}\n`);
  }
}

async function measure(task: Task, rounds: number, python: string | null, modes: string[]): Promise<Result> {
  console.log(`\n${task.case.title}; ${task.batch} x ${task.length} tokens, ${task.threads} threads`);
  const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
  const ours = Contender.start(
    'postnas',
    process.execPath,
    ['--import', 'tsx', path('training/ours.ts')],
    task,
  );
  const contenders = [ours];
  const warmUps = [(await ours.step()).seconds];
  if (python) {
    const { peer, warmUp } = await fasterOf(python, path('torch_distill.py'), modes, task);
    contenders.push(peer);
    warmUps.push(warmUp);
  }
  const steps: Step[][] = contenders.map(() => []);
  const rates: number[] = [];
  const loads: number[] = [];
  const product = await LargeProduct.create(task.threads);
  for (let round = 0; round < rounds; round++) {
    loads.push(loadavg()[0]!);
    rates.push(await product.rate());
    for (const [i, contender] of contenders.entries()) {
      const step = await contender.step();
      steps[i]!.push(step);
      const speed = (task.batch * task.length) / step.seconds;
      console.log(
        `  ${contender.name.padEnd(16)} ${speed.toFixed(1).padStart(7)} tokens/s, ${step.seconds.toFixed(2)} s, ` +
          `${step.processor.toFixed(2)} s of processor time; load ${loads.at(-1)!.toFixed(1)}, ` +
          `product ${rates.at(-1)!.toFixed(0)} GFLOP/s`,
      );
    }
  }
  await product.dispose();
  for (const contender of contenders) await contender.stop();
  return {
    case: task.case.name,
    title: task.case.title,
    rounds,
    operations: operationsOfStep(teacherConfig(), task) / 1e9,
    product: rates,
    load: loads,
    contenders: contenders.map(({ name }, i) => ({ name, warmUp: warmUps[i]!, steps: steps[i]! })),
  };
}

/** By default glibc hands large blocks back to the system and faults them in again, which costs PyTorch up to a fifth. */
const KEEP_MEMORY = {
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: String(16 * 2 ** 30),
  MALLOC_TOP_PAD_: String(64 * 2 ** 20),
};

/** PyTorch as it is and compiled: the one whose second step is faster. */
async function fasterOf(python: string, script: string, modes: string[], task: Task) {
  let best: { peer: Contender; warmUp: number; seconds: number } | undefined;
  for (const mode of modes) {
    const peer = Contender.start(`PyTorch ${mode}`, python, [script, mode], task, KEEP_MEMORY);
    try {
      const warmUp = (await peer.step()).seconds;
      const { seconds } = await peer.step();
      console.log(`  ${peer.name}: first step ${warmUp.toFixed(1)} s, second ${seconds.toFixed(2)} s`);
      if (best && best.seconds <= seconds) await peer.stop();
      else {
        await best?.peer.stop();
        best = { peer, warmUp, seconds };
      }
    } catch (error) {
      console.log(`  ${(error as Error).message}`);
      await peer.stop();
    }
  }
  if (!best) throw new Error('PyTorch did not take a step');
  return best;
}

/** The machine's rate of float32 matrix products, ONNX Runtime's. */
class LargeProduct {
  private static readonly SIZE = 2048;

  private constructor(private readonly program: Program) {}

  static async create(threads: number): Promise<LargeProduct> {
    const size = LargeProduct.SIZE;
    const [a, b] = ['a', 'b'].map((name) => input(name, 'float32', [size, size]));
    const product = new LargeProduct(await Program.compile({ y: matmul(a!, b!) }, { threads }));
    await product.rate();
    return product;
  }

  /** GFLOP/s, the best of three. */
  async rate(): Promise<number> {
    const size = LargeProduct.SIZE;
    const value = () => float32(new Float32Array(size * size).fill(0.5), [size, size]);
    const [feeds, into] = [{ a: value(), b: value() }, { y: value() }];
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      const begun = performance.now();
      await this.program.run(feeds, into);
      best = Math.min(best, performance.now() - begun);
    }
    return (2 * size ** 3) / best / 1e6;
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}

function report({ contenders, operations, product, load }: Result, { batch, length }: Task): void {
  const tokens = batch * length;
  const rate = median(product);
  for (const { name, steps } of contenders) {
    const speeds = steps.map(({ seconds }) => tokens / seconds);
    const gflops = (median(speeds) * operations) / tokens;
    const [low, high] = [Math.min(...speeds), Math.max(...speeds)];
    console.log(
      `  ${name}: ${median(speeds).toFixed(1)} tokens/s (${low.toFixed(1)} to ${high.toFixed(1)}), ` +
        `${median(steps.map(({ processor }) => processor)).toFixed(2)} s of processor time a step, ` +
        `${gflops.toFixed(0)} GFLOP/s = ${((100 * gflops) / rate).toFixed(0)} % of ${rate.toFixed(0)}, ` +
        `peak ${steps.at(-1)!.peak.toFixed(0)} MB`,
    );
  }
  const [ours, theirs] = contenders;
  if (!ours || !theirs) return;
  const ratios = ours.steps.map(({ seconds }, i) => theirs.steps[i]!.seconds / seconds);
  const seconds = [theirs, ours].map(({ steps }) => median(steps.map((step) => step.seconds))) as [
    number,
    number,
  ];
  const processor = [theirs, ours].map(({ steps }) => median(steps.map((step) => step.processor))) as [
    number,
    number,
  ];
  console.log(
    `  ratio of medians ${(seconds[0] / seconds[1]).toFixed(2)} (by turn ${Math.min(...ratios).toFixed(2)} to ` +
      `${Math.max(...ratios).toFixed(2)}), of processor time ${(processor[0] / processor[1]).toFixed(2)}; ` +
      `load ${Math.min(...load).toFixed(1)} to ${Math.max(...load).toFixed(1)}`,
  );
}
