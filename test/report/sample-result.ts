/**
 * Search results as a search would leave them, without training anything: the project's own searchers look at an
 * invented model, in which each ability hangs on a few layers, some only together.
 */

import type { Result } from '../../src/search/result.ts';
import { beamSearch } from '../../src/search/stages/placement/beam.ts';
import { exhaustive } from '../../src/search/stages/placement/exhaustive.ts';
import { randomSearch } from '../../src/search/stages/placement/random.ts';
import type { PlacementResult, SearchRun } from '../../src/search/stages/placement/result.ts';
import {
  type Judged,
  type Placement,
  placementKey,
  type Searcher,
} from '../../src/search/stages/placement/searcher.ts';
import { uniform } from '../../src/search/stages/placement/uniform.ts';
import { Random } from '../../src/util/random.ts';

interface InventedTask {
  name: string;
  metric: 'accuracy' | 'loss';
  /** Value of the base model and of the all-linear path: accuracy, or nats per token. */
  base: number;
  linear: number;
  /** What a layer closes alone of what is still open, by relative depth (0 first, 1 last). */
  layers: { at: number; closes: number }[];
  /** Closed besides when both layers are full. */
  together?: { at: [number, number]; closes: number };
}

const ACCURACY_TASKS: InventedTask[] = [
  {
    name: 'recall',
    metric: 'accuracy',
    base: 0.985,
    linear: 0.12,
    layers: [
      { at: 0.6, closes: 0.62 },
      { at: 0.3, closes: 0.2 },
    ],
    together: { at: [0.3, 0.6], closes: 0.7 },
  },
  { name: 'choice', metric: 'accuracy', base: 0.94, linear: 0.41, layers: [{ at: 0.85, closes: 0.7 }] },
  { name: 'arithmetic', metric: 'accuracy', base: 0.88, linear: 0.62, layers: [{ at: 0.15, closes: 0.3 }] },
  {
    name: 'tracking',
    metric: 'accuracy',
    base: 0.91,
    linear: 0.55,
    layers: [
      { at: 0.45, closes: 0.35 },
      { at: 0.6, closes: 0.25 },
    ],
  },
];

const LOSS_TASKS: InventedTask[] = [
  {
    name: 'held-out text',
    metric: 'loss',
    base: 3.021,
    linear: 3.412,
    layers: [
      { at: 0.2, closes: 0.3 },
      { at: 0.7, closes: 0.25 },
    ],
  },
  {
    name: 'mmlu',
    metric: 'loss',
    base: 1.18,
    linear: 1.392,
    layers: [
      { at: 0.72, closes: 0.45 },
      { at: 0.76, closes: 0.4 },
    ],
  },
];

export interface SampleOptions {
  layers?: number;
  budget?: number;
  seeds?: number;
  objective?: 'accuracy' | 'loss' | 'mixed';
  searchers?: readonly ('beam' | 'uniform' | 'random' | 'exhaustive')[];
}

/** Parts as the result of a run that left them. */
export function wholeOf(parts: Partial<Result>, path = 'models/base'): Result {
  const { base } = (parts.placement ?? parts.blocks ?? parts.design ?? parts.dimensions ?? parts.final)!;
  return {
    format: 'postnas-result-2',
    command: 'postnas search models/base --budget 2 --seeds 3 --objective recall:accuracy choice:accuracy',
    created: '2026-03-14T09:26:53.000Z',
    model: { path, layers: base.placement.length, parameters: 1_712_384 },
    seconds: 9_876.5,
    tokens: 48_765_432,
    ...parts,
  };
}

/** Eight layers, two of them full, three seeds, unless told otherwise. Deterministic. */
export async function sampleResult({
  layers = 8,
  budget = 2,
  seeds = 3,
  objective = 'accuracy',
  searchers = ['beam', 'uniform', 'random', 'exhaustive'],
}: SampleOptions = {}): Promise<PlacementResult> {
  const tasks = {
    accuracy: ACCURACY_TASKS,
    loss: LOSS_TASKS,
    mixed: [LOSS_TASKS[0]!, ...ACCURACY_TASKS.slice(0, 2)],
  }[objective];
  const runs: SearchRun[] = [];
  for (let seed = 1; seed <= seeds; seed++)
    runs.push(await sampleRun(seed, layers, budget, tasks, searchers));
  const stages = runs.flatMap((run) => run.stages);
  return {
    mixer: { kind: 'gated_deltanet', heads: 4, keyDim: 32, valueDim: 32, convSize: 4, rope: true },
    budget,
    objective: tasks.map(({ name, metric }) => ({ task: name, metric, examples: 256 })),
    base: inventedJudge(tasks, layers, 0)(Array.from({ length: layers }, (_, i) => i)),
    runs,
    seconds: stages.reduce((sum, { seconds }) => sum + seconds, 4.2),
    tokens: stages.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

async function sampleRun(
  seed: number,
  layers: number,
  budget: number,
  tasks: readonly InventedTask[],
  chosen: NonNullable<SampleOptions['searchers']>,
): Promise<SearchRun> {
  const judgeOne = inventedJudge(tasks, layers, seed);
  const known = new Map<string, Judged>();
  let tokens = 0;
  const judge = async (placements: readonly Placement[]) =>
    placements.map((placement) => {
      const key = placementKey(placement);
      if (!known.has(key)) {
        known.set(key, judgeOne(placement));
        tokens += 11_250 * tasks.length;
      }
      return known.get(key)!;
    });
  const heatMap = await judge(Array.from({ length: layers }, (_, layer) => [layer]));
  const all: Record<string, Searcher> = {
    beam: beamSearch(4),
    uniform,
    random: randomSearch(16),
    exhaustive,
  };
  const stages: SearchRun['stages'] = [
    { name: 'align', seconds: 41.7 + seed, tokens: 614_400 },
    { name: 'super network', seconds: 97.3 - 2 * seed, tokens: 1_228_800 },
  ];
  const found: SearchRun['searchers'] = [];
  for (const name of chosen) {
    const searcher = all[name]!;
    const before = tokens;
    const { best, drawn } = await searcher.search({ layers, budget, judge, random: new Random(seed) });
    const spent = { tokens: tokens - before, seconds: (tokens - before) / 52_000 + 0.02 };
    found.push({ name: searcher.name, best, ...(drawn && { drawn }), ...spent });
    stages.push({ name: searcher.name, ...spent });
  }
  stages.push({ name: 'finish', seconds: 30.5, tokens: 409_600 });
  const { placement } = found[0]?.best.at(-1) ?? { placement: [layers - 1] };
  const random = new Random(seed + 77);
  return {
    seed,
    alignment: Array.from(
      { length: layers },
      (_, i) => 0.05 + 0.12 * (i / layers) + (i === 1 ? 0.17 : 0) + 0.012 * random.uniform(),
    ),
    supernetLoss: 0.083 + 0.004 * random.uniform(),
    heatMap,
    searchers: found,
    architecture: Array.from({ length: layers }, (_, i) => (placement.includes(i) ? 'A' : 'D')).join(''),
    placement: [...placement],
    stages,
  };
}

/** Seed 0 has no noise and knows the base model. */
function inventedJudge(tasks: readonly InventedTask[], layers: number, seed: number) {
  return (placement: Placement): Judged => {
    const random = new Random(seed * 7919 + placement.reduce((sum, layer) => sum * 31 + layer + 1, 0));
    const whole = placement.length === layers;
    const values = tasks.map((task) => {
      let open = 1;
      for (let layer = 0; layer < layers; layer++) {
        if (!placement.includes(layer)) continue;
        open *= 1 - closedBy(task, layer, layers, seed);
      }
      const pair = task.together?.at.map((at) => Math.round(at * (layers - 1)));
      if (pair?.every((layer) => placement.includes(layer))) open *= 1 - task.together!.closes;
      const noise = seed === 0 || whole ? 0 : 0.012 * random.normal();
      const closed = whole ? 1 : 1 - open + noise;
      return task.linear + (task.base - task.linear) * closed;
    });
    const scores = values.map((value, i) => (tasks[i]!.metric === 'accuracy' ? value : -value));
    return {
      placement,
      score: scores.reduce((a, b) => a + b, 0) / scores.length,
      tasks: Object.fromEntries(
        tasks.map(({ name, metric }, i) => {
          const value = values[i]!;
          const loss = metric === 'loss' ? value : 1.6 * (1 - value);
          return [
            name,
            { accuracy: metric === 'loss' ? 0.3 : value, goldLoss: 3 * loss, goldLossPerToken: loss },
          ];
        }),
      ),
    };
  };
}

/** A bump around the layers that matter, a little everywhere, shifted by the seed. */
function closedBy(task: InventedTask, layer: number, layers: number, seed: number): number {
  const depth = layer / (layers - 1);
  const random = new Random(seed * 131 + layer * 17 + task.name.length);
  const width = 0.6 / layers;
  const bumps = task.layers.reduce(
    (sum, { at, closes }) =>
      sum + closes * Math.exp(-(((depth - Math.round(at * (layers - 1)) / (layers - 1)) / width) ** 2)),
    0,
  );
  return Math.min(0.95, 0.02 + bumps + (seed === 0 ? 0 : 0.015 * random.uniform()));
}
