import type { ModelConfig } from '../../model/config.ts';
import { range } from '../../util/range.ts';
import { windowed, withAllHeads } from './placement.ts';
import type { JudgedReach, ReachJudge } from './reach-judge.ts';
import { withoutUnit, withUnit } from './refine.ts';
import type { ReachResult } from './result.ts';

/** Where all heads see everything, longer texts take longer than all else. */
export const LONGEST_FULL = 2048;

export type UnitScores = ReachResult['scores'];

/**
 * What every single choice changes: a head or a layer that sees everything where all else is windows, a longer window of a layer,
 * and if asked a head that is a window where all else sees everything. `windows` begins with the shortest, which changes nothing.
 */
export async function scoreUnits(
  judge: ReachJudge,
  options: { config: ModelConfig; windows: readonly number[]; sinks: number; fromFull: boolean },
): Promise<UnitScores> {
  const { config, windows, sinks, fromFull } = options;
  const layers = config.layers.map((_, layer) => layer);
  const heads = range(config.numKvHeads);
  const each = layers.flatMap((layer) => heads.map((head) => ({ layer, head })));
  const near = windowed(config, windows[0]!, sinks);
  const full = withAllHeads(near, config);
  const longer = windows.slice(1).flatMap((window) => layers.map((layer) => ({ layer, window })));

  judge.readWith(near);
  const [base, ...found] = await judge.judge(
    [
      near,
      ...each.map(({ layer, head }) => withUnit(near, { layer, heads: [head] })),
      ...layers.map((layer) => withUnit(near, { layer, heads })),
      ...longer.map(({ layer, window }) => near.map((own, i) => (i === layer ? { ...own, window } : own))),
    ],
    'scores from windows',
  );
  const changes = found.map((judged) => changeOf(judged, base!));
  const ofHeads = changes.splice(0, each.length);
  const ofLayers = changes.splice(0, layers.length);
  const nothing = changeOf(base!, base!);
  return {
    fromWindows: each.map((unit, i) => ({ ...unit, ...ofHeads[i]! })),
    fromFull: fromFull ? await scoresFromFull() : [],
    layers: layers.map((layer, i) => ({ layer, ...ofLayers[i]! })),
    windows: [
      ...layers.map((layer) => ({ layer, window: windows[0]!, ...nothing })),
      ...longer.map((choice, i) => ({ ...choice, ...changes[i]! })),
    ],
  };

  async function scoresFromFull(): Promise<UnitScores['fromFull']> {
    judge.readWith(full);
    const [whole, ...without] = await judge.judge(
      [full, ...each.map(({ layer, head }) => withoutUnit(full, { layer, heads: [head] }))],
      'scores from the whole model',
      { longest: LONGEST_FULL },
    );
    return each.map((unit, i) => ({ ...unit, ...changeOf(without[i]!, whole!) }));
  }
}

function changeOf(judged: JudgedReach, base: JudgedReach) {
  return {
    recall: judged.recall.map(({ loss }, i) => {
      const before = base.recall[i]!.loss;
      return loss === null || before === null ? null : loss - before;
    }),
    kl: judged.text && judged.text.kl - base.text!.kl,
    objective: judged.objective - base.objective,
  };
}
