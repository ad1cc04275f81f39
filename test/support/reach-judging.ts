import { type ReachPlacement, shownPlacement } from '../../src/search/reach/placement.ts';
import type { JudgedReach } from '../../src/search/reach/reach-judge.ts';
import { type ReachJudging, withUnit } from '../../src/search/reach/refine.ts';

/** Four layers of two KV heads, all of them windows. */
export const fourLayers: ReachPlacement = Array.from({ length: 4 }, () => ({
  ...{ fullHeads: [], window: 8, sinks: 0 },
}));

export const eightHeads = fourLayers.flatMap((_, layer) => [0, 1].map((head) => ({ layer, heads: [head] })));

/** Judges by what a set of heads is worth; over the texts of another placement, and by whole passes. */
export class FakeJudge implements ReachJudging {
  wholes: string[] = [];
  reader = fourLayers;
  longest: number[] = [];

  constructor(
    private readonly worth: (heads: ReadonlySet<string>) => number,
    private readonly apparent = worth,
  ) {}

  async judge(
    placements: readonly ReachPlacement[],
    _stage: string,
    { longest = Number.POSITIVE_INFINITY }: { longest?: number } = {},
  ): Promise<JudgedReach[]> {
    this.longest.push(longest);
    return placements.map((placement) => judged(this.apparent(headsOf(placement))));
  }

  async whole(placement: ReachPlacement): Promise<JudgedReach> {
    this.wholes.push(shownPlacement(placement));
    return judged(this.worth(headsOf(placement)));
  }

  readWith(placement: ReachPlacement): void {
    this.reader = placement;
  }
}

export const headsOf = (placement: ReachPlacement) => new Set(shownPlacement(placement).split(' '));
const judged = (worth: number): JudgedReach => ({ recall: [], text: null, objective: -worth });

/** With these heads, such as '0.1', seeing everything. */
export const fourLayersWith = (...names: string[]) =>
  names.reduce((sum, name) => {
    const [layer, head] = name.split('.').map(Number) as [number, number];
    return withUnit(sum, { layer, heads: [head] });
  }, fourLayers);
