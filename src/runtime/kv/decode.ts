import {
  float32,
  input,
  mul,
  reshape,
  type Shape,
  type Tensor,
  unsqueeze,
  type Values,
} from '../../graph/index.ts';
import { type Block, type CacheShape, inParts, PART, rowAt } from './blocks.ts';
import { MASKED } from './mask.ts';
import { attend, attendInRun, mergeAlong, type Partial, partial } from './online-softmax.ts';
import { attendPacked, type PackedKind } from './packed-attention.ts';
import { bytesOf, packedInputs } from './packed-blocks.ts';
import type { Plan, Run } from './plan.ts';
import { exact, floored, type HeadShape, ownToken, type Source, sideBySide } from './source.ts';
import type { Mask, VisibleBlock, VisiblePacked, VisibleParts } from './visible.ts';

/**
 * Attention of a decode step: the newest token of one sequence, over its cache. The newest block holds the tokens before it,
 * and it stands beside them, whether all layers are one program or this is a program of its own: both give the same bits.
 */

/** What comes before the newest block. */
interface StepKind {
  packed: readonly PackedKind[];
  /** Of each older exact block, whether some of its keys are masked. */
  older: readonly boolean[];
}

/**
 * In the program of a whole step, over the newest block and what is packed. For inputs see below.
 *
 * @param heads of the newest token: q [1, H, 1, d], k and v [1, KV, 1, d]
 * @param mask over the newest block [1, C]
 * @returns [1, H, 1, d]
 */
export function attendStep(
  name: string,
  { q, k, v }: Record<'q' | 'k' | 'v', Tensor>,
  mask: Tensor,
  packed: readonly PackedKind[],
): Tensor {
  const [, H, , d] = q.shape as [1, number, 1, number];
  const KV = k.shape[1] as number;
  const queries = scaled(reshape(q, [KV, H / KV, 1, d]));
  const own = (x: Tensor) => reshape(x, [KV, 1, 1, d]);
  const earlier = earlierParts(name, queries, { packed, older: [] });
  return reshape(attend(queries, [newestSource(name, own(k), own(v), mask)], earlier), q.shape);
}

/** Products need no factor then: for one with a factor ONNX Runtime would copy the keys. */
function scaled(q: Tensor): Tensor {
  return mul(q, (q.shape.at(-1) as number) ** -0.5);
}

/** The newest block, inputs `{name}.k` and `.v` [KV, 1, C, d], and the newest token [KV, 1, 1, d]. */
function newestSource(name: string, k: Tensor, v: Tensor, mask: Tensor): Source {
  const [KV, , , d] = k.shape as [number, 1, 1, number];
  const block = (part: string) => input(`${name}.${part}`, 'float32', [KV, 1, 'C', d]);
  return floored(sideBySide(exact(block('k'), block('v'), { mask }), ownToken(k, v)));
}

/** Query heads of a key head up to which a product for each of them, which copies no keys, is faster than one for all. */
const FEW_HEADS = 3;

/**
 * Inputs: those of what is packed, `{name}.packed.0.k` and so on, and of older blocks, `{name}.older.0.k` and `.v`
 * [KV, N, PART, d] and `.mask` [N, 1, 1, PART]. Each part has a softmax of its own: for all heads of a group it is found in
 * the cache of the processor.
 */
function earlierParts(name: string, q: Tensor, { packed, older }: StepKind): Partial[] {
  const [KV, G, , d] = q.shape as [number, number, 1, number];
  const few = G <= FEW_HEADS;
  const blocks = older.map((masked, n) => {
    const N = `N${n}`;
    const of = (part: string, dims: Shape) => input(`${name}.older.${n}.${part}`, 'float32', dims);
    const rows = (part: string) => reshape(of(part, [KV, N, PART, d]), [KV, N, ...(few ? [1] : []), PART, d]);
    const mask = masked ? reshape(of('mask', [N, 1, 1, PART]), [N, ...(few ? [1] : []), 1, PART]) : undefined;
    return partial(few ? unsqueeze(q, 1) : reshape(q, [KV, 1, G, d]), exact(rows('k'), rows('v'), { mask }));
  });
  return [
    ...packed.map((kind, n) => attendPacked(q, `${name}.packed.${n}`, `P${n}`, kind)),
    ...(blocks.length > 0 ? [mergeAlong(1, blocks, [KV, G, 1])] : []),
  ];
}

/** Keys and values as these inputs, with the masks of all but the newest block, which is with the last of the runs. */
export function stepInputs(
  name: string,
  shape: CacheShape,
  packed: readonly Pick<VisiblePacked, 'packed' | 'mask'>[],
  older: readonly VisibleBlock[],
  newest: Block | null,
): Values {
  const inputs: Values = {};
  const give = (prefix: string, values: Values, mask: Mask = null) => {
    for (const [part, value] of Object.entries(values)) inputs[`${prefix}.${part}`] = value;
    if (mask) inputs[`${prefix}.mask`] = float32(mask(), [mask().length / PART, 1, 1, PART]);
  };
  for (const [n, { packed: part, mask }] of packed.entries()) {
    give(`${name}.packed.${n}`, packedInputs(shape, part), mask);
  }
  for (const [n, { block, mask }] of older.entries()) {
    give(`${name}.older.${n}`, inParts(block, PART), mask);
  }
  if (newest) give(name, inParts(newest));
  return inputs;
}

/** Of the inputs in a program of its own. */
const NAME = 'cache';

/** Keys up to which a second thread would not have woken up before the first one is done. */
const FEW_KEYS = 1024;

/**
 * Older blocks that one run takes, or half of them or a quarter and so on: the threads of a run that has just begun must wake
 * up first, and for every number of blocks there is a program.
 */
const BLOCKS = 32;

/** For the queries [H, d] of a token that sees no sinks behind its window. */
export function decodePlan(
  { H, KV, d }: HeadShape,
  cache: CacheShape,
  { packed, exact }: VisibleParts,
  queries: Float32Array,
  place: number,
): Plan {
  const { block, start, mask } = exact.at(-1)!;
  const row = place - start;
  const oneThread = packed.length === 0 && exact.length === 1 && block.capacity <= FEW_KEYS;
  const run = (older: readonly VisibleBlock[], ends: boolean): Run => {
    const before = ends ? packed : [];
    const kind = {
      packed: before.map(({ packed, mask }) => ({ masked: mask !== null, bytes: bytesOf(packed) })),
      older: older.map(({ mask }) => mask !== null),
    };
    return {
      kind: { ...kind, oneThread },
      graph: (carry) => {
        const own = (part: string, G = 1) => input(part, 'float32', [KV, G, 1, d]);
        const q = scaled(own('q', H / KV));
        const mask = input('mask', 'float32', [1, 'C']);
        const newest = ends ? [newestSource(NAME, own('k'), own('v'), mask)] : [];
        return attendInRun(q, newest, earlierParts(NAME, q, kind), carry);
      },
      inputs: () => {
        const given = stepInputs(NAME, cache, before, older, ends ? block : null);
        if (!ends) return given;
        // The newest token is in its block by now, where it must not be seen a second time.
        const seen = mask!().slice();
        seen[row] = MASKED;
        const own = (part: 'k' | 'v') => float32(rowAt(block, part, row), [KV, 1, 1, d]);
        return { ...given, k: own('k'), v: own('v'), mask: float32(seen, [1, block.capacity]) };
      },
    };
  };
  const runs: Run[] = [];
  let older = exact.slice(0, -1);
  do {
    const count = older.length && Math.min(BLOCKS, 2 ** Math.floor(Math.log2(older.length)));
    runs.push(run(older.slice(0, count), count === older.length));
    older = older.slice(count);
  } while (older.length > 0);
  return { q: float32(queries, [KV, H / KV, 1, d]), runs, oneThread };
}
