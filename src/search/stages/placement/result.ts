import { z } from 'zod';
import type { MixerSpec } from '../../../mixers/spec.ts';
import { fields, filled, list, number, text, whole } from '../../../util/schema.ts';
import { architecture, cost, type Frame, judged, objective, placement } from '../../result-fields.ts';

/** What a mixer is, by its kind; its dimensions are those of its kind and not looked at. */
const mixer = z.looseObject({ kind: text() }, { error: 'an object' }) as unknown as z.ZodType<MixerSpec>;

const named = { name: text(), ...cost };

function run(frame: Frame) {
  const all = list(judged(frame));
  return fields({
    seed: whole(0),
    alignment: list(number())
      .superRefine(({ length }, { addIssue }) => {
        if (length !== frame.layers)
          addIssue({ code: 'custom', path: ['length'], message: `${frame.layers}` });
      })
      .describe(
        'relative squared error of the mixers after alignment, per layer, on a batch that depends on the seed alone',
      ),
    supernetLoss: number().describe('loss of the super network, mean over the last tenth of its steps'),
    heatMap: all.describe(
      "every placement with a single full layer, in order of layers (the paper's Figure 5a)",
    ),
    searchers: list(
      fields({
        ...named,
        best: all.describe(
          'the best placement for each number of full layers that was looked at (Figure 5b)',
        ),
        drawn: all.optional().describe('of random placements all, so that their mean is known too'),
      }),
    ).describe('the search first, then what it is compared with'),
    unseen: all
      .optional()
      .describe(
        "on the unseen examples: no full attention, the last of every searcher's best placements, and all drawn ones",
      ),
    architecture: architecture(frame),
    placement: placement(frame),
    stages: list(fields(named)),
  });
}

/** What a search of placements found (stage 1 of PostNAS). */
export function placementSchema(frame: Frame) {
  return fields({
    mixer: mixer.describe('the linear mixer of the layers that lose their attention'),
    budget: whole(0)
      .max(frame.layers, { error: `at most ${frame.layers}, the number of layers` })
      .describe('full-attention layers allowed'),
    objective: objective(),
    base: judged(frame).describe('the parent itself, on the same examples'),
    unseen: fields({
      objective: objective()
        .refine(
          (others) =>
            others.length === frame.tasks.length && others.every(({ task }, i) => task === frame.tasks[i]),
          { error: 'the tasks of the objective' },
        )
        .describe('as `objective`, with the numbers of these examples'),
      base: judged(frame),
    })
      .optional()
      .describe(
        'what the placements that were found are compared on: examples of the same tasks of which the searchers saw none',
      ),
    runs: filled(run(frame)).describe('one per seed: super network trained and searched anew'),
    ...cost,
  });
}

export type PlacementResult = z.infer<ReturnType<typeof placementSchema>>;
export type SearchRun = PlacementResult['runs'][number];
