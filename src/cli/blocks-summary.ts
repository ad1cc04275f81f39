import { join } from 'node:path';
import { type CandidateFindings, type Comparison, spreadOfCandidate } from '../report/comparison.ts';
import type { Measure } from '../report/measure.ts';
import { layersText } from '../report/text.ts';
import { scoreText, takenVerdict } from '../report/verdict.ts';
import type { Result } from '../search/result.ts';
import { paretoFront } from '../search/stages/blocks/choice.ts';
import { duration } from './progress.ts';
import { plain, table } from './table.ts';

/**
 * What a comparison of blocks, designs or dimensions found, for people at a terminal: the paper's Tables 1 and 2.
 *
 * @param next the options that a training of the hybrid shares with it: '--data novels.txt'
 */
export function blocksSummary(
  comparison: Comparison,
  { path }: Result['model'],
  out: string,
  next: string,
): string {
  const { stage, result, overall, tasks, ranked } = comparison;
  const columns = [...(tasks.length > 1 ? [overall] : []), ...tasks.flatMap((task) => task.columns)];
  const front = new Set(paretoFront(result.candidates).map(({ name }) => name));
  const rows = ranked.map((candidate) => [
    candidate.found.name + markOf(candidate, front),
    ...columns.map((measure) => cell(measure, candidate)),
    Math.round(candidate.train).toLocaleString('en'),
    candidate.decode.toFixed(1),
    candidate.found.parameters.toLocaleString('en'),
    candidate.found.stateBytes.toLocaleString('en'),
  ]);
  const parent = columns.map((measure) => {
    const value = measure.of(result.base);
    return value === undefined ? '' : measure.digits(value);
  });
  const hybrid = join(out, 'hybrid');
  return plain(
    [
      table(
        [
          stage === 'blocks' ? 'block' : stage,
          ...columns.map(({ heading }) => heading),
          'train tok/s',
          'decode tok/s',
          'parameters',
          'state bytes',
        ],
        [...rows, ['parent', ...parent, '', '', '', '']],
      ),
      '',
      ...(overall.kind === 'score' ? [`The score is ${scoreText(overall)}`] : []),
      '(front): no other is both better and faster. Parameters and state are those of one block.',
      `Full attention stays in ${layersText(result.placement)}, numbered from 0. Judged on the examples that the choice is made on.`,
      '',
      ...[takenVerdict(comparison) ?? []].flat(),
      `taken: ${result.choice.name}, by the rule: ${result.choice.rule}`,
      `${result.trainedTokens.toLocaleString('en')} tokens per block and seed, ${duration(result.seconds)} in all`,
      `report:  ${join(out, 'report.html')}`,
      `hybrid:  ${hybrid}`,
      '',
      'next, train the hybrid of the taken one further, or see what it takes:',
      `  postnas distill ${path} ${hybrid}${next && ` ${next}`}`,
      `  postnas info ${hybrid}`,
    ].join('\n'),
  );
}

function markOf({ found, taken }: CandidateFindings, front: ReadonlySet<string>): string {
  return taken ? ' (taken)' : front.has(found.name) ? ' (front)' : '';
}

function cell(measure: Measure, candidate: CandidateFindings): string {
  const spread = spreadOfCandidate(measure, candidate);
  return spread ? measure.digitsOf(spread) : '';
}
