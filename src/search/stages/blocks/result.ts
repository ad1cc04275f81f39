import { z } from 'zod';
import { fields, filled, list, number, text, whole } from '../../../util/schema.ts';
import type { BlockSpec } from '../../network/linear-mixer.ts';
import { conditions, type Frame, judged, objective, placement, rates } from '../../result-fields.ts';

/** What the candidates of a comparison differ in: the kind of block, the design of the JetBlock, or its dimensions. */
export type BlocksStage = 'blocks' | 'design' | 'dimensions';

const sized = z.looseObject(
  { kind: text(), heads: whole(1), keyDim: whole(1), valueDim: whole(1) },
  { error: 'an object' },
);

/**
 * A block by its kind and the size of its state, which beside a window is that of its linear part; what else its kind has
 * is not looked at.
 */
const spec = z.looseObject({ kind: text() }, { error: 'an object' }).superRefine((block, { addIssue }) => {
  const at = block.kind === 'window_linear' ? ['linear'] : [];
  const read = sized.safeParse(at.length > 0 ? block.linear : block);
  for (const { path, message } of read.error?.issues ?? []) {
    addIssue({ code: 'custom', path: [...at, ...path], message });
  }
}) as unknown as z.ZodType<BlockSpec>;

function candidate(frame: Frame) {
  return fields({
    name: text(),
    spec,
    parameters: number().describe('of one block'),
    stateBytes: number().describe(
      'of one block for one sequence, in bytes of float32, convolution states included',
    ),
    stateSize: number().describe(
      'numbers of the recurrent state of one block: heads x key width x value width',
    ),
    decode: rates().describe(
      'tokens per second of the whole hybrid, a value per round; rounds of all candidates alternate',
    ),
    train: rates().describe('tokens per second of feature distillation, a value per round, in turns too'),
    runs: filled(
      fields({
        seed: whole(0),
        alignment: list(number()).describe(
          'relative squared error of the blocks after alignment, per replaced layer',
        ),
        loss: number().describe('of feature distillation, mean over the last tenth of its steps'),
        judged: judged(frame),
      }),
    ),
  });
}

/** What a comparison of blocks found (stages 2 to 4 of PostNAS). */
export function blocksSchema(frame: Frame) {
  return fields({
    placement: placement(frame).describe('the layers that keep full attention'),
    objective: objective(),
    base: judged(frame).describe('the parent itself, on the same examples'),
    trainedTokens: number().describe('that each candidate was trained on, per seed'),
    decode: conditions(),
    candidates: filled(candidate(frame)),
    choice: fields({ name: text(), rule: text() }),
    seconds: number(),
  })
    .meta({ title: 'comparison' })
    .superRefine(({ candidates, choice }, { addIssue }) => {
      // Candidates are compared seed by seed.
      const seeds = candidates[0]!.runs.map(({ seed }) => seed);
      for (const [i, { runs }] of candidates.entries()) {
        const own = runs.map(({ seed }) => seed);
        if (own.length !== seeds.length || !own.every((seed) => seeds.includes(seed))) {
          addIssue({
            code: 'custom',
            path: ['candidates', i, 'runs'],
            message: `the seeds ${seeds.join(', ')}`,
            params: { found: own },
          });
        }
      }
      if (!candidates.some(({ name }) => name === choice.name)) {
        addIssue({ code: 'custom', path: ['choice', 'name'], message: 'the name of a candidate' });
      }
    });
}

export type BlocksResult = z.infer<ReturnType<typeof blocksSchema>>;
export type BlockFindings = BlocksResult['candidates'][number];
export type BlockRun = BlockFindings['runs'][number];

/** Tokens that all candidates together were trained on, with all seeds. */
export function comparedTokens({ trainedTokens, candidates }: BlocksResult): number {
  return trainedTokens * candidates.reduce((runs, each) => runs + each.runs.length, 0);
}
