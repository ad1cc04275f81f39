import type { MixerSpec } from '../../../mixers/spec.ts';
import type { Judged } from './searcher.ts';

/** What a search found, as the JSON file that reports and later stages read. Plain data. */
export interface SearchResult {
  format: 'postnas-search-1';
  /** The command line that repeats the search. */
  command?: string;
  /** ISO 8601. */
  created: string;
  model: { path: string; layers: number; parameters: number };
  /** The linear mixer of the layers that lose their attention. */
  mixer: MixerSpec;
  /** Full-attention layers allowed. */
  budget: number;
  /**
   * Task names with the metric that the search maximised. One that does not guide was judged and is reported, but the
   * score leaves it out; those that do not say guide.
   */
  objective: { task: string; metric: 'loss' | 'accuracy'; examples: number; guides?: boolean }[];
  /** The parent itself, on the same examples. */
  base: Judged;
  /**
   * What the placements that were found are compared on: examples of the same tasks of which the searchers saw none. Absent
   * in results from before there were any.
   */
  unseen?: {
    /** As `objective`, with the numbers of these examples. */
    objective: SearchResult['objective'];
    base: Judged;
  };
  /** One entry per seed: super network trained and searched anew. */
  runs: SearchRun[];
  /** The seconds and tokens of everything together. */
  seconds: number;
  tokens: number;
}

export interface SearchRun {
  seed: number;
  /** Relative squared error of the mixers after alignment, per layer, on a batch that depends on the seed alone. */
  alignment: number[];
  /** Loss of the super network, mean over the last tenth of its steps. */
  supernetLoss: number;
  /** Every placement with a single full layer, in order of layers: the heat map (the paper's Figure 5a). */
  heatMap: Judged[];
  /** Per searcher, the best placement for each number of full layers it looked at (Figure 5b). */
  searchers: {
    name: string;
    best: Judged[];
    /** Of random placements all, so that their mean is known too. */
    drawn?: Judged[];
    seconds: number;
    tokens: number;
  }[];
  /**
   * On the unseen examples: no full attention, the last of every searcher's best placements, and all drawn ones.
   */
  unseen?: Judged[];
  /** The chosen architecture, a letter per layer. */
  architecture: string;
  placement: number[];
  stages: { name: string; seconds: number; tokens: number }[];
}
