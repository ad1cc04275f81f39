import { z } from 'zod';
import { date, fields, filled, list, number, oneOf, text, whole } from '../../util/schema.ts';
import { machinePart } from '../result.ts';

/**
 * What a search of how far KV heads see has found, as plain data for a report. Losses and divergences in nats a token, sizes in
 * bytes; what stands 'by distance' has a value for each entry of `recall.distances`.
 */
export const REACH_FORMAT = 'postnas-reach-1';

const byDistance = () => list(number().nullable());

const layerReach = fields({
  fullHeads: list(whole(0)).describe('KV heads that see all tokens, ascending'),
  window: whole(1).describe('last tokens that the others see, the current one included'),
  sinks: whole(0).describe('first tokens of the text that they see'),
});

const quality = fields({
  recall: list(
    fields({
      loss: number().nullable().describe('of the answers, a token; null without questions'),
      right: whole(0).describe('answers of which every token is the most probable'),
      questions: whole(1),
    }),
  ).describe('by distance'),
  text: fields({
    kl: number().describe("from the parent's next token, mean over the judged tokens"),
    loss: number(),
  }).nullable(),
}).describe('on whole passes over examples that the search did not see');

const placed = fields({
  how: oneOf(['refined', 'one-shot', 'uniform', 'random', 'layers', 'windows', 'full']).describe(
    'refined: what the search found; one-shot: by the scores of single heads; layers: whole layers by theirs, refined; windows: in all layers; full: the parent',
  ),
  seed: whole(0).optional().describe('of random heads'),
  budget: whole(0).optional().describe('place in `budgets`; none for windows and full'),
  layers: filled(layerReach),
  heads: whole(0).describe('KV heads that see everything'),
  cost: fields({
    bytes: number().describe('of the keys and values of a sequence at `context`'),
    milliseconds: number().optional().describe('a token at `context`, where costs were measured'),
  }),
  searched: number().nullable().describe('what the search compares by, on its own examples; lower is better'),
  quality,
});

const score = {
  layer: whole(0),
  recall: byDistance().describe('change of the loss, by distance; null where it was not asked'),
  kl: number().nullable().describe('change on text'),
  objective: number().describe('change of what the search compares by; less than 0 where it gets better'),
};

const headScore = fields({ ...score, head: whole(0) });
const layerScore = fields(score);
const windowScore = fields({ ...score, window: whole(1) });

const budget = fields({
  name: text().optional(),
  heads: whole(0).optional().describe('KV heads that see everything, at most'),
  layers: whole(0).optional().describe('whole layers that see everything, at most; no other heads do'),
  bytes: number().optional().describe('of the keys and values of a sequence at `context`, at most'),
  milliseconds: number().optional().describe('a token at `context`, at most'),
});

export const reachSchema = fields({
  format: z.literal(REACH_FORMAT),
  command: text().optional().describe('the command line that repeats it'),
  created: date().describe('ISO 8601'),
  machine: machinePart,
  model: fields({
    path: text(),
    layers: whole(1),
    kvHeads: whole(1).describe('of each layer'),
    parameters: number(),
  }),
  context: whole(1).describe(
    "the user's, in tokens: of costs; recall is asked for up to it and to the model's own",
  ),
  windows: filled(whole(1)).describe('that a layer could have'),
  sinks: whole(0),
  budgets: list(budget),
  recall: fields({
    family: text().describe('how secrets were told and asked for by the search'),
    reported: text().optional().describe('and how, in words that it never saw, for what is reported'),
    distances: filled(
      fields({
        from: whole(0).describe('tokens between what was told and the answer, at least'),
        to: whole(1).describe('and fewer than'),
        questions: whole(1).describe('that the search judged by'),
      }),
    ),
    texts: filled(fields({ tokens: whole(1), questions: whole(1) })),
  }).nullable(),
  text: fields({
    name: text(),
    rows: whole(1),
    tokens: whole(1).describe('of which the next one was judged'),
  }).nullable(),
  weights: fields({ mean: number(), worst: number(), text: number() }).describe(
    'what the search compares by: shares of what windows lose: of answers on average and at the worst distance, and of the divergence on text, so weighed',
  ),
  scores: fields({
    fromWindows: list(headScore).describe('all heads windows, one made full'),
    fromFull: list(headScore).describe('all heads full, one made a window; on texts of at most 2,048 tokens'),
    layers: list(layerScore).describe('all heads windows, those of one layer made full'),
    windows: list(windowScore).describe('all heads windows, those of one layer made longer'),
  }),
  placements: filled(placed),
  seeds: list(whole(0)),
  seconds: number().describe('of everything, those of earlier processes included'),
  tokens: number().describe('taken through all layers, as many as it would have been'),
});

export type ReachResult = z.infer<typeof reachSchema>;
export type ReachBudget = z.infer<typeof budget>;

export type PlacedReach = ReachResult['placements'][number];
