/**
 * Results of a whole run as it would leave them, without training anything: stage 1 by the project's own searchers on
 * an invented model, what follows from invented strengths with the noise of seeds.
 */

import type { Result } from '../../src/search/result.ts';
import type { BlockFindings, BlocksResult, BlocksStage } from '../../src/search/stages/blocks/result.ts';
import type { FinalResult } from '../../src/search/stages/final/result.ts';
import type { MlpsResult } from '../../src/search/stages/mlps-result.ts';
import type { PlacementResult } from '../../src/search/stages/placement/result.ts';
import type { Judged, Placement } from '../../src/search/stages/placement/searcher.ts';
import type { ThroughputResult } from '../../src/search/stages/throughput-result.ts';
import type { WindowsResult } from '../../src/search/stages/windows-result.ts';
import { Random } from '../../src/util/random.ts';
import { average } from '../../src/util/statistics.ts';
import { type SampleOptions, sampleResult, wholeOf } from './sample-result.ts';

type Stage = 'mlps' | 'blocks' | 'design' | 'dimensions' | 'throughput' | 'windows' | 'final';
const STAGES: readonly Stage[] = ['mlps', 'blocks', 'design', 'dimensions', 'throughput', 'windows', 'final'];

export interface SampleRunOptions extends SampleOptions {
  stages?: readonly Stage[];
  modelPath?: string;
}

const created = '2026-04-02T18:00:00.000Z';
const conditions = { device: 'cpu', threads: 2, context: 256, tokens: 64 };

/** All stages, eight layers, three seeds, unless told otherwise. Deterministic. */
export async function sampleRun({
  stages = STAGES,
  modelPath = 'models/base',
  ...options
}: SampleRunOptions = {}): Promise<Result> {
  const placement = await sampleResult(options);
  const has = (stage: Stage) => stages.includes(stage);
  const layers = layersOf(placement);
  const kept = placement.runs[0]!.placement;
  const seeds = placement.runs.map(({ seed }) => seed);
  const parts: Partial<Result> = {
    recipe: {
      model: modelPath,
      seeds,
      tasks: placement.objective.map(({ task }) => task),
      dimensions: { slack: 0.03 },
    } as Result['recipe'],
    command: 'postnas run recipe.json --out runs/whole',
    created,
    machine: { processor: 'Invented CPU 3000', cores: 2, node: '20.19.0', onnxruntime: '1.30.0' },
    placement,
    chosen: {
      placement: [...kept],
      rule: 'the highest mean score over the seeds of the beam searches’ placements',
    },
    ...(has('mlps') && { mlps: mlps(placement) }),
    ...(has('blocks') && { blocks: blocksResult(placement, BLOCKS) }),
    ...(has('design') && { design: blocksResult(placement, DESIGNS) }),
    ...(has('dimensions') && { dimensions: blocksResult(placement, DIMENSIONS) }),
    ...(has('throughput') && { throughput: throughput(layers) }),
    ...(has('windows') && { windows: windows(placement, kept) }),
    ...(has('final') && { final: finalResult(placement, kept) }),
  };
  return wholeOf(parts, modelPath);
}

const layersOf = ({ base }: { base: Judged }) => base.placement.length;

/** The sample of one comparison by itself. */
export async function sampleBlocks(stage: BlocksStage, options: SampleOptions = {}): Promise<BlocksResult> {
  const invented = { blocks: BLOCKS, design: DESIGNS, dimensions: DIMENSIONS }[stage];
  return blocksResult(await sampleResult(options), invented);
}

interface Invented {
  name: string;
  spec: BlockFindings['spec'];
  /** How much of the base model's accuracies is kept. */
  keeps: number;
  decode: number;
  parameters: number;
}

const delta = { heads: 4, keyDim: 32, valueDim: 32, convSize: 4, rope: true };
const low = { heads: 4, keyDim: 32, valueDim: 32, gateRank: 16 };
const jet = {
  kind: 'jet_block',
  heads: 4,
  keyDim: 32,
  valueDim: 32,
  qConv: 'none',
  kConv: 'none',
  vConv: 'dynamic',
  convSize: 4,
  generatorReduction: 8,
  generatorInput: 'hidden',
  gate: 'silu',
} as const;

const BLOCKS: readonly Invented[] = [
  {
    name: 'retnet',
    spec: { kind: 'retnet', heads: 4, keyDim: 32, valueDim: 32 },
    keeps: 0.8,
    decode: 512,
    parameters: 82_000,
  },
  { name: 'gla', spec: { kind: 'gla', ...low, rope: false }, keeps: 0.84, decode: 471, parameters: 86_000 },
  { name: 'deltanet', spec: { kind: 'deltanet', ...delta }, keeps: 0.87, decode: 455, parameters: 84_000 },
  {
    name: 'gated_deltanet',
    spec: { kind: 'gated_deltanet', ...delta },
    keeps: 0.91,
    decode: 441,
    parameters: 84_600,
  },
  { name: 'jet_block', spec: jet, keeps: 0.93, decode: 402, parameters: 97_000 },
  {
    name: 'mamba2',
    spec: { kind: 'mamba2', heads: 4, keyDim: 32, valueDim: 32, headsPerGroup: 1, convSize: 4 },
    keeps: 0.83,
    decode: 466,
    parameters: 83_500,
  },
  { name: 'kda', spec: { kind: 'kda', ...low, convSize: 4 }, keeps: 0.915, decode: 428, parameters: 92_000 },
  {
    name: 'rwkv7',
    spec: {
      kind: 'rwkv7',
      heads: 4,
      keyDim: 32,
      valueDim: 32,
      decayRank: 16,
      rateRank: 16,
      gateRank: 16,
      valueRank: 16,
    },
    keeps: 0.86,
    decode: 390,
    parameters: 99_000,
  },
];

const DESIGNS: readonly Invented[] = [
  { name: 'released', spec: jet, keeps: 0.93, decode: 402, parameters: 97_000 },
  { name: 'qConv-static', spec: { ...jet, qConv: 'static' }, keeps: 0.928, decode: 397, parameters: 97_500 },
  { name: 'kConv-static', spec: { ...jet, kConv: 'static' }, keeps: 0.934, decode: 396, parameters: 97_500 },
  { name: 'vConv-static', spec: { ...jet, vConv: 'static' }, keeps: 0.9, decode: 431, parameters: 84_000 },
  { name: 'vConv-none', spec: { ...jet, vConv: 'none' }, keeps: 0.88, decode: 440, parameters: 83_500 },
  {
    name: 'generatorReduction-16',
    spec: { ...jet, generatorReduction: 16 },
    keeps: 0.925,
    decode: 409,
    parameters: 92_000,
  },
  {
    name: 'generatorInput-projection',
    spec: { ...jet, generatorInput: 'projection' },
    keeps: 0.921,
    decode: 403,
    parameters: 97_000,
  },
  { name: 'gate-sigmoid', spec: { ...jet, gate: 'sigmoid' }, keeps: 0.919, decode: 402, parameters: 97_000 },
  {
    name: 'qConv-kConv-static',
    spec: { ...jet, qConv: 'static', kConv: 'static' },
    keeps: 0.931,
    decode: 391,
    parameters: 98_000,
  },
  {
    name: 'all-static',
    spec: { ...jet, qConv: 'static', kConv: 'static', vConv: 'static' },
    keeps: 0.91,
    decode: 426,
    parameters: 85_000,
  },
];

const DIMENSIONS: readonly Invented[] = (
  [
    [4, 32, 32, 0.93, 402],
    [2, 32, 64, 0.915, 404],
    [2, 64, 32, 0.9, 405],
    [4, 16, 64, 0.942, 400],
    [4, 64, 16, 0.905, 403],
    [8, 16, 32, 0.945, 398],
    [8, 32, 16, 0.92, 385],
  ] as const
).map(([heads, keyDim, valueDim, keeps, decode]) => ({
  name: `${heads}x${keyDim}x${valueDim}`,
  spec: { ...jet, heads, keyDim, valueDim },
  keeps,
  decode,
  parameters: 128 * heads * (2 * keyDim + 3 * valueDim),
}));

function blocksResult(
  { objective, base, runs }: PlacementResult,
  invented: readonly Invented[],
): BlocksResult {
  const placement = [...runs[0]!.placement];
  const candidates = invented.map(({ name, spec, keeps, decode, parameters }, index): BlockFindings => {
    const { heads, keyDim, valueDim } = spec as typeof jet;
    return {
      name,
      spec,
      parameters,
      stateBytes: 4 * heads * keyDim * valueDim + 4 * 3 * heads * valueDim,
      stateSize: heads * keyDim * valueDim,
      decode: [1, 0.99, 1.012].map((round) => decode * round),
      train: [1, 0.98, 1.02].map((round) => 9 * decode * round),
      runs: runs.map(({ seed }) => ({
        seed,
        alignment: Array.from({ length: base.placement.length - placement.length }, (_, i) => 0.1 + 0.01 * i),
        loss: 0.1 - 0.02 * keeps,
        judged: share(base, objective, placement, keeps - 0.01 * seed, 100 * seed + index),
      })),
    };
  });
  const meanOf = ({ runs }: BlockFindings) => average(runs.map(({ judged }) => judged.score));
  const best = candidates.reduce((a, b) => (meanOf(b) > meanOf(a) ? b : a));
  return {
    placement,
    objective: objective.map(({ task, metric, examples }) => ({ task, metric, examples })),
    base,
    trainedTokens: 614_400,
    decode: conditions,
    candidates,
    choice: { name: best.name, rule: 'the highest mean score over the seeds' },
    seconds: 1_234.5,
  };
}

/** A model that keeps a share of the base, with noise on every task. */
function share(
  base: Judged,
  objective: PlacementResult['objective'],
  placement: Placement,
  keeps: number,
  seed: number,
): Judged {
  const random = new Random(seed);
  const values = objective.map(({ task, metric }) => {
    const whole = base.tasks[task]!;
    const kept = keeps + 0.008 * random.normal();
    return metric === 'accuracy' ? whole.accuracy * kept : whole.goldLossPerToken * (2 - kept);
  });
  const scores = values.map((value, i) => (objective[i]!.metric === 'accuracy' ? value : -value));
  const guiding = scores.filter((_, i) => objective[i]!.guides !== false);
  return {
    placement,
    score: average(guiding),
    tasks: Object.fromEntries(
      objective.map(({ task, metric }, i) => {
        const loss = metric === 'loss' ? values[i]! : 1.6 * (1 - values[i]!);
        const accuracy = metric === 'loss' ? 0.3 : values[i]!;
        return [task, { accuracy, goldLoss: 3 * loss, goldLossPerToken: loss }];
      }),
    ),
  };
}

function mlps({ runs, base, objective }: PlacementResult): MlpsResult {
  const pairs = Array.from({ length: base.placement.length }, (_, a) =>
    Array.from({ length: base.placement.length - a - 1 }, (_, i) => [a, a + 1 + i]),
  ).flat();
  const placements = pairs.slice(0, 28);
  const keeps = placements.map((_, i) => 0.4 + 0.5 * new Random(31 + i).uniform());
  return {
    placements,
    runs: runs.map(({ seed }) => ({
      seed,
      frozen: placements.map((placement, i) => share(base, objective, placement, keeps[i]!, 1000 * seed + i)),
      trained: placements.map((placement, i) =>
        share(
          base,
          objective,
          placement,
          0.05 + 0.95 * keeps[i]! + 0.03 * new Random(77 * seed + i).normal(),
          2000 * seed + i,
        ),
      ),
      rankCorrelation: 0.93 + 0.01 * (seed % 3),
    })),
    seconds: 512.3,
    tokens: 5_432_100,
  };
}

function throughput(layers: number): ThroughputResult {
  const point = (
    name: string,
    series: ThroughputResult['points'][number]['series'],
    fullLayers: number,
    parameters: number,
    stateBytes: number,
  ) => ({
    name,
    series,
    fullLayers,
    parameters,
    stateBytes,
    decode: [1, 0.985, 1.01].map((round) => (round * 4e8) / (7e5 + 0.4 * stateBytes)),
  });
  return {
    decode: conditions,
    points: [
      ...DIMENSIONS.map(({ name, parameters }) =>
        point(name, 'dimensions', 2, 1_200_000 + 6 * parameters, 620_000),
      ),
      ...[8, 16, 32, 64, 128].map((width) =>
        point(
          `4x${width}x${width}`,
          'state size',
          2,
          1_100_000 + 15_360 * width,
          524_288 + 96 * width * width,
        ),
      ),
      ...Array.from({ length: 5 }, (_, i) => Math.round((i * layers) / 4)).map((full) =>
        point(
          `${full} full`,
          'full layers',
          full,
          1_700_000 - 16_000 * full,
          262_144 * full + 16_384 * (layers - full),
        ),
      ),
    ],
  };
}

function windows({ runs, base, objective }: PlacementResult, kept: Placement): WindowsResult {
  const free = Array.from({ length: base.placement.length }, (_, i) => i).filter(
    (layer) => !kept.includes(layer),
  );
  const chosen = windowLayers(base.placement.length, kept);
  const worth = (layer: number) => [0.04, 0.025][chosen.indexOf(layer)] ?? 0.004;
  const judge = (seed: number, placement: readonly number[]) =>
    share(
      base,
      objective,
      placement,
      0.88 + placement.reduce((sum, layer) => sum + worth(layer), 0),
      seed * 51 + placement.reduce((sum, layer) => 31 * sum + layer + 1, 0),
    );
  return {
    window: 64,
    budget: 2,
    objective,
    runs: runs.map(({ seed }) => ({
      seed,
      alone: [judge(seed, []), ...free.map((layer) => judge(seed, [layer]))],
      searchers: [
        { name: 'beam-3', best: [[], chosen.slice(0, 1), chosen].map((placement) => judge(seed, placement)) },
        { name: 'uniform', best: [judge(seed, [free[0]!, free.at(-1)!])] },
      ],
    })),
    chosen,
    rule: 'the highest mean score over the seeds',
    seconds: 88.8,
    tokens: 987_654,
  };
}

/** The layers that windows help. */
function windowLayers(layers: number, kept: Placement): number[] {
  const free = Array.from({ length: layers }, (_, i) => i).filter((layer) => !kept.includes(layer));
  return [free[1], free[3]].flatMap((layer) => layer ?? []);
}

function finalResult({ runs, base, objective }: PlacementResult, kept: Placement): FinalResult {
  const windowed = windowLayers(base.placement.length, kept);
  const letters = Array.from({ length: base.placement.length }, (_, i) =>
    kept.includes(i) ? 'A' : windowed.includes(i) ? 'W' : 'J',
  );
  return {
    architecture: letters.join(''),
    objective: objective.map((task) => ({ ...task, examples: 512 })),
    examples: 512,
    base,
    runs: runs.map(({ seed }) => ({
      seed,
      stages: ['before', 'features', 'logits', 'all weights'].map((name, i) => ({
        name,
        steps: 400 * Math.min(i, 1),
        tokens: 819_200 * Math.min(i, 1),
        seconds: 95 * Math.min(i, 1) + seed,
        loss: 0.4 / (i + 1),
        judged: share(base, objective, kept, [0.9, 0.955, 0.97, 0.985][i]! - 0.002 * seed, 900 * seed + i),
      })),
      hybrid: `runs/whole/seed-${seed}/hybrid`,
    })),
    cost: {
      decode: conditions,
      base: { parameters: 1_712_384, stateBytes: 2_097_152, decode: [290, 296, 293] },
      hybrid: { parameters: 1_802_112, stateBytes: 655_360, decode: [402, 398, 405] },
    },
  };
}
