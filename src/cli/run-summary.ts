import { join } from 'node:path';
import { type FinalFindings, stageName, valuesAfter } from '../report/run/final-findings.ts';
import { windowsBalance } from '../report/run/windows-changes.ts';
import { stagesOf } from '../report/stages.ts';
import { placementVerdict, takenVerdict } from '../report/verdict.ts';
import type { Result } from '../search/result.ts';
import { spreadOf } from '../util/statistics.ts';
import { duration } from './progress.ts';
import { plain, table } from './table.ts';

/** What a whole run found, for people at a terminal: what each stage decided, and what is left of the base's abilities. */
export function runSummary(result: Result, out: string): string {
  const { chosen, windows } = result;
  const { search, blocks, design, dimensions, final: found } = stagesOf(result);
  const compared = [blocks, design, dimensions].flatMap((each) => each ?? []);
  const decided = [
    ...(chosen ? [['full attention, layers from 0', chosen.placement.join(' ') || 'none']] : []),
    ...compared.map(({ stage, taken }) => [stage, taken.found.name]),
    ...(windows ? [['sliding windows', windows.chosen.join(' ') || 'none']] : []),
  ];
  const verdicts = [
    search && placementVerdict(search),
    ...compared.map(takenVerdict),
    windows &&
      windowsBalance(windows).replace('They gain', 'Windows gain').replace('They cost', 'Windows cost'),
  ];
  const final = found?.result;
  return plain(
    [
      table(['stage', 'decided'], decided),
      '',
      ...verdicts.filter(Boolean),
      ...(found && final
        ? [
            '',
            finalTable(found),
            '',
            `architecture: ${final.architecture}`,
            `hybrid:  ${final.runs[0]!.hybrid}`,
          ]
        : []),
      `${result.tokens.toLocaleString('en')} tokens, ${duration(result.seconds)} of work`,
      `report:  ${join(out, 'report.html')}`,
      ...(final
        ? ['', 'next, use it:', `  postnas generate ${final.runs[0]!.hybrid} --prompt "Once upon a time"`]
        : []),
    ].join('\n'),
  );
}

function finalTable(found: FinalFindings): string {
  const { result, stages } = found;
  const columns = found.tasks.flatMap((task) => task.columns);
  const base = columns.map((measure) => {
    const value = measure.of(result.base);
    return value === undefined ? '' : measure.digits(value);
  });
  const rows = stages.map((stage) => [
    stage === 'search' ? stageName(stage) : `after ${stage}`,
    ...columns.map((measure) => {
      const spread = spreadOf(valuesAfter(result, measure, stage).map(({ value }) => value));
      return spread ? measure.digitsOf(spread) : '';
    }),
  ]);
  return table(['', ...columns.map(({ heading }) => heading)], [['base', ...base], ...rows]);
}
