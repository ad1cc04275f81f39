import type { Random } from '../util/random.ts';
import { expandHeadBlocks, type Parameter } from './mixer.ts';
import { copyQkNorms } from './qk-norm.ts';
import type { MixerContext } from './spec.ts';

/** How the linear mixers start from the weights of the attention layer whose place they take. */

/** Part of a matrix that is cut into heads, and how many rows (of an output projection, columns) a head has. */
interface HeadBlocks {
  heads: number;
  rows: number;
  weight: Float32Array;
  /** One value for each row, where the mixer has any. */
  bias?: Float32Array | undefined;
}

/**
 * Copies the blocks that two matrices share when both are cut into heads: of head h of the target, the first
 * rows of head h of the source; what the source lacks keeps its value.
 */
function copyHeads(to: HeadBlocks, from: HeadBlocks, columns: number): void {
  const size = Math.min(to.rows, from.rows) * columns;
  for (let h = 0; h < Math.min(to.heads, from.heads); h++) {
    const start = h * from.rows * columns;
    to.weight.set(from.weight.subarray(start, start + size), h * to.rows * columns);
  }
}

/** [rows, columns] -> [columns, rows] */
export function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!);
}

/**
 * Copies the projections of an attention layer into those of a linear mixer: keys and values once for every query
 * head that shares them. With as many heads of the same widths that is all of them; otherwise head h takes the
 * leading rows (of o, columns) of head h, as far as there are, and the rest stays as it was. Biases of the attention
 * go only where the mixer has some (qkv-bias.ts), its query and key norms only into mixers that were given some (qk-norm.ts).
 *
 * @param attention its weights by name
 * @param into where the copies go; q, k, v [heads * rows, D], o [D, heads * rows]
 */
export function copyAttention(
  context: MixerContext,
  attention: ReadonlyMap<string, Float32Array>,
  into: Record<'q' | 'k' | 'v' | 'o', HeadBlocks>,
): void {
  const { hiddenSize, numHeads, headDim } = context;
  const from = (weight: Float32Array) => ({ heads: numHeads, rows: headDim, weight });
  for (const letter of ['q', 'k', 'v'] as const) {
    const own = (part: string) => {
      const values = attention.get(`${letter}_proj.${part}`);
      return values && letter !== 'q' ? expandHeadBlocks(values, context) : values;
    };
    copyHeads(into[letter], from(own('weight')!), hiddenSize);
    const [bias, place] = [own('bias'), into[letter].bias];
    if (bias && place) copyHeads({ ...into[letter], weight: place }, from(bias), 1);
  }
  // The columns of o_proj belong to heads.
  const columns = into.o.heads * into.o.rows;
  const o = transposed(into.o.weight, hiddenSize, columns);
  const source = transposed(attention.get('o_proj.weight')!, hiddenSize, numHeads * headDim);
  copyHeads({ ...into.o, weight: o }, from(source), hiddenSize);
  into.o.weight.set(transposed(o, columns, hiddenSize));
}

/**
 * Fresh values of all parameters, with q_proj, k_proj, v_proj and o_proj copied from an attention layer as far as
 * they fit.
 */
export function startFromAttention(
  parameters: readonly Parameter[],
  { heads, keyDim, valueDim }: { heads: number; keyDim: number; valueDim: number },
  context: MixerContext,
  attention: ReadonlyMap<string, Float32Array>,
  random: Random,
): Map<string, Float32Array> {
  const values = new Map(parameters.map(({ name, init }) => [name, init(random)]));
  const blocks = (letter: string, rows: number) => ({
    heads,
    rows,
    weight: values.get(`${letter}_proj.weight`)!,
    bias: values.get(`${letter}_proj.bias`),
  });
  copyAttention(context, attention, {
    q: blocks('q', keyDim),
    k: blocks('k', keyDim),
    v: blocks('v', valueDim),
    o: blocks('o', valueDim),
  });
  copyQkNorms(attention, values);
  return values;
}
