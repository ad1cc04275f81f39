import { input } from './ops/constant.ts';
import { type Node, recordMany, type Tensor, topologicalOrder } from './tensor.ts';

type Tensors = Readonly<Record<string, Tensor>>;

/** A graph in two programs: the second is given what the first has computed of what both need. */
export interface HandOver {
  /** The first program's outputs, those that are handed over included. */
  first: Record<string, Tensor>;
  second: Record<string, Tensor>;
  /** Names of what is handed over, as outputs of the first and inputs of the second, and its shapes. */
  handed: Record<string, Tensor>;
}

/**
 * Cuts a graph in two, as a forward and a backward pass are: what the second needs of the first's nodes is handed over where
 * `keeps` says so, and computed again from that where not.
 *
 * @param known tensors of the first that are inputs of the second under these names, whatever `keeps` says
 */
export function handOver(
  first: Tensors,
  second: Tensors,
  keeps: (node: Node) => boolean,
  known: Tensors = {},
): HandOver {
  const given = new Map<Tensor, Tensor>();
  for (const [name, x] of Object.entries(known)) given.set(x, input(name, x.dtype, x.shape));
  const kept = topologicalOrder(Object.values(first))
    .filter(keeps)
    .flatMap(({ outputs }) => outputs)
    .filter((x) => !given.has(x));
  for (const [i, x] of kept.entries()) given.set(x, input(`handed.${i}`, x.dtype, x.shape));
  const results = substituted(Object.values(second), given);
  const needed = new Set(topologicalOrder(results));
  const handed = Object.fromEntries(
    kept.map((x, i) => [`handed.${i}`, x] as const).filter(([, x]) => needed.has(given.get(x)!.node)),
  );
  return {
    first: { ...first, ...handed },
    second: Object.fromEntries(Object.keys(second).map((name, i) => [name, results[i]!])),
    handed,
  };
}

/** The same tensors, recorded anew on top of others that stand for some of what they depend on. */
function substituted(outputs: readonly Tensor[], given: ReadonlyMap<Tensor, Tensor>): Tensor[] {
  const anew = new Map<Tensor, Tensor>(given);
  const current = (x: Tensor) => anew.get(x) ?? x;
  for (const node of topologicalOrder(outputs)) {
    const inputs = node.inputs.map(current);
    if (inputs.every((x, i) => x === node.inputs[i])) continue;
    const copies = recordMany(node.op, inputs, node.attributes, node.outputs, node.data);
    for (const [i, x] of node.outputs.entries()) if (!given.has(x)) anew.set(x, copies[i]!);
  }
  return outputs.map(current);
}
