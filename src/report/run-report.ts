import type { RunResult } from '../search/run/result.ts';
import { writeFileAtomic } from '../util/files.ts';
import { comparisonOf } from './comparison.ts';
import { renderFigure } from './figure.ts';
import { findingsOf } from './findings.ts';
import { html } from './html.ts';
import { renderPage, type Section } from './page.ts';
import { architectureOf, runAnswer } from './run/answer.ts';
import { blocksSection } from './run/blocks.ts';
import { claimNotes } from './run/claim.ts';
import { claimsTable, type Stages } from './run/claims.ts';
import { runCostFigure } from './run/costs.ts';
import { designSection } from './run/design.ts';
import { dimensionsSection } from './run/dimensions.ts';
import { finalSection } from './run/final.ts';
import { finalFindings } from './run/final-findings.ts';
import { mlpsSection } from './run/mlps.ts';
import { runSettings } from './run/settings.ts';
import { throughputClaim, throughputFigure } from './run/throughput.ts';
import { windowsSection } from './run/windows.ts';
import { searchSections } from './sections/search-sections.ts';
import { settings } from './sections/settings.ts';
import { runTerms } from './sections/terms.ts';

/**
 * The report of a whole run, from the placement to the final model: one HTML file that needs nothing else.
 *
 * @throws InputError if its placement search holds no run or no task
 */
export function renderRunReport(result: RunResult): string {
  const stages: Stages = {
    result,
    search: findingsOf(result.placement),
    blocks: result.blocks && comparisonOf(result.blocks),
    design: result.design && comparisonOf(result.design),
    dimensions: result.dimensions && comparisonOf(result.dimensions),
    final: finalFindings(result),
  };
  return renderPage({
    title: `${result.placement.model.path}: ${architectureOf(stages)}`,
    header: runAnswer(stages),
    sections: sectionsOf(stages),
    footer: html`<p>Made by postnas from a run of ${result.created.slice(0, 10)}. After Jet-Nemotron and PostNAS,
      <cite>Gu et al. 2025, arXiv:2508.15884</cite>.</p>`,
  });
}

export function writeRunReport(path: string, result: RunResult): void {
  writeFileAtomic(path, renderRunReport(result));
}

/** A section whose stage is absent is left out. */
function sectionsOf(stages: Stages): Section[] {
  const { result, search, blocks, design, dimensions, final } = stages;
  const { mlps, throughput, windows, placement } = result;
  const sections: Section[] = [
    { id: 'claims', title: 'The paper’s claims', body: claimsTable(stages) },
    { id: 'final-model', title: 'The final model', body: final && finalSection(final) },
    {
      id: 'placement',
      title: 'Stage 1: where full attention stays',
      body: searchSections(search).map(({ body }) => body),
    },
    { id: 'frozen', title: 'Frozen or trained MLPs', body: mlps && mlpsSection(mlps, search.overall) },
    { id: 'block', title: 'Stage 2: which block', body: blocks && blocksSection(blocks) },
    { id: 'designs', title: 'Stage 3: how it is built', body: design && designSection(design) },
    {
      id: 'sizes',
      title: 'Stage 4: heads and widths',
      body: dimensions && dimensionsSection(dimensions, result.recipe.dimensions?.slack),
    },
    {
      id: 'speed',
      title: 'What decoding depends on',
      body: throughput && [
        renderFigure(throughputFigure(throughput)),
        claimNotes([throughputClaim(throughput)]),
      ],
    },
    {
      id: 'windows',
      title: 'Sliding windows',
      body: windows && windowsSection(windows, placement.model.layers),
    },
    { id: 'cost-of-all', title: 'What it cost', body: renderFigure(runCostFigure(result)) },
    { id: 'reproduce', title: 'Settings and data', body: runSettings(result) },
    { id: 'placement-settings', title: 'Settings of stage 1', body: settings(search) },
    { id: 'terms', title: 'Terms', body: runTerms() },
  ];
  return sections.filter(({ body }) => body !== undefined);
}
