import { float32, int64, type Value, type Values } from '../../graph/index.ts';
import type { ReachPrograms } from './reach-programs.ts';

/** What a model says behind the judged places of tails, from the hidden states after its last layer. */

/** Tokens that follow a text, of which some are judged by the token behind them. */
export interface Tail {
  ids: readonly number[];
  /** Ascending; the last token predicts nothing that is known. */
  places: readonly number[];
}

/** What a placement makes of a tail. */
export interface TailJudged {
  /** Minus the logarithms of the probabilities of what follows each judged place, in nats. */
  losses: number[];
  /** Whether all of it is the most probable. */
  right: boolean;
  /** Divergences from the reference, where there is one. */
  kl: number[];
}

/** Logits at a time: 64 MB. */
const LOGITS = 1 << 24;

export class TailAnswers {
  /** @param head its weights, by their names */
  constructor(
    private readonly programs: ReachPrograms,
    private readonly head: Values,
  ) {}

  /** Of several placements, by their hidden states [n, D]. */
  async judge(
    sequences: readonly Float32Array[],
    tail: Tail,
    reference: Float32Array | undefined,
  ): Promise<TailJudged[]> {
    const most = Math.max(1, Math.floor(LOGITS / this.programs.config.vocabSize / tail.places.length));
    const judged: TailJudged[] = [];
    for (let from = 0; from < sequences.length; from += most) {
      const part = sequences.slice(from, from + most);
      judged.push(...(await (reference ? this.compared(part, tail, reference) : this.answered(part, tail))));
    }
    return judged;
  }

  /** Logarithms of the probabilities of all tokens [places, vocabulary]. */
  async logProbs(sequence: Float32Array, { places }: Tail): Promise<Float32Array> {
    const program = await this.programs.reference();
    const { logProbs } = await program.run({
      x: this.rows([sequence], places, [places.length]),
      ...this.head,
    });
    return logProbs!.data as Float32Array;
  }

  private async answered(sequences: readonly Float32Array[], tail: Tail): Promise<TailJudged[]> {
    const program = await this.programs.answers();
    const { places } = tail;
    const targets = targetsOf(tail);
    const M = sequences.length * places.length;
    const all = sequences.flatMap(() => targets);
    const { loss, best } = await program.run({
      ...this.head,
      x: this.rows(sequences, places, [M]),
      targets: int64(all, [M]),
    });
    return sequences.map((_, s) => {
      const [from, to] = [s * places.length, (s + 1) * places.length];
      const found = [...(best!.data as BigInt64Array).subarray(from, to)].map(Number);
      return {
        losses: [...(loss!.data as Float32Array).subarray(from, to)],
        right: found.every((id, i) => id === targets[i]),
        kl: [],
      };
    });
  }

  private async compared(
    sequences: readonly Float32Array[],
    tail: Tail,
    reference: Float32Array,
  ): Promise<TailJudged[]> {
    const program = await this.programs.divergence();
    const M = tail.places.length;
    const { kl, loss } = await program.run({
      ...this.head,
      x: this.rows(sequences, tail.places, [sequences.length, M]),
      reference: float32(reference, [M, this.programs.config.vocabSize]),
      targets: int64(targetsOf(tail), [M]),
    });
    const own = ({ data }: Value, s: number) => [...(data as Float32Array).subarray(s * M, (s + 1) * M)];
    return sequences.map((_, s) => ({ losses: own(loss!, s), right: false, kl: own(kl!, s) }));
  }

  /** The judged rows of each [n, D], one behind the other. */
  private rows(
    sequences: readonly Float32Array[],
    places: readonly number[],
    sizes: readonly number[],
  ): Value {
    const { hiddenSize: D } = this.programs.config;
    const x = new Float32Array(sequences.length * places.length * D);
    for (const [s, own] of sequences.entries()) {
      for (const [i, place] of places.entries()) {
        x.set(own.subarray(place * D, (place + 1) * D), (s * places.length + i) * D);
      }
    }
    return float32(x, [...sizes, D]);
  }
}

function targetsOf({ ids, places }: Tail): number[] {
  return places.map((place) => ids[place + 1]!);
}
