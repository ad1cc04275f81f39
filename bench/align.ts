import { parseArgs } from 'node:util';
import { MemoryTensors } from '../src/model/memory-tensors.ts';
import { modelParameters } from '../src/model/parameters.ts';
import { BranchWeights } from '../src/search/network/branches.ts';
import { linearMixer } from '../src/search/network/linear-mixer.ts';
import { Network } from '../src/search/network/network.ts';
import { align } from '../src/search/train/align.ts';
import { Random } from '../src/util/random.ts';
import { DEFAULT_VENV, execute, pythonWithTorch } from './python-peer.ts';
import { smolLm2 } from './smollm2.ts';

/**
 * Tokens per second of aligning one Gated DeltaNet layer on SmolLM2-135M's shapes, beside the same work in PyTorch
 * (torch_align.py), in turns. PyTorch is installed into a virtual environment outside the checkout when first asked
 * for; it is several GB.
 */
const SMOLLM2_LAYER = smolLm2({ layers: 1, vocabSize: 512 });

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      batch: { type: 'string', default: '2' },
      length: { type: 'string', default: '512' },
      steps: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '3' },
      threads: { type: 'string', default: '2' },
      mixer: { type: 'string', default: 'gated_deltanet' },
      venv: { type: 'string', default: DEFAULT_VENV },
      'no-peer': { type: 'boolean', default: false },
    },
  });
  const shape = { batch: Number(values.batch), length: Number(values.length) };
  const [steps, rounds, threads] = [values.steps, values.rounds, values.threads].map(Number) as [
    number,
    number,
    number,
  ];
  const python = values['no-peer'] ? null : await pythonWithTorch(values.venv);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await run(values.mixer, shape, steps, threads));
    console.log(`postnas  ${ours.at(-1)!.toFixed(0)} tokens/s`);
    if (!python) continue;
    const options = [
      '--batch',
      values.batch,
      '--seq',
      values.length,
      '--steps',
      values.steps,
      '--repeats',
      '1',
    ];
    theirs.push(await torch(python, [...options, '--threads', values.threads]));
    console.log(`PyTorch  ${theirs.at(-1)!.toFixed(0)} tokens/s`);
  }
  const median = (list: number[]) => list.sort((a, b) => a - b)[list.length >> 1]!;
  const peak = (process.resourceUsage().maxRSS / 1024).toFixed(0);
  console.log(
    `\n${values.mixer}, ${shape.batch} x ${shape.length} tokens, ${threads} threads; peak ${peak} MB`,
  );
  console.log(`postnas median ${median(ours).toFixed(0)} tokens/s`);
  if (python) {
    console.log(`PyTorch median ${median(theirs).toFixed(0)} tokens/s`);
    console.log(`ratio ${(median(ours) / median(theirs)).toFixed(2)}`);
  }
}

/** Tokens per second of the project's own alignment of one layer: teacher, student, loss, backward, AdamW. */
async function run(
  mixer: string,
  shape: { batch: number; length: number },
  steps: number,
  threads: number,
): Promise<number> {
  const config = SMOLLM2_LAYER;
  const random = new Random(1);
  const weights = new MemoryTensors(
    modelParameters(config).map(({ name, shape: dims, init }) => [
      name,
      { shape: dims, data: init(random) as Float32Array<ArrayBuffer> },
    ]),
  );
  const branches = new BranchWeights(new Network(config, weights), [0], linearMixer(mixer, config));
  branches.initialise(1);
  const times: number[] = [];
  let last = 0;
  await align({
    branches,
    batches: {
      fill: (out, _width, draw) => {
        for (let i = 0; i < out.length; i++) out[i] = draw.below(config.vocabSize);
      },
    },
    shape,
    // Two steps to warm up.
    schedule: { peak: 1e-3, warmup: 1, steps: steps + 2, decay: 'constant', final: 1 },
    seed: 1,
    threads,
    onProgress: ({ values }) => {
      // Only a whole step has a loss.
      if (!values) return;
      const now = performance.now();
      if (last > 0) times.push(now - last);
      last = now;
    },
  });
  const timed = times.slice(1).sort((a, b) => a - b);
  return (1000 * shape.batch * shape.length) / timed[timed.length >> 1]!;
}

async function torch(python: string, options: string[]): Promise<number> {
  const output = await execute(python, [new URL('./torch_align.py', import.meta.url).pathname, ...options]);
  return (JSON.parse(output) as { tokens_per_second: number }).tokens_per_second;
}
