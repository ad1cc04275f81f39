import type { Random } from '../util/random.ts';
import { expandHeadBlocks, type Parameter } from './mixer.ts';
import type { MixerContext } from './spec.ts';

/** How the linear mixers start from the weights of the attention layer whose place they take. */

/** Heads of a linear mixer. */
interface Heads {
  heads: number;
  keyDim: number;
  valueDim: number;
}

/**
 * Copies the blocks that two matrices share when both are cut into heads: of head h of the target, the first
 * rows of head h of the source; what the source lacks keeps its value.
 */
function copyHeads(
  target: Float32Array,
  source: Float32Array,
  columns: number,
  to: { heads: number; rows: number },
  from: { heads: number; rows: number },
): void {
  const size = Math.min(to.rows, from.rows) * columns;
  for (let h = 0; h < Math.min(to.heads, from.heads); h++) {
    const start = h * from.rows * columns;
    target.set(source.subarray(start, start + size), h * to.rows * columns);
  }
}

/** [rows, columns] -> [columns, rows] */
function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!);
}

/**
 * Fresh values of all parameters, with q_proj, k_proj, v_proj and o_proj copied from an attention layer: keys and
 * values once for every query head that shares them. With as many heads of the same widths that is all of them;
 * otherwise head h takes the leading rows (of o_proj, columns) of head h, as far as there are, and the rest stays
 * as drawn. Biases of the attention, if it has any, are dropped, as are its query and key norms.
 */
export function startFromAttention(
  parameters: readonly Parameter[],
  { heads, keyDim, valueDim }: Heads,
  context: MixerContext,
  attention: ReadonlyMap<string, Float32Array>,
  random: Random,
): Map<string, Float32Array> {
  const { hiddenSize, numHeads, headDim } = context;
  const values = new Map(parameters.map(({ name, init }) => [name, init(random)]));
  const from = { heads: numHeads, rows: headDim };
  const copy = (name: string, rows: number, source: Float32Array) =>
    copyHeads(values.get(name)!, source, hiddenSize, { heads, rows }, from);
  copy('q_proj.weight', keyDim, attention.get('q_proj.weight')!);
  copy('k_proj.weight', keyDim, expandHeadBlocks(attention.get('k_proj.weight')!, context));
  copy('v_proj.weight', valueDim, expandHeadBlocks(attention.get('v_proj.weight')!, context));
  // The columns of o_proj belong to heads.
  const o = transposed(values.get('o_proj.weight')!, hiddenSize, heads * valueDim);
  const source = transposed(attention.get('o_proj.weight')!, hiddenSize, numHeads * headDim);
  copyHeads(o, source, hiddenSize, { heads, rows: valueDim }, from);
  values.set('o_proj.weight', transposed(o, heads * valueDim, hiddenSize));
  return values;
}
