import { join } from 'node:path';
import { type Findings, fullSpread, type SearcherFindings } from '../report/findings.ts';
import type { Measure } from '../report/measure.ts';
import { measuredOn, placementVerdict, scoreText } from '../report/verdict.ts';
import type { Judged } from '../search/stages/placement/searcher.ts';
import { duration } from './progress.ts';
import { plain, table } from './table.ts';

/** What a placement search found, for people at a terminal. */

/** @param next the options that a training of the hybrid shares with the search: '--data novels.txt' */
export function searchSummary(findings: Findings, out: string, next: string): string {
  const { result, model, headline, layers } = findings;
  const hybrid = join(out, `seed-${headline.run.seed}`, 'hybrid');
  const shared = next && ` ${next}`;
  return plain(
    [
      searchTable(findings),
      '',
      ...notes(findings),
      '',
      verdict(findings),
      '',
      ...result.runs.map(
        ({ seed, architecture, placement }) =>
          `seed ${seed}: ${architecture}, full attention in ${placement.join(' ') || 'no layer'} of ${layers} layers`,
      ),
      `${result.tokens.toLocaleString('en')} tokens in ${duration(result.seconds)}`,
      `report:  ${join(out, 'report.html')}`,
      `hybrid:  ${hybrid}`,
      '',
      'next, train it (a search only imitates layer by layer), or compare blocks at this placement:',
      `  postnas distill ${model.path} ${hybrid}${shared}`,
      `  postnas blocks ${model.path} --full-layers ${join(out, 'result.json')}${shared}`,
    ].join('\n'),
  );
}

/** The parent, then what every searcher found with every seed; measures by their kinds. */
function searchTable(findings: Findings): string {
  const { overall, tasks, guiding, searchers, compared } = findings;
  const columns = [...(guiding.length > 1 ? [overall] : []), ...tasks.flatMap((task) => task.columns)];
  const cells = (judged: Judged) => columns.map((measure) => cell(measure, measure.of(judged)));
  const linear = compared.allLinear;
  const found = findings.seeds.flatMap((seed, i) => [
    ...searchers.flatMap((searcher) =>
      searcher.outcomes
        .filter((outcome) => outcome.seed === seed)
        .map(({ full }) => [
          String(seed),
          named(searcher),
          full.placement.join(' ') || 'none',
          ...cells(full),
        ]),
    ),
    ...(linear[i] ? [[String(seed), 'no full attention', 'none', ...cells(linear[i])]] : []),
  ]);
  return table(
    ['seed', 'placement', 'full layers', ...columns.map(({ heading }) => heading)],
    [['', 'parent', 'all', ...cells(compared.base)], ...found],
  );
}

function named({ label, role }: SearcherFindings): string {
  return role === 'searched' ? `searched: ${label}` : label;
}

function cell(measure: Measure, value: number | undefined): string {
  return value === undefined ? '' : measure.digits(value);
}

function notes(findings: Findings): string[] {
  const { overall } = findings;
  const score =
    overall.kind === 'score'
      ? `The score, which the search maximised, is ${scoreText(overall)}`
      : `The search ${overall.higherIsBetter ? 'maximised' : 'minimised'} the ${overall.phrase}.`;
  return ['Layers are numbered from 0, as in model.layers.0.', score, measuredOn(findings)];
}

/** In words, and how much of the parent is left. */
function verdict(findings: Findings): string {
  const { guiding, searched, compared } = findings;
  const said = placementVerdict(findings) ?? 'There was nothing to compare the searched placement with.';
  const changes = guiding.flatMap((measure) => {
    const [own, parent] = [fullSpread(measure, searched), measure.of(compared.base)];
    return own && parent !== undefined ? `${measure.phrase} ${measure.showChange(own.mean - parent)}` : [];
  });
  return changes.length > 0 ? `${said}\nAgainst the parent: ${changes.join(', ')}.` : said;
}
