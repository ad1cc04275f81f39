import type { Recipe } from './recipe.ts';
import type { BlocksResult } from './stages/blocks/result.ts';
import type { SearchResult } from './stages/placement/result.ts';
import type { Judged, Placement } from './stages/placement/searcher.ts';

/**
 * What a run of a recipe found, all stages of PostNAS and the final model, as the JSON file that the report reads.
 * Plain data. Stages that the recipe leaves out are absent.
 */
export interface RunResult {
  format: 'postnas-run-1';
  /** The recipe as it was run, defaults filled in. */
  recipe: Recipe;
  /** The command line that repeats the run. */
  command?: string;
  /** ISO 8601. */
  created: string;
  /** The machine that rates were measured on: processor, cores that were used, versions. */
  machine: { processor: string; cores: number; node: string; onnxruntime: string };
  /** Stage 1: where full attention must stay. */
  placement?: SearchResult;
  /** The layers that keep it from here on, one placement for all seeds, and the rule that took it, in words. */
  chosen?: { placement: number[]; rule: string };
  /** Whether freezing the MLPs changes which placements are good. */
  mlps?: MlpsResult;
  /** Stage 2: which block replaces attention. */
  blocks?: BlocksResult;
  /** Stage 3: how a JetBlock is built. */
  design?: BlocksResult;
  /** Stage 4: heads and widths at a fixed size of the state. */
  dimensions?: BlocksResult;
  /** What decoding depends on: hybrids that are timed only. */
  throughput?: ThroughputResult;
  /** The second placement: sliding windows, after full attention. */
  windows?: WindowsResult;
  /** The final model. */
  final?: FinalResult;
  /** Folder of the model that the last of these stages has left, by the first seed. */
  hybrid?: string;
  /** Of everything, those of earlier processes included. */
  seconds: number;
  tokens: number;
}

/** A run that searched its placement. */
export type SearchedRun = RunResult & Required<Pick<RunResult, 'placement' | 'chosen'>>;

export interface MlpsResult {
  /** Every placement that was judged, on both super networks of a seed. */
  placements: Placement[];
  runs: {
    seed: number;
    /** In order of `placements`: judged on the super network whose MLPs are the parent's. */
    frozen: Judged[];
    /** The same on a super network whose MLPs were trained with the mixers. */
    trained: Judged[];
    /** Spearman's rank correlation of the two lists' scores. */
    rankCorrelation: number;
  }[];
  seconds: number;
  tokens: number;
}

/** Hybrids with random weights, timed in turns; nothing is trained for it. */
export interface ThroughputResult {
  /** One sequence at a time; tokens of the prompt and tokens timed. */
  decode: BlocksResult['decode'];
  points: ThroughputPoint[];
}

export interface ThroughputPoint extends ModelCost {
  name: string;
  /** What the point belongs to: the parent's dimensions with another of these changed, all else equal. */
  series: 'dimensions' | 'state size' | 'full layers';
  fullLayers: number;
}

/** Sliding windows in layers that have lost their full attention, by another objective than that kept it. */
export interface WindowsResult {
  /** Tokens that a window holds. */
  window: number;
  /** Layers that may have one. */
  budget: number;
  objective: SearchResult['objective'];
  /** `placement` of what is judged here: the layers with a window; full attention stays where it is. */
  runs: {
    seed: number;
    /** No window at all first, then each layer alone. */
    alone: Judged[];
    /** Per searcher, the best for each number of windows it looked at. */
    searchers: { name: string; best: Judged[] }[];
  }[];
  /** The layers that get a window, the same for all seeds. */
  chosen: number[];
  /** By which they were taken, in words. */
  rule: string;
  seconds: number;
  tokens: number;
}

/**
 * Distillation of the chosen architecture, judged on examples that no stage of the search has seen: all tasks of the
 * placement's objective, those that do not guide too.
 */
export interface FinalResult {
  /** A letter per layer. */
  architecture: string;
  /** Absent in results from before a final stage could stand alone: that of the placement. */
  objective?: SearchResult['objective'];
  examples: number;
  /** The parent on these examples. */
  base: Judged;
  runs: {
    seed: number;
    /** In order: before distillation (0 steps), after features, after logits, after all weights. */
    stages: { name: string; steps: number; tokens: number; seconds: number; loss: number; judged: Judged }[];
    /** Folder of the finished hybrid. */
    hybrid: string;
  }[];
  /** What a sequence costs, the parent and the hybrid timed in turns. */
  cost: { decode: BlocksResult['decode']; base: ModelCost; hybrid: ModelCost };
}

export interface ModelCost {
  /** Of the whole model. */
  parameters: number;
  /** Of one sequence at the end of the prompt, caches and states of all layers, float32. */
  stateBytes: number;
  /** Tokens per second, a value per round. */
  decode: number[];
}
