import type { z } from 'zod';
import { fields, filled, oneOf, text, whole } from '../../util/schema.ts';
import { conditions, modelCost } from '../result-fields.ts';

/** What decoding depends on: hybrids with random weights, timed in turns; nothing is trained for it. */
export const throughputSchema = () =>
  fields({
    decode: conditions(),
    points: filled(
      fields({
        name: text(),
        series: oneOf(['dimensions', 'state size', 'full layers']).describe(
          "what the point belongs to: the parent's dimensions with another of these changed, all else equal",
        ),
        fullLayers: whole(0),
        ...modelCost,
      }),
    ),
  });

export type ThroughputResult = z.infer<ReturnType<typeof throughputSchema>>;
export type ThroughputPoint = ThroughputResult['points'][number];
