import type { TokenTree } from '../runtime/token-tree.ts';

/** Rows that begin alike as one tree, and where the tokens of each row are in it. */
export interface PlantedTree {
  tree: TokenTree;
  /** By the index of the row, the places of its tokens. */
  paths: Map<number, readonly number[]>;
}

/**
 * Whether a row joins a tree.
 *
 * @param shared tokens that are there already
 * @param added tokens that would come to it
 * @param size tokens of the tree
 */
export type Joins = (shared: number, added: number, size: number) => boolean;

/** Rows in an order in which those that begin alike stand together, each put into the tree before it or a new one. */
export function plantTrees(rows: ReadonlyMap<number, readonly number[]>, joins: Joins): PlantedTree[] {
  const sorted = [...rows].sort(([, a], [, b]) => compare(a, b));
  const trees: PlantedTree[] = [];
  let last: { ids: readonly number[]; path: readonly number[] } = { ids: [], path: [] };
  for (const [index, ids] of sorted) {
    let shared = sharedLength(last.ids, ids);
    let planted = trees.at(-1);
    if (!planted || !joins(shared, ids.length - shared, planted.tree.ids.length)) {
      shared = 0;
      planted = { tree: { ids: [], parents: [] }, paths: new Map() };
      trees.push(planted);
    }
    const { tree, paths } = planted;
    const path = last.path.slice(0, shared);
    for (let i = shared; i < ids.length; i++) {
      tree.parents.push(path[i - 1] ?? -1);
      path.push(tree.ids.push(ids[i]!) - 1);
    }
    paths.set(index, path);
    last = { ids, path };
  }
  return trees;
}

function sharedLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

function compare(a: readonly number[], b: readonly number[]): number {
  const shared = sharedLength(a, b);
  return (a[shared] ?? -1) - (b[shared] ?? -1);
}
