import type { z } from 'zod';
import { fields, filled, list, number, whole } from '../../util/schema.ts';
import { cost, type Frame, judged, placement } from '../result-fields.ts';

/** Whether freezing the MLPs changes which placements are good. */
export const mlpsSchema = (frame: Frame) =>
  fields({
    placements: filled(placement(frame).readonly()).describe(
      'every placement that was judged, on both super networks of a seed',
    ),
    runs: filled(
      fields({
        seed: whole(0),
        frozen: list(judged(frame)).describe(
          "in order of `placements`: judged on the super network whose MLPs are the parent's",
        ),
        trained: list(judged(frame)).describe(
          'the same on a super network whose MLPs were trained with the mixers',
        ),
        rankCorrelation: number().describe("Spearman's, of the two lists' scores"),
      }),
    ),
    ...cost,
  }).superRefine(({ placements, runs }, { addIssue }) => {
    for (const [i, run] of runs.entries()) {
      for (const side of ['frozen', 'trained'] as const) {
        if (run[side].length === placements.length) continue;
        addIssue({ code: 'custom', path: ['runs', i, side, 'length'], message: `${placements.length}` });
      }
    }
  });

export type MlpsResult = z.infer<ReturnType<typeof mlpsSchema>>;
