import type { Engine } from '../runtime/engine.ts';
import { argMaxOf, logSumExp } from '../runtime/sampler.ts';
import type { LogProbScorer, Row, ScoreOptions, SpanScore } from './harness.ts';

/** Scores by the engine that generates, in whatever its weights are: what few bits cost shows. */
export class EngineScorer implements LogProbScorer {
  constructor(private readonly engine: Engine) {}

  async score(rows: readonly Row[], { onProgress, signal }: ScoreOptions = {}): Promise<SpanScore[][]> {
    const all: SpanScore[][] = [];
    for (const row of rows) {
      all.push(await this.scoreRow(row, signal));
      onProgress?.({ stage: 'score', done: all.length, total: rows.length, unit: 'rows' });
    }
    return all;
  }

  private async scoreRow({ ids, spans }: Row, signal: AbortSignal | undefined): Promise<SpanScore[]> {
    const scores = spans.map((): SpanScore => ({ logProb: 0, greedy: true }));
    const each = (place: number, logits: Float32Array) => {
      const next = place + 1;
      const asked = spans.flatMap((span, i) => {
        const here = span.candidates ? span.from === next : span.from <= next && next < span.to;
        return here ? [{ span, score: scores[i]! }] : [];
      });
      if (asked.length === 0) return;
      const total = logSumExp(logits);
      for (const { span, score } of asked) {
        if (span.candidates) {
          score.candidates = span.candidates.map((id) => logits[id]! - total);
          score.best = argMaxOf(logits);
        } else {
          score.logProb += logits[ids[next]!]! - total;
          score.greedy &&= argMaxOf(logits) === ids[next];
        }
      }
    };
    using sequence = this.engine.start();
    // The last token need not be read where nothing is asked behind it: its row may fill the context.
    const read = spans.some(({ from }) => from === ids.length) ? ids : ids.slice(0, -1);
    await this.engine.append(sequence, read, { signal, each });
    return scores;
  }
}
