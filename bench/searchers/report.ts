import type { Machine } from '../../src/search/machine.ts';
import { ONCE_FOR_ALL, SEARCHERS } from '../../src/search/searchers/all.ts';
import { average } from '../../src/util/statistics.ts';
import { budgetsOf, type Row, rowsOf, type SettingResult } from './rows.ts';

/** The comparison as Markdown: a table for each setting and budget, and what they decide in words. */

export interface SearchersResult {
  format: 'postnas-searchers-1';
  created: string;
  /** What made each setting. */
  settings: (SettingResult & { command: string; machine: Machine; what: string })[];
}

const percent = (share: number) => (100 * share).toFixed(1);
const signed = (share: number) => (100 * share).toFixed(1).replace('-0.0', '0.0');
const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const thousands = (tokens: number) => (tokens === 0 ? '0' : `${(tokens / 1000).toFixed(1)} K`);

export const figureName = (setting: SettingResult, budget: number) => `${setting.name}-${budget}.svg`;

function tableOf(setting: SettingResult, budget: number): string {
  const rows = rowsOf(setting, budget);
  const trained = rows.some(({ untrained }) => untrained);
  const known = rows.some(({ regret }) => regret !== undefined);
  const header = [
    'searcher',
    'seeds',
    ...(trained ? ['right, % (after training)', 'before it'] : ['right, %']),
    'KL',
    ...(known ? ['regret', 'of what it judged by'] : []),
    'behind the best row',
    'tokens',
    'trained tokens',
    'seconds',
  ];
  const body = rows.map((row) => [
    row.verdict === 'behind' ? row.searcher : `**${row.searcher}**`,
    String(row.seeds.length),
    `${percent(row.right.mean)}${row.right.deviation === undefined ? '' : ` ± ${percent(row.right.deviation)}`}`,
    ...(trained ? [row.untrained ? percent(row.untrained.mean) : ''] : []),
    row.kl.mean.toFixed(4),
    ...(known
      ? [row.regret, row.searchedRegret].map((regret) => (regret === undefined ? '' : signed(regret)))
      : []),
    behindOf(row),
    thousands(row.tokens),
    thousands(row.trainedTokens),
    row.seconds.toFixed(1),
  ]);
  return [line(header), line(header.map(() => '---')), ...body.map(line)].join('\n');
}

function behindOf({ verdict, behind }: Row): string {
  if (verdict === 'best') return '-';
  if (verdict === 'equal') return 'equal';
  const margin = behind.margin === undefined ? '' : ` ± ${percent(behind.margin)}`;
  return `${signed(behind.mean)}${margin}${verdict === 'undecided' ? ', undecided' : ''}`;
}

/** What of a comparison was not computed yet. */
function missingOf({ name, cells }: SettingResult): string {
  const trains = name === 'linear';
  const missing = SEARCHERS.map((searcher) => searcher.name).filter(
    (each) => !cells.some(({ searcher }) => searcher === each) && (trains || each !== ONCE_FOR_ALL),
  );
  const parts = [
    ...missing,
    ...(trains && cells.every(({ trained }) => !trained) ? ['the equal training'] : []),
  ];
  return parts.length > 0 ? ` Not computed yet: ${parts.join('; ')}.` : '';
}

/** What the budgets of a setting decide, in sentences. */
function verdictOf(setting: SettingResult): string[] {
  const budgets = budgetsOf(setting);
  const byBudget = budgets.map((budget) => rowsOf(setting, budget));
  const sentences = byBudget.map((rows, i) => {
    const [best, ...others] = rows;
    const named = (verdict: Row['verdict']) =>
      others.filter((row) => row.verdict === verdict).map(({ searcher }) => searcher);
    const listed = (verdict: Row['verdict']) => named(verdict).join('; ') || 'none';
    return (
      `With ${budgets[i]} the best mean has ${best!.searcher} (${percent(best!.right.mean)} %, ${best!.seconds.toFixed(1)} s). Equal with every ` +
      `seed: ${listed('equal')}. Undecided (the 95 % interval of the paired differences holds 0): ${listed('undecided')}. ` +
      `Behind: ${listed('behind')}.`
    );
  });
  const all = byBudget[0]!
    .map(({ searcher }) => searcher)
    .map((searcher) => byBudget.flatMap((rows) => rows.filter((row) => row.searcher === searcher)))
    .filter((rows) => rows.length === budgets.length);
  const summed = all.map((rows) => ({
    searcher: rows[0]!.searcher,
    behind: rows.filter(({ verdict }) => verdict === 'behind').length,
    right: average(rows.map(({ right }) => right.mean)),
    seconds: rows.reduce((sum, { seconds }) => sum + seconds, 0),
  }));
  const never = summed.filter(({ behind }) => behind === 0).sort((a, b) => b.right - a.right);
  const over = never.map(
    ({ searcher, right, seconds }) => `${searcher} (${percent(right)} %, ${seconds.toFixed(0)} s)`,
  );
  return [
    ...sentences,
    `Decidedly behind under no budget, with the mean over budgets and the seconds of all of them: ${over.join('; ') || 'none'}.`,
  ];
}

export function searchersMarkdown({ created, settings }: SearchersResult): string {
  const parts = settings.map((setting) => {
    const { machine } = setting;
    const budgets = budgetsOf(setting);
    const seeds = new Set(setting.references.map(({ seed }) => seed));
    const parent = average(setting.references.map((reference) => reference.parent.right));
    const none = average(setting.references.map((reference) => reference.none.right));
    return `## ${setting.title}

${setting.what} ${seeds.size === 1 ? 'One seed, which decides nothing' : `${seeds.size} seeds`}; the parent ${percent(parent)} % right, all exchanged ${percent(none)} %.${missingOf(setting)}
\`${setting.command}\`; ${machine.processor}, one thread of ${machine.cores}, Node ${machine.node}, onnxruntime ${machine.onnxruntime}.

${verdictOf(setting)
  .map((sentence) => `- ${sentence}`)
  .join('\n')}

${budgets
  .map(
    (budget) => `### Budget ${budget}

${tableOf(setting, budget)}

![Right answers against the seconds of the search](figures/${figureName(setting, budget)})`,
  )
  .join('\n\n')}`;
  });
  return `# Which searcher finds the best placement for the least

Written by \`npm run bench -- searchers --report docs/searchers\` on ${created.slice(0, 10)}; the numbers behind it are in \`result.json\`.

All searchers stand behind one interface (\`src/search/searchers/\`): from a model, what its layers choose between, a budget and a
judge to a placement and what it took. Each is charged for all that it asks, as if it had the judge for itself. Right answers are the mean
over tasks, on examples that no search saw; *regret* is what is missing to the best of all placements on those same examples, and
*of what it judged by* the same of the search's own objective on its own examples. Where something is trained, all placements are then
trained alike, from the same branches, which are aligned once for each seed. In bold what is not told apart from the best row: the 95 %
interval of the differences, seed by seed, holds 0. Tokens are those that go through all layers, beginnings that placements share counted
once; seconds are processor seconds, for judging the tokens times the mean of all judging with that seed.

- *once-for-all, beam*: the paper's. A super network is trained along random paths, a beam of 3 judged on it. *beam* is the same without that
  training.
- *greedy by KL*: layer by layer what lowers the divergence from the parent most, *adding* from none or *taking away* from all.
- *distil, then replace* (arXiv 2601.11667): each replacement trained alone (the shared alignment), then the layer is replaced that loses least on the
  tasks, and so on.
- *learned gates* (as arXiv 2410.10819, 2606.30562): gates trained on recall under the budget, all weights frozen.
- *integer programme, refined*: what \`postnas search\` does for windows: single changes, the order in which layers are missed, exchanges.
- *local error*: error of the layer's own output. *uniform*, *random*: the baselines; *random, mean* is what the drawn ones are on average.

${parts.join('\n\n')}
`;
}
