import type { z } from 'zod';
import { fields, filled, list, text, whole } from '../../util/schema.ts';
import { cost, type Frame, judged, objective, placement } from '../result-fields.ts';

/** Sliding windows in layers that have lost their full attention, by another objective than that kept it. */
export const windowsSchema = (frame: Frame) =>
  fields({
    window: whole(1).describe('tokens that a window holds'),
    sinks: whole(1).optional().describe('first tokens of the text that it holds besides; none when absent'),
    budget: whole(0).describe('layers that may have one'),
    objective: objective(),
    runs: filled(
      fields({
        seed: whole(0),
        alone: filled(judged(frame)).describe('no window at all first, then each layer alone'),
        searchers: list(
          fields({
            name: text(),
            best: list(judged(frame)).describe('the best for each number of windows that was looked at'),
          }),
        ),
      }),
    ).describe(
      '`placement` of what is judged here: the layers with a window; full attention stays where it is',
    ),
    chosen: placement(frame).describe('the layers that get a window, the same for all seeds'),
    rule: text().describe('by which they were taken, in words'),
    ...cost,
  });

export type WindowsResult = z.infer<ReturnType<typeof windowsSchema>>;
