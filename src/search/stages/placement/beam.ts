import { asPlacement, checkBudget, type Judged, placementKey, type Searcher, top } from './searcher.ts';

/**
 * Beam search as in PostNAS (spec §3.1): starting from no full attention, each round adds one layer to every
 * placement of the beam and keeps the best. {i, j} and {j, i} are one set and are judged once.
 */
export function beamSearch(width: number): Searcher {
  return {
    name: `beam-${width}`,
    async search({ layers, budget, judge, onProgress, signal }) {
      checkBudget(budget, layers);
      const [none] = await judge([[]]);
      const best: Judged[] = [none!];
      let beam: Judged[] = [none!];
      for (let size = 1; size <= budget; size++) {
        signal?.throwIfAborted();
        const grown = new Map<string, number[]>();
        for (const { placement } of beam) {
          for (let layer = 0; layer < layers; layer++) {
            if (placement.includes(layer)) continue;
            const next = asPlacement([...placement, layer]);
            grown.set(placementKey(next), next);
          }
        }
        beam = top(await judge([...grown.values()]), width);
        best.push(beam[0]!);
        onProgress?.({ stage: 'beam search', done: size, total: budget, unit: 'layers' });
      }
      return { best };
    },
  };
}
