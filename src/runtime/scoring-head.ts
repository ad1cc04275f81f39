import {
  argMax,
  float32,
  input,
  logSumExp,
  type Program,
  reshape,
  sub,
  take,
  Value,
} from '../graph/index.ts';
import { KeptPrograms } from './kept-programs.ts';
import type { Asked, TokenScores } from './token-scores.ts';

/** Places whose logits are there at once. */
const ROWS = 64;

/**
 * From hidden states to log-probabilities of single tokens: the logits are computed only where something is asked, a few
 * rows at a time, and what is wanted of them is picked before anything comes to JavaScript.
 */
export class Scoring {
  private readonly programs: KeptPrograms;
  private logits = new Float32Array(0);

  /**
   * @param head hidden states `x` [1, T, D] -> `logits` [1, T, vocabulary]
   */
  constructor(
    private readonly head: Program,
    private readonly vocabSize: number,
    threads: number | undefined,
  ) {
    this.programs = new KeptPrograms({ threads });
  }

  /**
   * @param x hidden states of the last layer after each of the places [asked.length, D]
   * @param asked of each row, whose places do not matter
   */
  async scores(x: Float32Array, asked: readonly Asked[]): Promise<TokenScores[]> {
    const { vocabSize } = this;
    const D = asked.length === 0 ? 0 : x.length / asked.length;
    const program = await this.programs.get('scores', record);
    const all: TokenScores[] = [];
    for (let from = 0; from < asked.length; from += ROWS) {
      const rows = asked.slice(from, from + ROWS);
      const size = rows.length * vocabSize;
      if (this.logits.length < size) this.logits = new Float32Array(size);
      const logits = float32(this.logits.subarray(0, size), [1, rows.length, vocabSize]);
      const hidden = float32(x.subarray(from * D, (from + rows.length) * D), [1, rows.length, D]);
      await this.head.run({ x: hidden }, { logits });
      const places = rows.flatMap(({ ids }, row) => ids.map((id) => BigInt(row * vocabSize + id)));
      const owners = rows.flatMap(({ ids }, row) => ids.map(() => BigInt(row)));
      const results = await program.run({
        logits: float32(this.logits.subarray(0, size), [rows.length, vocabSize]),
        places: new Value('int64', BigInt64Array.from(places), [places.length]),
        owners: new Value('int64', BigInt64Array.from(owners), [owners.length]),
      });
      const [logProbs, best] = [results.logProbs!.data as Float32Array, results.best!.data as BigInt64Array];
      let at = 0;
      for (const [row, { ids }] of rows.entries()) {
        all.push({ logProbs: Array.from(logProbs.subarray(at, at + ids.length)), best: Number(best[row]) });
        at += ids.length;
      }
    }
    return all;
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }
}

/** Of logits [R, V]: the `best` token of each row [R], and log-probabilities at `places` of all, which lie in rows `owners`. */
function record() {
  const logits = input('logits', 'float32', ['R', 'V']);
  const places = input('places', 'int64', ['N']);
  const totals = reshape(logSumExp(logits), ['R']);
  const chosen = take(reshape(logits, ['R*V']), places);
  return { best: argMax(logits), logProbs: sub(chosen, take(totals, input('owners', 'int64', ['N']))) };
}
