import {
  type Dim,
  float32,
  input,
  mulDims,
  type RightBytes,
  slice,
  subDims,
  type Tensor,
  unsqueeze,
  type Value,
  type Values,
} from '../../graph/index.ts';
import { type CacheShape, inParts, PART } from './blocks.ts';
import { type KeptMask, sinkMask } from './mask.ts';
import { attend, attendPartly, carried } from './online-softmax.ts';
import { dequantized } from './packed-attention.ts';
import { packedInputs } from './packed-blocks.ts';
import type { Plan, Run } from './plan.ts';
import { exact, type HeadShape, type Source } from './source.ts';
import type { VisibleParts } from './visible.ts';

/** Attention of prefill: many tokens of a prompt over its cache, a run for each block. */

/**
 * Queries that are scored together at most, which bounds the memory of their scores. Blocks are cut in stretches of as many,
 * and what has a softmax of its own is a stretch, not the keys of the queries at hand: so a query gets the same bits whatever
 * others come with it.
 */
export const QUERIES = 512;

/** Packed parts that one run takes: bounds the memory of their scores. */
const PARTS = 4;

interface Kind {
  /** What has a softmax of its own: a block, or the stretch of it that the queries stand in, and what comes before. */
  over: 'block' | 'block and stretch';
  /** Of what type keys and values are where they are packed. */
  packed: RightBytes | null;
  masked: boolean;
  /** That the queries of a head are cut into. */
  groups: number;
}

/** For queries q [H, T, d] of T tokens of a cache from a place on, all in one stretch of a block. */
export function prefillPlan(
  shape: HeadShape,
  cache: CacheShape,
  visible: VisibleParts,
  q: Float32Array,
  T: number,
  first: number,
  kept: KeptMask,
): Plan {
  const { H, KV, d } = shape;
  const { window } = cache;
  // ONNX Runtime gives each product of a batch to one thread: of three heads one of two threads would do two.
  const groups = [4, 2].find((count) => T % count === 0 && T / count >= 16) ?? 1;
  const runs: Run[] = [];
  const run = (kind: Omit<Kind, 'groups'>, keys: Values, mask: () => Value) => {
    const full: Kind = { ...kind, groups };
    runs.push({
      kind: full,
      graph: ({ carries, ends }): Record<string, Tensor> => {
        const rows = [KV, H / KV, groups, 'Q'];
        const queries = input('q', 'float32', [...rows, d]);
        const earlier = carries ? [carried(rows, d)] : [];
        const sources = sourcesOf(shape, full);
        if (ends) return { o: attend(queries, sources, earlier) };
        const { o, l, m } = attendPartly(queries, sources, earlier);
        // The largest score comes last: before the softmax, ONNX Runtime would keep the scores beside the weights.
        return { o, l, m };
      },
      inputs: () => (kind.masked ? { ...keys, mask: mask() } : keys),
    });
  };
  const causal = (keys: number, at: number) => () => kept.causal(T, keys, at, window, groups);
  if (visible.sinks) {
    const { capacity } = visible.sinks;
    const masked = first + 1 < window + capacity;
    run({ over: 'block', packed: null, masked }, inParts(visible.sinks), () =>
      float32(sinkMask(T, capacity, first, window), [groups, T / groups, capacity]),
    );
  }
  for (const { packed, start, masked } of visible.packed) {
    for (let from = 0; from < packed.parts; from += PARTS) {
      const parts = Math.min(PARTS, packed.parts - from);
      const keys = packedInputs(cache, { ...packed, first: packed.first + from, parts });
      const mask = causal(parts * PART, first - start - from * PART);
      run({ over: 'block', packed: keys.k.type as RightBytes, masked }, keys, mask);
    }
  }
  for (const [i, { block, start, masked }] of visible.exact.entries()) {
    const { capacity } = block;
    const row = first - start;
    const before = row - (row % QUERIES);
    const whole = i < visible.exact.length - 1 || start < first + T - window || before === 0;
    const from = whole ? 0 : before;
    const mask = causal(capacity - from, row - from);
    run({ over: whole ? 'block' : 'block and stretch', packed: null, masked }, inParts(block), mask);
  }
  return { q: float32(q, [KV, H / KV, groups, T / groups, d]), runs };
}

function sourcesOf(shape: HeadShape, { over, packed, masked, groups }: Kind): Source[] {
  const { KV, d } = shape;
  const mask = (keys: Dim) => (masked ? input('mask', 'float32', [groups, 'Q', keys]) : undefined);
  if (packed) return [dequantized(shape, packed, mask(mulDims('N', PART)))];
  const block = (name: string) => unsqueeze(input(name, 'float32', [KV, 1, 'C', d]), 1);
  const [k, v] = [block('k'), block('v')];
  const rows = (from: Dim, to: Dim, mask?: Tensor) =>
    exact(slice(k, 3, from, to), slice(v, 3, from, to), { mask, scale: d ** -0.5 });
  if (over === 'block') return [rows(0, 'C', mask('C'))];
  const end = subDims('C', 'W');
  return [rows(0, end), rows(end, 'C', mask('W'))];
}
