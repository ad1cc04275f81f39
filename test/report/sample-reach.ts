import { fullHeadsOf, type ReachPlacement } from '../../src/search/reach/placement.ts';
import type { PlacedReach, ReachResult } from '../../src/search/reach/result.ts';

/** A search of reach with figures of choice, for choices and pages: 4 layers of 2 KV heads, of which 2.1 and 1.0 look far. */

const [LAYERS, KV_HEADS, QUESTIONS] = [4, 2, 20];

function quality(losses: [number, number], right: [number, number], kl: number): PlacedReach['quality'] {
  return {
    recall: losses.map((loss, i) => ({ loss, right: right[i]!, questions: QUESTIONS })),
    text: { kl, loss: 3 + kl / 2 },
  };
}

export function placed(
  how: PlacedReach['how'],
  full: readonly (readonly number[])[],
  quality: PlacedReach['quality'],
  more: Partial<PlacedReach> = {},
): PlacedReach {
  const layers: ReachPlacement = full.map((fullHeads) => ({ fullHeads, window: 64, sinks: 4 }));
  const heads = fullHeadsOf(layers);
  return {
    ...{ how, layers: layers.map((layer) => ({ ...layer, fullHeads: [...layer.fullHeads] })), heads },
    cost: { bytes: 1e5 + heads * 1e6, milliseconds: 5 + heads },
    searched: quality.recall[1]?.loss ?? 0,
    quality,
    ...more,
  };
}

/** @param found answers of 20 that the searched placements of one and of two heads find far away */
export function sampleReach(found: [one: number, two: number] = [10, 20]): ReachResult {
  const none = [[], [], [], []];
  const scores = Array.from({ length: LAYERS * KV_HEADS }, (_, i) => {
    const [layer, head] = [Math.floor(i / KV_HEADS), i % KV_HEADS];
    const gain = layer === 2 && head === 1 ? 2 : layer === 1 && head === 0 ? 1 : -0.05;
    return { layer, head, recall: [-gain / 2, -gain], kl: -gain / 20, objective: -gain };
  });
  return {
    format: 'postnas-reach-1',
    created: '2026-11-30T10:00:00.000Z',
    machine: { processor: 'a processor', cores: 2, node: 'v20.19.0', onnxruntime: '1.30.0' },
    model: { path: '/models/parent', layers: LAYERS, kvHeads: KV_HEADS, parameters: 1e6 },
    ...{ context: 4096, windows: [64], sinks: 4, budgets: [{ heads: 1 }, { heads: 2 }] },
    recall: {
      family: 'needle',
      distances: [
        { from: 64, to: 256, questions: QUESTIONS },
        { from: 256, to: 2048, questions: QUESTIONS },
      ],
      texts: [{ tokens: 2048, questions: 2 * QUESTIONS }],
    },
    text: { name: 'novels.txt', rows: 4, tokens: 1024 },
    weights: { mean: 1, worst: 0.5, text: 1 },
    scores: { fromWindows: scores, fromFull: [], layers: [], windows: [] },
    placements: [
      placed(
        'full',
        [
          [0, 1],
          [0, 1],
          [0, 1],
          [0, 1],
        ],
        quality([0.1, 0.1], [20, 20], 0),
      ),
      placed('windows', none, quality([3, 4], [1, 0], 0.2)),
      placed('refined', [[], [], [1], []], quality([1, 2], [18, found[0]], 0.06), { budget: 0 }),
      placed('refined', [[], [0], [1], []], quality([0.2, 0.3], [20, found[1]], 0.04), { budget: 1 }),
      placed('uniform', [[], [0, 1], [], []], quality([2, 3], [4, 1], 0.1), { budget: 1 }),
      placed('random', [[1], [], [], [0]], quality([3, 4], [1, 0], 0.15), { budget: 1, seed: 1 }),
    ],
    ...{ seeds: [1], seconds: 120, tokens: 1e6 },
  };
}
