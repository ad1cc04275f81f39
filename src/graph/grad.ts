import { sameShape } from './dim.ts';
import { fill } from './ops/constant.ts';
import { add } from './ops/elementwise.ts';
import { GraphError, isFloat, type Node, type Tensor, topologicalOrder } from './tensor.ts';

/**
 * Reverse mode: the gradients of a scalar with respect to tensors, recorded as more graph.
 *
 * @param loss a float tensor of shape [], or any float tensor when `seed` is given
 * @param wanted the tensors to differentiate with respect to; inputs or anything computed from them
 * @param seed gradient of `loss`, of its shape: turns the result into a vector-Jacobian product
 * @throws GraphError when the loss does not depend on a wanted tensor, or an op on the way has no gradient
 */
export function grad(loss: Tensor, wanted: readonly Tensor[], seed?: Tensor): Tensor[] {
  return gradients([{ output: loss, seed }], wanted);
}

/** As `grad`, for several outputs at once: the gradient of the sum of each output times its seed. */
export function gradients(
  outputs: readonly { output: Tensor; seed?: Tensor | undefined }[],
  wanted: readonly Tensor[],
): Tensor[] {
  const order = topologicalOrder(outputs.map(({ output }) => output));
  const active = dependents(order, wanted);
  const flowing = new Map<Node, (Tensor | null)[]>();
  const accumulate = (x: Tensor, gradient: Tensor) => {
    const slots = flowing.get(x.node) ?? x.node.outputs.map(() => null);
    const before = slots[x.index];
    slots[x.index] = before ? add(before, gradient) : gradient;
    flowing.set(x.node, slots);
  };
  for (const { output, seed } of outputs) {
    if (!isFloat(output.dtype)) throw new GraphError(`grad: ${output} is not a float tensor`);
    if (!seed && output.rank > 0) throw new GraphError(`grad: ${output} is no scalar and no seed was given`);
    if (seed && (seed.dtype !== output.dtype || !sameShape(seed.shape, output.shape))) {
      throw new GraphError(`grad: seed ${seed} for ${output}, which has another shape or dtype`);
    }
    accumulate(output, seed ?? fill(1, [], output.dtype));
  }
  for (const node of order.reverse()) {
    const slots = flowing.get(node);
    // A wanted tensor that depends on no other wanted one ends the way.
    if (!slots || !node.inputs.some((x) => active.has(x.node))) continue;
    if (!node.op.vjp) throw new GraphError(`grad: ${node.op.name} has no gradient`);
    const given = node.op.vjp(node, slots);
    for (const [i, x] of node.inputs.entries()) {
      const gradient = given[i];
      if (gradient && isFloat(x.dtype) && active.has(x.node)) accumulate(x, gradient);
    }
  }
  return wanted.map((x) => {
    const gradient = flowing.get(x.node)?.[x.index];
    if (!gradient) throw new GraphError(`grad: nothing differentiable leads from the output to ${x}`);
    return gradient;
  });
}

/** The nodes that depend on a wanted tensor: nothing has to flow through the others. */
function dependents(order: readonly Node[], wanted: readonly Tensor[]): Set<Node> {
  const active = new Set<Node>(wanted.map((x) => x.node));
  for (const node of order) {
    if (node.inputs.some((x) => active.has(x.node))) active.add(node);
  }
  return active;
}
