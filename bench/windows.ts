import { parseArgs } from 'node:util';
import { tokenCounts } from '../src/cli/parsers.ts';
import { table } from '../src/cli/table.ts';
import type { MixerSpec } from '../src/mixers/spec.ts';
import { openCheckpoint } from '../src/model/checkpoint.ts';
import { summarise } from '../src/model/summary.ts';
import { unseenTasks } from '../src/search/data.ts';
import { PathScorer } from '../src/search/judge/scorer.ts';
import type { Hybrid } from '../src/search/network/hybrid.ts';
import { Network } from '../src/search/network/network.ts';
import { spreadOf } from '../src/util/statistics.ts';

/**
 * The baseline without linear blocks and without training: the parent's own attention, all but a few layers cut to the last
 * tokens. Judged on the embedded model's tasks, on examples of several seeds, of which none is among those that a search
 * with the same number of examples chooses on. Says what a hybrid has to beat at the same memory.
 */

const TASKS = ['recall', 'needle', 'choice', 'arithmetic', 'tracking'];
/** Tokens of the sequence whose memory is told: as in recipes/nano.json. */
const CONTEXT = 384;

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: 'string', default: 'models/base' },
      /** Layers that keep full attention; may be given several times. */
      placement: { type: 'string', multiple: true, default: ['5,6', '3,7'] },
      windows: { type: 'string', default: '16,32,64' },
      /** Trained hybrids to be judged beside them. */
      beside: { type: 'string', multiple: true, default: ['models/hybrid'] },
      examples: { type: 'string', default: '512' },
      seeds: { type: 'string', default: '11,12,13' },
      threads: { type: 'string', default: '2' },
    },
  });
  const parent = openCheckpoint(values.model);
  const cut = (full: readonly number[], window: number): Hybrid => ({
    ...parent,
    config: {
      ...parent.config,
      layers: parent.config.layers.map(
        (_, layer): MixerSpec =>
          full.includes(layer) ? { kind: 'attention' } : { kind: 'sliding_window', window },
      ),
    },
  });
  const subjects: [string, Hybrid][] = [
    [values.model, parent],
    ...values.placement.flatMap((text) =>
      tokenCounts(values.windows).map((window): [string, Hybrid] => [
        `full attention in ${text}, windows of ${window} in the others, untrained`,
        cut(text.split(',').map(Number), window),
      ]),
    ),
    ...values.beside.map((folder): [string, Hybrid] => [folder, openCheckpoint(folder)]),
  ];
  const sets = await Promise.all(
    tokenCounts(values.seeds).map((examplesSeed) =>
      unseenTasks(
        values.model,
        { data: 'world', task: TASKS, examples: 128, rows: 1, length: 1 },
        { examples: Number(values.examples), seed: examplesSeed },
      ),
    ),
  );
  const rows: string[][] = [];
  for (const [name, { config, weights }] of subjects) {
    const scorer = new PathScorer(new Network(config, weights), { threads: Number(values.threads) });
    const found: number[][] = [];
    try {
      for (const tasks of sets) {
        const accuracies: number[] = [];
        for (const { plan } of tasks) {
          const [score] = await scorer.scoreTask([config.layers.map(() => 0)], plan);
          accuracies.push(100 * score!.accuracy);
        }
        found.push(accuracies);
      }
    } finally {
      await scorer.dispose();
    }
    const memory = summarise(config, CONTEXT, 4).stateBytes;
    rows.push([
      name,
      `${(memory / 1e6).toFixed(2)}`,
      ...TASKS.map((_, i) => shown(found.map((each) => each[i]!))),
    ]);
    console.error(rows.at(-1)!.join('  '));
  }
  console.log(table(['model', `MB at ${CONTEXT} tokens`, ...TASKS.map((task) => `${task} %`)], rows));
  console.log(
    `\n${values.examples} examples of each task, mean and deviation over the examples of seeds ${values.seeds}; none of them is ` +
      'among the 128 that a search chooses on.',
  );
}

function shown(values: readonly number[]): string {
  const { mean, deviation } = spreadOf(values)!;
  return mean.toFixed(1) + (deviation === undefined ? '' : ` ± ${deviation.toFixed(1)}`);
}
