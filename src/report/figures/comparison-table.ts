import { numberCell, spreadCell } from '../cells.ts';
import { type CandidateFindings, type Comparison, spreadOfCandidate } from '../comparison.ts';
import { spreadOver } from '../findings.ts';
import { type Html, html } from '../html.ts';
import { type Cell, renderTable } from '../table.ts';
import { amount, bytes, counted, deviceName, rate } from '../text.ts';

/** What candidates have between their name and their speed: gate and delta rule, or heads and widths. */
export interface Column {
  header: string;
  cell(candidate: CandidateFindings): Cell;
}

/** All candidates, the best mean first, the base model last; as in the paper's Tables 1 and 2. */
export function comparisonTable(
  comparison: Comparison,
  { id, caption, first, columns }: { id: string; caption: string; first: string; columns: readonly Column[] },
): Html {
  const { ranked, result, seeds } = comparison;
  const measures = comparison.measures.flatMap((measure) => measure.columns);
  const { device, context, tokens } = result.decode;
  const spread = seeds.length > 1 ? `, mean ± standard deviation over ${seeds.length} seeds` : '';
  return html`${renderTable({
    id,
    caption: `${caption}${spread}`,
    header: [
      first,
      ...columns.map(({ header }) => header),
      'Training tok/s',
      'Decode tok/s',
      ...measures.map(({ heading }) => heading),
      'Parameters',
      'State bytes',
    ],
    rows: ranked.map((candidate) => [
      {
        value: candidate.found.name,
        show: html`${candidate.label}${candidate.taken && html` <span class="mark">taken</span>`}`,
      },
      ...columns.map(({ cell }) => cell(candidate)),
      numberCell(candidate.train, rate),
      numberCell(candidate.decode, rate),
      ...measures.map((measure) => spreadCell(measure, spreadOfCandidate(measure, candidate))),
      numberCell(candidate.found.parameters, amount),
      numberCell(candidate.found.stateBytes, bytes),
    ]),
    footer: [
      [
        'base model',
        ...columns.map(() => undefined),
        undefined,
        undefined,
        ...measures.map((measure) => spreadCell(measure, spreadOver(measure, [result.base]))),
        undefined,
        undefined,
      ],
    ],
  })}
<p class="note">Taken is ${comparison.taken.label}, by the rule: ${result.choice.rule}. Parameters and state are those of one
  block; decoding is one sequence through the whole hybrid on the ${deviceName(device)}, ${counted(tokens, 'token')} after ${context}, the
  middle of ${counted(result.candidates[0]!.decode.length, 'round')}. Every candidate was trained on
  ${amount(result.trainedTokens)} tokens${seeds.length > 1 && ' per seed'}, and judged on the examples that the choice was made on.</p>`;
}
