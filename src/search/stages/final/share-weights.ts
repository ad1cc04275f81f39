import type { Values } from '../../../graph/index.ts';
import type { Network } from '../../network/network.ts';

/** Weights that the student has from the teacher are held once, by which it is seen where both are the same. */
export function shareWeights(student: Network, teacher: Network): void {
  const same = (mine: Values, theirs: Values) => {
    for (const [name, { data, dims }] of Object.entries(mine)) {
      const other = theirs[name];
      if (other?.dims.join() === dims.join() && bytes(data).equals(bytes(other.data))) mine[name] = other;
    }
  };
  const bytes = (data: unknown) => {
    const { buffer, byteOffset, byteLength } = data as Float32Array<ArrayBuffer>;
    return Buffer.from(buffer, byteOffset, byteLength);
  };
  same(student.outer, teacher.outer);
  for (const [layer, [own]] of student.branches.entries()) {
    const branch = teacher.branches[layer]?.[0];
    if (!branch) break;
    same(student.layers[layer]!, teacher.layers[layer]!);
    same(own!.weights, branch.weights);
  }
}
