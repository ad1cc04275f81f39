import type { Result } from '../search/result.ts';
import { writeFileAtomic } from '../util/files.ts';
import type { Comparison } from './comparison.ts';
import { renderFigure } from './figure.ts';
import { type Content, html } from './html.ts';
import { type Page, renderPage, type Section } from './page.ts';
import { architectureOf, runAnswer } from './run/answer.ts';
import { blocksSection } from './run/blocks.ts';
import { claimNotes } from './run/claim.ts';
import { claimsTable } from './run/claims.ts';
import { runCostFigure } from './run/costs.ts';
import { designSection } from './run/design.ts';
import { dimensionsSection } from './run/dimensions.ts';
import { finalSection } from './run/final.ts';
import { mlpsSection } from './run/mlps.ts';
import { settings } from './run/settings.ts';
import { STAGE_TITLES } from './run/stage-titles.ts';
import { throughputClaim, throughputFigure } from './run/throughput.ts';
import { windowsSection } from './run/windows.ts';
import { answer } from './sections/answer.ts';
import { comparisonAnswer } from './sections/comparison-answer.ts';
import { searchFacts } from './sections/search-facts.ts';
import { searchSections } from './sections/search-sections.ts';
import { terms } from './sections/terms.ts';
import { type Stages, stagesOf } from './stages.ts';
import { layersText } from './text.ts';

/**
 * The report of a result, whatever stages it has: one HTML file that needs nothing else.
 *
 * @throws InputError for a result without any stage, or with a search that holds no run or no task
 */
export function renderReport(result: Result): string {
  return renderPage(reportPage(result));
}

export function writeReport(path: string, result: Result): void {
  writeFileAtomic(path, renderReport(result));
}

/** The same as parts; of a run that goes on, too. */
export function reportPage(result: Result): Page {
  const stages = stagesOf(result);
  return {
    ...answerOf(stages),
    sections: sectionsOf(stages),
    footer: html`<p>Made by postnas from a result of ${result.created.slice(0, 10)}. After Jet-Nemotron and PostNAS,
      <cite>Gu et al. 2025, arXiv:2508.15884</cite>.</p>`,
  };
}

/** The answer before everything else: of the only stage, or of all together. */
function answerOf(stages: Stages): Pick<Page, 'title' | 'header'> {
  const { result, search, alone } = stages;
  const { path } = result.model;
  if (alone === 'placement' && search) {
    const kept = layersText(search.headline.run.placement);
    return { title: `${path}: full attention in ${kept}`, header: answer(search, result) };
  }
  const comparison = comparisonAlone(stages);
  if (comparison) {
    return { title: `${path}: ${comparison.taken.label}`, header: comparisonAnswer(comparison, result) };
  }
  return { title: `${path}: ${architectureOf(stages)}`, header: runAnswer(stages) };
}

function comparisonAlone({ alone, ...stages }: Stages): Comparison | undefined {
  return alone === 'blocks' || alone === 'design' || alone === 'dimensions' ? stages[alone] : undefined;
}

/** A section whose stage is absent is left out; what puts stages together, where there is but one. */
function sectionsOf(stages: Stages): Section[] {
  const { result, search, blocks, design, dimensions, final, alone } = stages;
  const { mlps, throughput, windows } = result;
  const together = (body: () => Content) => (alone ? undefined : body());
  const sections: Section[] = [
    { id: 'claims', title: 'The paper’s claims', body: together(() => claimsTable(stages)) },
    { id: 'final-model', title: STAGE_TITLES.final, body: final && finalSection(final) },
    ...placementSections(stages),
    { id: 'frozen', title: STAGE_TITLES.mlps, body: mlps && search && mlpsSection(mlps, search.overall) },
    { id: 'block', title: STAGE_TITLES.blocks, body: blocks && blocksSection(blocks) },
    { id: 'designs', title: STAGE_TITLES.design, body: design && designSection(design) },
    {
      id: 'sizes',
      title: STAGE_TITLES.dimensions,
      body: dimensions && dimensionsSection(dimensions, result.recipe?.dimensions?.slack),
    },
    {
      id: 'speed',
      title: STAGE_TITLES.throughput,
      body: throughput && [
        renderFigure(throughputFigure(throughput)),
        claimNotes([throughputClaim(throughput)]),
      ],
    },
    {
      id: 'windows',
      title: STAGE_TITLES.windows,
      body: windows && windowsSection(windows, result.model.layers),
    },
    { id: 'cost-of-all', title: 'What it cost', body: together(() => renderFigure(runCostFigure(stages))) },
    { id: 'reproduce', title: 'Settings and data', body: settings(stages) },
    { id: 'placement-settings', title: 'Settings of the search', body: search && searchFacts(search) },
    { id: 'terms', title: 'Terms', body: terms() },
  ];
  return sections.filter(({ body }) => body !== undefined);
}

/** A section for each question where it is all that there is. */
function placementSections({ search, alone }: Stages): Section[] {
  if (!search) return [];
  const sections = searchSections(search);
  if (alone) return sections;
  return [{ id: 'placement', title: STAGE_TITLES.placement, body: sections.map(({ body }) => body) }];
}
