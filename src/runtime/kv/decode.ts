import {
  float32,
  input,
  matmul,
  mul,
  type RightBytes,
  reshape,
  squeeze,
  type Tensor,
  unsqueeze,
  type Value,
  type Values,
} from '../../graph/index.ts';
import { type Block, type CacheShape, inParts, PART } from './blocks.ts';
import { causalMask, MASKED } from './mask.ts';
import { attend, carried, mergeAlong, normalised, partial } from './online-softmax.ts';
import { attendPacked, type PackedKind } from './packed-attention.ts';
import { type Packed, packedInputs } from './packed-blocks.ts';
import type { Plan, Run } from './plan.ts';
import { exact, floored, type HeadShape, masked, ownToken, type Source, sideBySide } from './source.ts';
import type { VisibleParts } from './visible.ts';

/** Attention of a decode step: the newest token of one sequence over its cache. */

type Heads<T> = Record<'q' | 'k' | 'v', T>;

/**
 * Over an exact block, which holds the tokens before the newest, over that one beside it, and over what is packed before: in a
 * program of its own as well as within that of a whole step, so that both give the same bits. Inputs: `{name}.k` and `{name}.v`,
 * the block [KV, 1, C, d]; and those of what is packed, with `{name}.packed.0.` before them, then 1 and so on.
 *
 * @param heads of the newest token: q [1, H, 1, d], k and v [1, KV, 1, d]
 * @param mask over the block [1, C]
 * @returns [1, H, 1, d]
 */
export function attendBlock(
  name: string,
  { q, k, v }: Heads<Tensor>,
  mask: Tensor,
  packed: readonly PackedKind[],
): Tensor {
  const [, H, , d] = q.shape as [1, number, 1, number];
  const KV = k.shape[1] as number;
  const queries = mul(reshape(q, [KV, H / KV, 1, d]), d ** -0.5);
  const block = (part: string) => input(`${name}.${part}`, 'float32', [KV, 1, 'C', d]);
  const own = (x: Tensor) => reshape(x, [KV, 1, 1, d]);
  const newest = sideBySide(exact(block('k'), block('v'), { mask }), ownToken(own(k), own(v)));
  const before = packed.map((kind, n) =>
    attendPacked(queries, `${name}.packed.${n}.`, `N${n}`, { H, KV, d }, kind),
  );
  return reshape(attend(queries, [floored(newest)], before), q.shape);
}

/** What that takes of a cache. */
export function blockInputs(
  name: string,
  shape: CacheShape,
  block: Block,
  packed: readonly Packed[],
): Values {
  const { k, v } = inParts(block);
  const all: Values = { [`${name}.k`]: k, [`${name}.v`]: v };
  for (const [n, part] of packed.entries()) {
    for (const [kind, value] of Object.entries(packedInputs(shape, part))) {
      all[`${name}.packed.${n}.${kind}`] = value;
    }
  }
  return all;
}

/** Keys up to which a second thread would not have woken up before the first one is done. */
const FEW_KEYS = 1024;

/** Where one exact block is seen. */
export function blockPlan(
  shape: HeadShape,
  cache: CacheShape,
  { exact: [newest], packed }: VisibleParts,
  q: Float32Array,
  place: number,
): Plan {
  const { H, KV, d } = shape;
  const { block, start } = newest!;
  const { capacity } = block;
  const oneThread = packed.length === 0 && capacity <= FEW_KEYS;
  const name = 'block';
  const inputs = blockInputs(
    name,
    cache,
    block,
    packed.map(({ packed }) => packed),
  );
  const kinds = packed.map(({ masked }, n) => ({
    masked,
    bytes: inputs[`${name}.packed.${n}.k`]!.type as RightBytes,
  }));
  const run: Run = {
    kind: { over: 'block', packed: kinds, oneThread },
    graph: () => {
      const own = (part: string, heads: number) => input(part, 'float32', [1, heads, 1, d]);
      const heads = { q: own('q', H), k: own('k', KV), v: own('v', KV) };
      return { o: attendBlock(name, heads, input('mask', 'float32', [1, 'C']), kinds) };
    },
    inputs: () => {
      const mask = causalMask(1, capacity, place - start, cache.window);
      // The newest token stands beside the block.
      mask[place - start] = MASKED;
      for (const [
        n,
        {
          packed: { parts },
          start,
          masked,
        },
      ] of packed.entries()) {
        if (!masked) continue;
        const mask = causalMask(1, PART * parts, place - start, cache.window);
        inputs[`${name}.packed.${n}.mask`] = float32(mask, [parts, 1, 1, PART]);
      }
      const own = { k: rowOf(block.k, place - start), v: rowOf(block.v, place - start) };
      return { ...inputs, ...own, mask: float32(mask, [1, capacity]) };
    },
  };
  return { q: float32(q, [1, H, 1, d]), runs: [run], oneThread };
}

/** A token's row of every head of a block [KV, capacity, d], as [1, KV, 1, d]. */
function rowOf({ data, dims }: Value, row: number): Value {
  const [KV, capacity, d] = dims as readonly [number, number, number];
  const rows = new Float32Array(KV * d);
  for (let head = 0; head < KV; head++) {
    const at = (head * capacity + row) * d;
    rows.set((data as Float32Array).subarray(at, at + d), head * d);
  }
  return float32(rows, [1, KV, 1, d]);
}

/**
 * Blocks that one run takes, or half of them or a quarter and so on: the threads of a run that has just begun must wake up
 * first, and for every number of blocks there is a program.
 */
const BLOCKS = 32;

/** Where several blocks are seen, all exact. */
export function blocksPlan(
  shape: HeadShape,
  { window }: CacheShape,
  blocks: VisibleParts['exact'],
  q: Float32Array,
  place: number,
): Plan {
  const { H, KV, d } = shape;
  const runs: Run[] = [];
  for (let from = 0; from < blocks.length; ) {
    const count = Math.min(BLOCKS, 2 ** Math.floor(Math.log2(blocks.length - from)));
    const taken = blocks.slice(from, from + count);
    const masked = taken.map(({ masked }) => masked);
    runs.push({
      kind: { over: 'blocks', masked },
      graph: ({ carries, ends }): Record<string, Tensor> => {
        const queries = input('q', 'float32', [KV, 1, H / KV, d]);
        const parts = masked.map((masked, n) => partial(queries, blockInParts(shape, n, masked)));
        if (carries) parts.push(carried([KV, 1, H / KV], d));
        const all = mergeAlong(1, parts);
        return ends ? { o: normalised(all) } : all;
      },
      inputs: () => {
        const inputs: Values = {};
        for (const [n, { block, start, masked }] of taken.entries()) {
          const { k, v } = inParts(block, PART);
          Object.assign(inputs, { [`k${n}`]: k, [`v${n}`]: v });
          if (!masked) continue;
          const mask = causalMask(1, block.capacity, place - start, window);
          inputs[`mask${n}`] = float32(mask, [block.capacity / PART, 1, PART]);
        }
        return inputs;
      },
    });
    from += count;
  }
  // In a graph ONNX Runtime makes the factor one of the product, and of products with a factor it copies the keys.
  const scaled = q.map((x) => x * d ** -0.5);
  return { q: float32(scaled, [KV, 1, H / KV, d]), runs };
}

/** Query heads of a key head up to which a product for each of them, which copies no keys, is faster than one for all. */
const FEW_HEADS = 3;

/**
 * A block in parts, each with a softmax of its own: matrix by vector for each part and head, which copies no keys and finds
 * a part in the cache of the processor for all heads of a group. Queries [KV, 1, G, d], of each part [KV, N, G, ...].
 */
function blockInParts({ H, KV, d }: HeadShape, n: number, hides: boolean): Source {
  const product = (rows: Tensor, block: Tensor, transB = false) => {
    if (H / KV > FEW_HEADS) return matmul(rows, block, { transB });
    return squeeze(matmul(unsqueeze(rows, 3), unsqueeze(block, 2), { transB }), 3);
  };
  const of = (name: string) => input(`${name}${n}`, 'float32', [KV, `N${n}`, PART, d]);
  const mask = hides ? input(`mask${n}`, 'float32', [`N${n}`, 1, PART]) : undefined;
  return {
    keys: PART,
    score: (q) => masked(product(q, of('k'), true), mask),
    weigh: (weights) => product(weights, of('v')),
  };
}
