import { MASKED } from './kv/mask.ts';

/**
 * Sequences with common beginnings as one list of tokens, each of which is there once: a token follows the tokens on the
 * path to it. Earlier ones come first.
 */
export interface TokenTree {
  ids: number[];
  /** The place of the token before; -1 where a sequence begins. */
  parents: number[];
}

/** How many tokens come before each. */
export function positionsOf({ parents }: TokenTree): number[] {
  const positions: number[] = [];
  for (const parent of parents) positions.push(parent < 0 ? 0 : positions[parent]! + 1);
  return positions;
}

/** The places of the tokens of each whole sequence, in order. */
export function pathsOf({ parents }: TokenTree): number[][] {
  const followed = new Set(parents);
  const paths: number[][] = [];
  for (let leaf = 0; leaf < parents.length; leaf++) {
    if (followed.has(leaf)) continue;
    const path: number[] = [];
    for (let place = leaf; place >= 0; place = parents[place]!) path.push(place);
    paths.push(path.reverse());
  }
  return paths;
}

/** What a token of a layer sees: the last `window` tokens on the path to it, its own included, and the first `sinks`. */
export interface Sight {
  window: number;
  sinks: number;
}

/**
 * Writes what is added to the scores of each token over all others: 0 where it sees them, MASKED elsewhere.
 *
 * @param into [T, T] for T of at least the tree's tokens; rows of what is no token see the first key
 */
export function writeBias(
  { parents }: TokenTree,
  { window, sinks }: Sight,
  T: number,
  into: Float32Array,
): void {
  into.fill(MASKED);
  const positions = positionsOf({ ids: [], parents });
  for (let i = 0; i < T; i++) {
    if (i >= parents.length) {
      into[i * T] = 0;
      continue;
    }
    const parent = parents[i]!;
    if (parent >= 0 && window === Number.POSITIVE_INFINITY) {
      into.copyWithin(i * T, parent * T, parent * T + i);
    } else {
      for (let place = parent; place >= 0; place = parents[place]!) {
        const near = positions[i]! - positions[place]! < window;
        if (near || positions[place]! < sinks) into[i * T + place] = 0;
      }
    }
    into[i * T + i] = 0;
  }
}
