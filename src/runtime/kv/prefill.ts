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
  type Values,
} from '../../graph/index.ts';
import { type CacheShape, inParts, PART } from './blocks.ts';
import { attendInRun } from './online-softmax.ts';
import { dequantized } from './packed-attention.ts';
import { bytesOf, packedInputs } from './packed-blocks.ts';
import type { Plan, Run } from './plan.ts';
import { exact, type HeadShape, type Source } from './source.ts';
import type { Mask, VisibleParts } from './visible.ts';

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
  bytes: RightBytes | undefined;
  masked: boolean;
  /** That the queries of a head are cut into. */
  groups: number;
}

/** For queries [H, T, d] of T tokens from a place on, all in one stretch of a block. */
export function prefillPlan(
  shape: HeadShape,
  cache: CacheShape,
  { sinks, packed, exact }: VisibleParts,
  queries: Float32Array,
  T: number,
  first: number,
): Plan {
  const { H, KV, d } = shape;
  // ONNX Runtime gives each product of a batch to one thread: of three heads one of two threads would do two.
  const groups = [4, 2].find((count) => T % count === 0 && T / count >= 16) ?? 1;
  const rows = [KV, H / KV, groups];
  const runs: Run[] = [];
  const add = (
    over: Kind['over'],
    keys: Values,
    mask: Mask,
    tokens: number,
    from = 0,
    bytes?: RightBytes,
  ) => {
    const kind: Kind = { over, bytes, masked: mask !== null, groups };
    runs.push({
      kind,
      graph: (carry) =>
        attendInRun(input('q', 'float32', [...rows, 'Q', d]), sourcesOf(shape, kind), [], carry),
      inputs: () =>
        mask ? { ...keys, mask: float32(mask(tokens, from), [groups, T / groups, tokens]) } : keys,
    });
  };
  if (sinks) add('block', inParts(sinks.block), sinks.mask, sinks.block.capacity);
  for (const { packed: part, mask } of packed) {
    for (let from = 0; from < part.parts; from += PARTS) {
      const parts = Math.min(PARTS, part.parts - from);
      const keys = packedInputs(cache, { ...part, first: part.first + from, parts });
      add('block', keys, mask, PART * parts, PART * from, bytesOf(part));
    }
  }
  for (const { block, start, mask } of exact) {
    const before = QUERIES * Math.floor((first - start) / QUERIES);
    const whole = start + block.capacity <= first || start < first + T - cache.window || before === 0;
    const from = whole ? 0 : before;
    add(whole ? 'block' : 'block and stretch', inParts(block), mask, block.capacity - from, from);
  }
  return { q: float32(queries, [...rows, T / groups, d]), runs };
}

function sourcesOf(shape: HeadShape, { over, bytes, masked, groups }: Kind): Source[] {
  const { KV, d } = shape;
  const mask = (keys: Dim) => (masked ? input('mask', 'float32', [groups, 'Q', keys]) : undefined);
  if (bytes) return [dequantized(shape, bytes, mask(mulDims('N', PART)))];
  const block = (name: string) => unsqueeze(input(name, 'float32', [KV, 1, 'C', d]), 1);
  const [k, v] = [block('k'), block('v')];
  const rows = (from: Dim, to: Dim, mask?: Tensor) =>
    exact(slice(k, 3, from, to), slice(v, 3, from, to), { mask, scale: d ** -0.5 });
  if (over === 'block') return [rows(0, 'C', mask('C'))];
  const end = subDims('C', 'W');
  return [rows(0, end), rows(end, 'C', mask('W'))];
}
