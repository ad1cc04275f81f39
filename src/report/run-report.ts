import type { RunResult, SearchedRun } from '../search/result.ts';
import { writeFileAtomic } from '../util/files.ts';
import { blocksPage } from './blocks-report.ts';
import { comparisonOf } from './comparison.ts';
import { renderFigure } from './figure.ts';
import { findingsOf } from './findings.ts';
import { html } from './html.ts';
import { type Page, renderPage, type Section } from './page.ts';
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
import { STAGE_TITLES } from './run/stage-titles.ts';
import { throughputClaim, throughputFigure } from './run/throughput.ts';
import { windowsSection } from './run/windows.ts';
import { searchPage } from './search-report.ts';
import { searchSections } from './sections/search-sections.ts';
import { settings } from './sections/settings.ts';
import { runTerms } from './sections/terms.ts';

/**
 * The report of a whole run, from the placement to the final model: one HTML file that needs nothing else.
 *
 * @throws InputError if its placement search holds no run or no task
 */
export function renderRunReport(result: RunResult): string {
  return renderPage(runPage(result));
}

/** The same as parts. A run of one stage has the page of this stage. */
export function runPage(result: RunResult): Page {
  const { placement, blocks, design, dimensions, windows, final } = result;
  const compared = blocks ?? design ?? dimensions;
  if (!placement) return compared ? blocksPage(compared) : finalPage(result);
  return compared || windows || final
    ? wholePage({ ...result, placement, chosen: result.chosen! })
    : searchPage(placement);
}

/** Of a run that trained a hybrid that was given. */
function finalPage(result: RunResult): Page {
  const final = finalFindings(result)!;
  const { architecture } = final.result;
  return {
    title: `${result.recipe.model}: ${architecture}`,
    header: html`<h1>${result.recipe.model} has taught ${architecture}</h1>`,
    sections: [
      { id: 'final-model', title: STAGE_TITLES.final, body: finalSection(final) },
      { id: 'terms', title: 'Terms', body: runTerms() },
    ],
    footer: html`<p>Made by postnas from a distillation of ${result.created.slice(0, 10)}.</p>`,
  };
}

function wholePage(result: SearchedRun): Page {
  const stages: Stages = {
    result,
    search: findingsOf(result.placement, result.mlps),
    blocks: result.blocks && comparisonOf(result.blocks),
    design: result.design && comparisonOf(result.design),
    dimensions: result.dimensions && comparisonOf(result.dimensions),
    final: finalFindings(result),
  };
  return {
    title: `${result.placement.model.path}: ${architectureOf(stages)}`,
    header: runAnswer(stages),
    sections: sectionsOf(stages),
    footer: html`<p>Made by postnas from a run of ${result.created.slice(0, 10)}. After Jet-Nemotron and PostNAS,
      <cite>Gu et al. 2025, arXiv:2508.15884</cite>.</p>`,
  };
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
    { id: 'final-model', title: STAGE_TITLES.final, body: final && finalSection(final) },
    {
      id: 'placement',
      title: STAGE_TITLES.placement,
      body: searchSections(search).map(({ body }) => body),
    },
    { id: 'frozen', title: STAGE_TITLES.mlps, body: mlps && mlpsSection(mlps, search.overall) },
    { id: 'block', title: STAGE_TITLES.blocks, body: blocks && blocksSection(blocks) },
    { id: 'designs', title: STAGE_TITLES.design, body: design && designSection(design) },
    {
      id: 'sizes',
      title: STAGE_TITLES.dimensions,
      body: dimensions && dimensionsSection(dimensions, result.recipe.dimensions?.slack),
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
      body: windows && windowsSection(windows, placement.model.layers),
    },
    { id: 'cost-of-all', title: 'What it cost', body: renderFigure(runCostFigure(result)) },
    { id: 'reproduce', title: 'Settings and data', body: runSettings(result) },
    { id: 'placement-settings', title: 'Settings of stage 1', body: settings(search) },
    { id: 'terms', title: 'Terms', body: runTerms() },
  ];
  return sections.filter(({ body }) => body !== undefined);
}
