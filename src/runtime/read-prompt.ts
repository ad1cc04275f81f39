import type { OnProgress } from '../util/progress.ts';
import type { Engine } from './engine.ts';
import type { PrefixCache } from './prefix-cache.ts';
import type { EachLogits } from './runs.ts';
import type { Sequence } from './sequence.ts';

/** A prompt that has been read. */
export interface PromptRead {
  /** Of the caller, to go on from and to dispose of. */
  sequence: Sequence;
  /** Of what may follow the prompt [vocabulary]. */
  logits: Float32Array;
  /** Tokens of the prompt that did not have to be read. */
  cachedTokens: number;
}

export interface ReadPromptOptions {
  /** Places in the prompt after which to keep a snapshot, in tokens from its start. */
  boundaries?: readonly number[];
  /** At most so many tokens at a time, which end at multiples of it; as many as there are unless given. */
  pieceTokens?: number;
  /** Is given the logits after every token. Nothing is taken from the cache then. */
  each?: EachLogits;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * Reads a prompt piece by piece, from the longest beginning that the cache knows. Pieces end at places that depend on
 * the prompt and its boundaries alone, so that its result does not depend on what else is read meanwhile.
 *
 * Yields the tokens read so far; to stop in between, return from the generator.
 */
export async function* readPrompt(
  engine: Engine,
  prefixes: PrefixCache | null,
  ids: readonly number[],
  {
    boundaries = [],
    pieceTokens = Number.POSITIVE_INFINITY,
    each,
    onProgress,
    signal,
  }: ReadPromptOptions = {},
): AsyncGenerator<number, PromptRead, undefined> {
  const snapshots = new Set(prefixes?.places(ids.length, boundaries));
  const places = new Set([...snapshots, ids.length]);
  for (let at = pieceTokens; at < ids.length; at += pieceTokens) places.add(at);
  const ends = [...places].sort((a, b) => a - b);
  const whole = each ? null : prefixes?.startWhole(ids, ends);
  if (whole) return { ...whole, cachedTokens: ids.length };
  const sequence = (each ? null : prefixes?.start(ids)) ?? engine.start();
  const cachedTokens = sequence.length;
  let done = false;
  try {
    let logits: Float32Array | undefined;
    for (const end of ends) {
      if (end <= sequence.length && end < ids.length) continue;
      if (logits) yield sequence.length;
      logits = await engine.append(sequence, ids.slice(sequence.length, end), { each, onProgress, signal });
      if (snapshots.has(end)) prefixes!.put(ids.slice(0, end), sequence);
    }
    prefixes?.putWhole(ids, ends, sequence, logits!);
    done = true;
    return { sequence, logits: logits!, cachedTokens };
  } finally {
    if (!done) sequence.dispose();
  }
}

/** The same without a pause. */
export async function readWholePrompt(...reading: Parameters<typeof readPrompt>): Promise<PromptRead> {
  const pieces = readPrompt(...reading);
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return value;
  }
}
