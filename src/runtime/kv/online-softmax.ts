import {
  add,
  concat,
  div,
  exp,
  input,
  max,
  maximum,
  mul,
  reciprocal,
  reshape,
  type Shape,
  softmax,
  sub,
  sum,
  type Tensor,
} from '../../graph/index.ts';
import type { Source } from './source.ts';

/**
 * Softmax over keys that are not all scored at once (FlashAttention, arXiv 2205.14135): attention over some of them is the
 * largest score m, the sum l of the e^(score - m), and the result o [..., 1 | 1 | d]. Over the keys of two such parts
 *
 *   m = max(m1, m2),   x = e^(m1 - m) l1,   y = e^(m2 - m) l2,   l = x + y,   o = (x o1 + y o2) / l
 *
 * exactly what one softmax over all keys gives.
 */
export type Partial = Record<'m' | 'l' | 'o', Tensor>;

/** Attention over all sources and what is known of earlier ones [..., d]. */
export function attend(q: Tensor, sources: readonly Source[], earlier: readonly Partial[] = []): Tensor {
  const [only] = sources;
  if (only && sources.length + earlier.length === 1) return only.weigh(softmax(only.score(q)));
  return merged(q, sources, earlier).o;
}

/** What a run of an attention program has to do with those before and after it. */
export interface Carry {
  /** It goes on from the `m`, `l` and `o` of the run before, as its inputs. */
  carries: boolean;
  /** It gives the result, `o`; else it leaves `m`, `l` and `o` to the next one. */
  ends: boolean;
}

/** The same as outputs of such a run. */
export function attendInRun(
  q: Tensor,
  sources: readonly Source[],
  earlier: readonly Partial[],
  { carries, ends }: Carry,
): Record<string, Tensor> {
  const of = (name: string, width = 1) => input(name, 'float32', [...q.shape.slice(0, -1), width]);
  const carried = { m: of('m'), l: of('l'), o: of('o', q.shape.at(-1) as number) };
  const all = carries ? [...earlier, carried] : earlier;
  if (ends) return { o: attend(q, sources, all) };
  const { o, l, m } = merged(q, sources, all);
  // The largest score comes last: before the softmax, ONNX Runtime would keep the scores beside the weights.
  return { o, l, m };
}

function merged(q: Tensor, sources: readonly Source[], earlier: readonly Partial[]): Partial {
  return [...earlier, ...sources.map((source) => partial(q, source))].reduce(merge);
}

/** The op softmax takes a score in one pass over memory where exp and sum take three; its largest weight is e^0 / l. */
export function partial(q: Tensor, source: Source): Partial {
  const scores = source.score(q);
  const weights = softmax(scores);
  return { m: max(scores, -1, true), l: reciprocal(max(weights, -1, true)), o: source.weigh(weights) };
}

function merge(a: Partial, b: Partial): Partial {
  const m = maximum(a.m, b.m);
  const [x, y] = [a, b].map((part) => mul(exp(sub(part.m, m)), part.l)) as [Tensor, Tensor];
  const l = add(x, y);
  return { m, l, o: add(mul(div(x, l), a.o), mul(div(y, l), b.o)) };
}

/** Over many parts, which lie along an axis of each of the given. @returns [...rows, 1 | 1 | d] */
export function mergeAlong(axis: number, given: readonly Partial[], rows: Shape): Partial {
  const all = (name: keyof Partial) =>
    concat(
      given.map((part) => part[name]),
      axis,
    );
  const largest = all('m');
  const m = max(largest, axis, true);
  const shares = mul(all('l'), exp(sub(largest, m)));
  const l = sum(shares, axis, true);
  const o = div(sum(mul(all('o'), shares), axis, true), l);
  const inRows = (x: Tensor) => reshape(x, [...rows, x.shape.at(-1)!]);
  return { m: inRows(m), l: inRows(l), o: inRows(o) };
}
