import { parseArgs } from 'node:util';
import { tokenCounts } from '../src/cli/parsers.ts';
import { table } from '../src/cli/table.ts';
import { openCheckpoint } from '../src/model/checkpoint.ts';
import { resolveModel } from '../src/model/hub.ts';
import { dataOf } from '../src/search/data.ts';
import { pathOf, replacedLayers } from '../src/search/judge/judge.ts';
import { type Path, PathScorer } from '../src/search/judge/scorer.ts';
import { BranchWeights } from '../src/search/network/branches.ts';
import { comparedMixers, linearMixer } from '../src/search/network/linear-mixer.ts';
import { Network } from '../src/search/network/network.ts';
import { align } from '../src/search/train/align.ts';
import { scheduleOf } from '../src/search/train/settings.ts';
import { STARTS, type Start } from '../src/search/train/start.ts';
import { Random } from '../src/util/random.ts';
import { spreadOf } from '../src/util/statistics.ts';

/**
 * How linear blocks start: the loss of a hybrid whose blocks have the attention's weights, or are calibrated by what the attention
 * does, each without alignment and after a short one. Nothing else is trained.
 *
 *   npm run bench -- starts MODEL --full-layers 10,18 --data novels.txt --held-out more-novels.txt --steps 0,40
 */
export async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      data: { type: 'string', multiple: true },
      'held-out': { type: 'string', multiple: true },
      'full-layers': { type: 'string', default: '' },
      mixers: { type: 'string', multiple: true },
      starts: { type: 'string', multiple: true },
      /** Of alignment. */
      steps: { type: 'string', default: '0,40' },
      seeds: { type: 'string', default: '1' },
      rows: { type: 'string', default: '2' },
      length: { type: 'string', default: '512' },
      rate: { type: 'string', default: '2e-3' },
      /** Of blocks beside a window. */
      'window-dropout': { type: 'string', default: '0' },
      /** Of the text that is judged by. */
      'judged-rows': { type: 'string', default: '4' },
      threads: { type: 'string', default: '2' },
    },
  });
  const model = await resolveModel(positionals[0] ?? 'models/base');
  const { config, weights } = openCheckpoint(model);
  const [rows, length, threads] = [values.rows, values.length, values.threads].map(Number) as [
    number,
    number,
    number,
  ];
  const windowDropout = Number(values['window-dropout']);
  const settings = { examples: 1, rows, length };
  const { batches } = await dataOf(model, { ...settings, data: values.data, task: [] });
  const held = values['held-out']
    ? (await dataOf(model, { ...settings, data: values['held-out'], task: [] })).batches
    : batches;
  const ids = new Int32Array(Number(values['judged-rows']) * length);
  held.fill(ids, length, new Random(99));
  const judged = Array.from({ length: ids.length / length }, (_, row) => ({
    ids: [...ids.subarray(row * length, (row + 1) * length)],
    spans: [{ from: 1, to: length }],
  }));
  const full = values['full-layers'] === '' ? [] : values['full-layers'].split(',').map(Number);
  const layers = replacedLayers(full, config.layers.length);
  const lossOf = async (network: Network, path: Path) => {
    const scorer = new PathScorer(network, { threads });
    try {
      const [scores] = await scorer.score([path], judged);
      return -scores!.reduce((sum, [span]) => sum + span!.logProb, 0) / (judged.length * (length - 1));
    } finally {
      await scorer.dispose();
    }
  };
  const parent = await lossOf(
    new Network(config, weights),
    config.layers.map(() => 0),
  );
  console.log(`${model}: loss ${parent.toFixed(3)}, full attention in layers ${full.join(', ') || 'none'}`);
  const found: string[][] = [];
  for (const name of values.mixers ?? comparedMixers()) {
    const spec = linearMixer(name, config);
    for (const steps of values.steps.split(',').map(Number)) {
      for (const start of (values.starts ?? [...STARTS].reverse()) as Start[]) {
        const losses: number[] = [];
        const errors: number[] = [];
        let seconds = 0;
        for (const seed of tokenCounts(values.seeds)) {
          const network = new Network(config, weights);
          const branches = new BranchWeights(network, layers, spec);
          branches.initialise(seed);
          const shape = { batch: rows, length, steps, rate: Number(values.rate) };
          const schedule = steps > 0 ? scheduleOf(shape) : { ...scheduleOf({ ...shape, steps: 1 }), steps };
          const begun = performance.now();
          const aligned = await align({
            branches,
            batches,
            shape,
            schedule,
            seed,
            start,
            windowDropout,
            threads,
          });
          seconds += (performance.now() - begun) / 1000;
          branches.attach();
          errors.push(aligned.losses.reduce((a, b) => a + b, 0) / layers.length);
          losses.push(await lossOf(network, pathOf(full, config.layers.length)));
        }
        found.push([
          name,
          start,
          String(steps * rows * length),
          shown(losses),
          shown(errors),
          seconds.toFixed(0),
        ]);
        console.error(found.at(-1)!.join('  '));
      }
    }
  }
  const columns = ['block', 'start', 'tokens aligned', 'loss', 'error of layers', 'seconds'];
  console.log(table(columns, found));
}

function shown(values: readonly number[]): string {
  const { mean, deviation } = spreadOf(values)!;
  return mean.toFixed(3) + (deviation === undefined ? '' : ` ± ${deviation.toFixed(3)}`);
}
