import { type Figure, renderFigure } from '../figure.ts';
import { abilitiesFigure } from '../figures/abilities.ts';
import { abilityCurvesFigure } from '../figures/ability-curves.ts';
import { alignmentFigure } from '../figures/alignment.ts';
import { budgetCurveFigure } from '../figures/budget-curve.ts';
import { costFigure } from '../figures/cost.ts';
import { heatMapFigure } from '../figures/heat-map.ts';
import type { Findings } from '../findings.ts';
import type { Section } from '../page.ts';
import { searchersTable } from './searchers.ts';

/** What a placement search has to show, by itself or as the first stage of a run. What has no data is left out. */
export function searchSections(findings: Findings): Section[] {
  const figure = (made: Figure | undefined) => made && renderFigure(made);
  const sections: Section[] = [
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
  ];
  return sections.filter(({ body }) => body !== undefined && body !== false);
}
