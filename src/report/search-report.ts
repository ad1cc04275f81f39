import type { SearchResult } from '../search/result.ts';
import { writeFileAtomic } from '../util/files.ts';
import { renderFigure } from './figure.ts';
import { abilitiesFigure } from './figures/abilities.ts';
import { abilityCurvesFigure } from './figures/ability-curves.ts';
import { alignmentFigure } from './figures/alignment.ts';
import { budgetCurveFigure } from './figures/budget-curve.ts';
import { costFigure } from './figures/cost.ts';
import { heatMapFigure } from './figures/heat-map.ts';
import { type Findings, findingsOf } from './findings.ts';
import { html } from './html.ts';
import { renderPage, type Section } from './page.ts';
import { answer } from './sections/answer.ts';
import { searchersTable } from './sections/searchers.ts';
import { settings } from './sections/settings.ts';
import { terms } from './sections/terms.ts';
import { layersText } from './text.ts';

/**
 * The report of a placement search: one HTML file that needs nothing else.
 *
 * @throws InputError if the result holds no run or no task
 */
export function renderSearchReport(result: SearchResult): string {
  const findings = findingsOf(result);
  return renderPage({
    title: `${result.model.path}: full attention in ${layersText(findings.headline.run.placement)}`,
    header: answer(findings),
    sections: searchSections(findings),
    footer: html`<p>Made by postnas from a search of ${result.created.slice(0, 10)}. After Jet-Nemotron and PostNAS,
      <cite>Gu et al. 2025, arXiv:2508.15884</cite>; figures 5a and 5b of that paper have their counterparts here.</p>`,
  });
}

export function writeSearchReport(path: string, result: SearchResult): void {
  writeFileAtomic(path, renderSearchReport(result));
}

/** What a placement search has to show. A section whose data is missing is left out. */
function searchSections(findings: Findings): Section[] {
  const figure = (made: ReturnType<typeof heatMapFigure>) => made && renderFigure(made);
  const sections: (Omit<Section, 'body'> & { body: Section['body'] })[] = [
    { id: 'kept', title: 'What is kept', body: figure(abilitiesFigure(findings)) },
    { id: 'layers', title: 'Which layer matters for what', body: figure(heatMapFigure(findings)) },
    {
      id: 'comparison',
      title: findings.uniform ? 'Searched against uniform' : 'Quality by number of full layers',
      body: findings.searchers.length > 0 && [
        figure(budgetCurveFigure(findings)),
        searchersTable(findings),
        figure(abilityCurvesFigure(findings)),
      ],
    },
    { id: 'imitation', title: 'How well layers are imitated', body: figure(alignmentFigure(findings)) },
    { id: 'costs', title: 'What it cost', body: figure(costFigure(findings)) },
    { id: 'reproduce', title: 'Settings, seeds and data', body: settings(findings) },
    { id: 'terms', title: 'Terms', body: terms() },
  ];
  return sections.filter(({ body }) => body !== undefined && body !== false);
}
