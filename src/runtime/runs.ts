import type { Batch } from './batch.ts';
import type { Sequence } from './sequence.ts';
import type { SequenceContent } from './sequence-content.ts';
import type { Asked, TokenScores } from './token-scores.ts';
import type { TokenTree } from './token-tree.ts';

/**
 * Is given the logits after a token [vocabulary], valid until it is done, by the token's place in the sequence. The next
 * token waits for it.
 */
export type EachLogits = (place: number, logits: Float32Array) => unknown;

/** What an engine lends to its batches. */
export interface BatchGuard {
  /** Throws for a token that cannot follow. */
  check: (sequence: Sequence, id: number) => void;
  /** Runs wait for each other. */
  exclusively: <T>(run: () => Promise<T>) => Promise<T>;
}

/**
 * How an engine gets from tokens to logits, and where its sequences are: in the memory of the host (host-runs.ts) or of
 * a device (device/). The engine has checked what it passes on, and lets one run at a time.
 */
export interface Runs {
  start(): Sequence;
  /** Sequences of so many tokens whose states and caches hold anything. */
  drawn(count: number, tokens: number): Promise<Sequence[]>;
  /** Tokens of a prompt that are worked on at once, from such a place of the sequence on. */
  pieceAt(place: number): number;
  /** Adds a token; the logits of what may follow [vocabulary], valid until the sequence is next appended to. */
  step(sequence: Sequence, id: number): Promise<Float32Array>;
  /** Adds a piece of a prompt; the logits after its last token, if asked for. */
  read(
    sequence: Sequence,
    ids: readonly number[],
    last: boolean,
    each: EachLogits | undefined,
  ): Promise<Float32Array | undefined>;
  /** Adds a piece of a prompt; scores of tokens that may follow at the places asked for, all of them in the piece. */
  score(sequence: Sequence, ids: readonly number[], asked: readonly Asked[]): Promise<TokenScores[]>;
  /** Whether there is `scoreTrees` for this model. */
  readonly readsTrees: boolean;
  /** Scores at the places asked for of each tree; nothing is kept. */
  scoreTrees(trees: readonly TokenTree[], asked: readonly (readonly Asked[])[]): Promise<TokenScores[][]>;
  /** What a sequence remembers, brought to the host. */
  content(sequence: Sequence): Promise<SequenceContent>;
  /** A sequence of so many tokens that remembers this. */
  restored(content: SequenceContent, tokens: number): Promise<Sequence>;
  /** @param room for so many sequences, before it grows */
  batch(guard: BatchGuard, room?: number): Batch;
  dispose(): Promise<void>;
}
