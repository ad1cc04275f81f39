import type { SearchResult } from '../search/stages/placement/result.ts';
import { writeFileAtomic } from '../util/files.ts';
import { findingsOf } from './findings.ts';
import { html } from './html.ts';
import { type Page, renderPage } from './page.ts';
import { answer } from './sections/answer.ts';
import { searchSections } from './sections/search-sections.ts';
import { settings } from './sections/settings.ts';
import { terms } from './sections/terms.ts';
import { layersText } from './text.ts';

/**
 * The report of a placement search: one HTML file that needs nothing else.
 *
 * @throws InputError if the result holds no run or no task
 */
export function renderSearchReport(result: SearchResult): string {
  return renderPage(searchPage(result));
}

export function searchPage(result: SearchResult): Page {
  const findings = findingsOf(result);
  return {
    title: `${result.model.path}: full attention in ${layersText(findings.headline.run.placement)}`,
    header: answer(findings),
    sections: [
      ...searchSections(findings),
      { id: 'reproduce', title: 'Settings, seeds and data', body: settings(findings) },
      { id: 'terms', title: 'Terms', body: terms() },
    ],
    footer: html`<p>Made by postnas from a search of ${result.created.slice(0, 10)}. After Jet-Nemotron and PostNAS,
      <cite>Gu et al. 2025, arXiv:2508.15884</cite>; figures 5a and 5b of that paper have their counterparts here.</p>`,
  };
}

export function writeSearchReport(path: string, result: SearchResult): void {
  writeFileAtomic(path, renderSearchReport(result));
}
