import type { Program } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import type { EngineWeights } from './engine-weights.ts';
import { Scoring } from './scoring-head.ts';
import type { Asked, TokenScores } from './token-scores.ts';
import type { TokenTree } from './token-tree.ts';
import { TreeReader } from './tree-reader.ts';

/** Scores of tokens that may follow, of sequences that are gone on from and of trees that are read as a whole. */
export class HostScoring {
  private readonly scoring: Scoring;
  private reader: Promise<TreeReader> | null = null;

  /** @param embed writes rows of the embedding [T, D] */
  constructor(
    private readonly config: ModelConfig,
    private readonly weights: EngineWeights,
    private readonly embed: (ids: readonly number[], into: Float32Array) => void,
    head: Program,
    private readonly threads: number | undefined,
  ) {
    this.scoring = new Scoring(head, config.vocabSize, threads);
  }

  /** @param x hidden states of the last layer [T, D], of the places from `first` on */
  scoreRows(x: Float32Array, first: number, asked: readonly Asked[]): Promise<TokenScores[]> {
    const { hiddenSize: D } = this.config;
    const rows = new Float32Array(asked.length * D);
    for (const [i, { place }] of asked.entries()) {
      rows.set(x.subarray((place - first) * D, (place - first + 1) * D), i * D);
    }
    return this.scoring.scores(rows, asked);
  }

  async scoreTrees(
    trees: readonly TokenTree[],
    asked: readonly (readonly Asked[])[],
  ): Promise<TokenScores[][]> {
    this.reader ??= TreeReader.compile(this.config, this.weights, this.embed, { threads: this.threads });
    this.reader.catch(() => {
      this.reader = null;
    });
    const places = asked.map((own) => own.map(({ place }) => place));
    const hidden = await (await this.reader).read(trees, places);
    const scores = await this.scoring.scores(hidden, asked.flat());
    return asked.map((own) => scores.splice(0, own.length));
  }

  async dispose(): Promise<void> {
    await (await this.reader?.catch(() => null))?.dispose();
    await this.scoring.dispose();
  }
}
