import { memoryOf, type Value } from '../../graph/index.ts';
import { LayerPrograms } from '../../model/layer-programs.ts';
import type { Path } from '../judge/scorer.ts';
import type { Network } from '../network/network.ts';
import type { Unit } from '../reach/assemble.ts';
import type { Placement } from '../stages/placement/searcher.ts';

/**
 * Of each place: the layer's output with this place alone exchanged against the parent's, its input the parent's; squares of the
 * differences over those of the output. What later layers make of an error is left out, so that one pass serves all places.
 *
 * @param ids [rows * length]
 * @returns the errors, and the tokens that were taken through the network for them
 */
export async function localErrors(
  network: Network,
  places: readonly Unit[],
  pathOf: (placement: Placement) => Path,
  ids: Int32Array,
  { length, threads, signal }: { length: number; threads?: number; signal?: AbortSignal },
): Promise<{ errors: number[]; tokens: number }> {
  const memory = memoryOf();
  const programs = new LayerPrograms(network.config, { batch: 1, length }, memory, threads);
  const all = places.map((_, i) => i);
  const sums = places.map(() => ({ error: 0, size: 0 }));
  let passes = 0;
  const through = async (layer: number, branch: number, x: Value) => {
    signal?.throwIfAborted();
    passes++;
    const { spec } = network.branches[layer]![branch]!;
    return (await programs.layer(spec, x, network.layerValues(layer, branch))).y;
  };
  try {
    for (let at = 0; at < ids.length; at += length) {
      let x = await programs.embed(ids.subarray(at, at + length), network.embedding);
      for (const layer of network.branches.keys()) {
        const taught = await through(layer, 0, x);
        for (const place of all.filter((each) => places[each]!.layer === layer)) {
          const path = pathOf(all.filter((each) => each !== place));
          const y = await through(layer, path[layer]!, x);
          const [own, target] = [y.data as Float32Array, taught.data as Float32Array];
          for (let i = 0; i < own.length; i++) {
            sums[place]!.error += (own[i]! - target[i]!) ** 2;
            sums[place]!.size += target[i]! ** 2;
          }
        }
        x = taught;
      }
    }
  } finally {
    await programs.dispose();
  }
  return {
    errors: sums.map(({ error, size }) => error / size),
    tokens: Math.round((passes * length) / network.branches.length),
  };
}
