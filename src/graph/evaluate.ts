import { type Bindings, showShape, termsOf } from './dim.ts';
import type { NdArray } from './ndarray.ts';
import { GraphError, type Tensor, topologicalOrder } from './tensor.ts';

/**
 * Evaluates a graph by plain loops in float64, whatever its dtypes: the definition that every program is tested
 * against. Slow on purpose.
 *
 * @param feeds the value of each input that the outputs depend on
 */
export function evaluate(outputs: readonly Tensor[], feeds: ReadonlyMap<Tensor, NdArray>): NdArray[] {
  const bindings = bindInputs([...feeds].map(([tensor, value]) => ({ tensor, shape: value.shape })));
  const values = new Map<Tensor, NdArray>(feeds);
  for (const node of topologicalOrder(outputs)) {
    if (node.outputs.every((x) => values.has(x))) continue;
    const inputs = node.inputs.map((x) => values.get(x)!);
    for (const [i, value] of node.op.evaluate(inputs, node, bindings).entries()) {
      values.set(node.outputs[i]!, value);
    }
  }
  return outputs.map((x) => values.get(x)!);
}

/**
 * What the symbols stand for, given the shapes of the inputs. Throws GraphError where an input's shape is not as
 * recorded, or where two axes disagree about a symbol.
 */
export function bindInputs(inputs: readonly { tensor: Tensor; shape: readonly number[] }[]): Bindings {
  const bindings = new Map<string, number>();
  const composed: { what: string; dim: string; size: number }[] = [];
  for (const { tensor, shape } of inputs) {
    const what = `input ${tensor.node.attributes.name ?? tensor}`;
    const wrong = () =>
      new GraphError(`${what}: shape ${showShape(shape)}, expected ${showShape(tensor.shape)}`);
    if (shape.length !== tensor.rank) throw wrong();
    for (const [i, dim] of tensor.shape.entries()) {
      const size = shape[i]!;
      if (typeof dim === 'number') {
        if (dim !== size) throw wrong();
        continue;
      }
      const bound = bindings.get(dim);
      if (bound !== undefined && bound !== size) {
        throw new GraphError(`${what}: ${dim} is ${size} here and ${bound} in another axis`);
      }
      bindings.set(dim, size);
      if (!/^\w+$/.test(dim)) composed.push({ what, dim, size });
    }
  }
  for (const { what, dim, size } of composed) {
    const terms = termsOf(dim);
    if (!terms.every(({ symbols }) => symbols.every((symbol) => bindings.has(symbol)))) continue;
    const sum = terms.reduce(
      (total, { coefficient, symbols }) =>
        total + symbols.reduce((product, symbol) => product * bindings.get(symbol)!, coefficient),
      0,
    );
    if (sum !== size) throw new GraphError(`${what}: ${dim} is ${size} here and ${sum} by the other inputs`);
  }
  return bindings;
}
