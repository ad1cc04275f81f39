import type { MixerSpec } from '../../../mixers/spec.ts';
import type { Metric } from '../../../tasks/objective.ts';
import type { Judged } from '../placement/searcher.ts';

/** What a comparison of blocks found (stages 2 to 4 of PostNAS), as the JSON file that reports read. Plain data. */
export interface BlocksResult {
  format: 'postnas-blocks-1';
  /** What the candidates differ in: the kind of block, the design of the JetBlock, or its dimensions. */
  stage: 'blocks' | 'design' | 'dimensions';
  /** The command line that repeats the comparison. */
  command?: string;
  /** ISO 8601. */
  created: string;
  model: { path: string; layers: number; parameters: number };
  /** The layers that keep full attention. */
  placement: number[];
  objective: { task: string; metric: Metric; examples: number }[];
  /** The parent itself, on the same examples. */
  base: Judged;
  /** Tokens that each candidate was trained on, per seed. */
  trainedTokens: number;
  decode: DecodeConditions;
  candidates: BlockFindings[];
  choice: { name: string; rule: string };
  seconds: number;
}

/** How decoding was timed: one sequence, greedy steps after a prompt. */
interface DecodeConditions {
  device: string;
  /** ONNX Runtime's; 0 for all cores. */
  threads: number;
  /** Tokens of the prompt. */
  context: number;
  /** Tokens timed in a round. */
  tokens: number;
}

export interface BlockFindings {
  name: string;
  spec: MixerSpec;
  /** Parameters of one block. */
  parameters: number;
  /** Of one block for one sequence, in bytes of float32, convolution states included. */
  stateBytes: number;
  /** Numbers of the recurrent state of one block: heads x key width x value width. */
  stateSize: number;
  /** Tokens per second of the whole hybrid, a value per round; rounds of all candidates alternate. */
  decode: number[];
  /** Tokens per second of feature distillation (forwards, backwards and optimiser), a value per round, in turns too. */
  train: number[];
  runs: BlockRun[];
}

export interface BlockRun {
  seed: number;
  /** Relative squared error of the blocks after alignment, per replaced layer. */
  alignment: number[];
  /** Loss of feature distillation, mean over the last tenth of its steps. */
  loss: number;
  judged: Judged;
}
