import { createHash } from 'node:crypto';
import { type Content, Html, html } from './html.ts';
import { style } from './style.ts';

/** A part of a report; a stage of the pipeline adds the sections that show what it found. */
export interface Section {
  /** Unique in the page. */
  id: string;
  /** In the table of contents and above the section. */
  title: string;
  body: Content;
}

export interface Page {
  /** Of the window. */
  title: string;
  /** Above all else, on a live page. */
  banner?: Content;
  /** The answer, before everything else. */
  header: Content;
  sections: readonly Section[];
  footer: Content;
}

/** A page that changes while it is looked at. */
export interface LiveOptions {
  /** What keeps it up to date. */
  script: string;
  /** Rules beside those of every report. */
  style: string;
}

/**
 * One file that needs nothing else: no network, no script; what is not in it is forbidden to it. A live page may run
 * its script and talk to where it came from.
 */
export function renderPage(page: Page, live?: LiveOptions): string {
  const parts = partsOf(page);
  const [header, contents, footer] = [parts.get(HEADER)!, parts.get(CONTENTS)!, parts.get(FOOTER)!];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${securityPolicy(live)}">
<title>${page.title}</title>
<style>${new Html(style())}${live && new Html(live.style)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>${live && html`<div id="${BANNER}">${parts.get(BANNER)!}</div><p id="announcement" class="unseen" role="status"></p>`}
<div id="${HEADER}">${header}</div>
<nav aria-label="Contents"><ol id="${CONTENTS}">${contents}</ol></nav>
</header>
<main id="main">${page.sections.map(
    ({ id }): Html => html`
<section id="${id}" aria-labelledby="${id}-heading">
${parts.get(id)!}
</section>`,
  )}
</main>
<footer id="${FOOTER}">${footer}</footer>${live && html`<script>${new Html(live.script)}</script>`}
</body>
</html>
`.markup;
}

const BANNER = 'page-banner';
const HEADER = 'page-header';
const CONTENTS = 'page-contents';
const FOOTER = 'page-footer';

/** What is inside of the elements of a page, by their ids, in their order: what a live page exchanges. */
export function partsOf({ banner, header, sections, footer }: Page): Map<string, Html> {
  const contents = sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`);
  return new Map([
    [BANNER, html`${banner}`],
    [HEADER, html`${header}`],
    [CONTENTS, html`${contents}`],
    ...sections.map(({ id, title, body }): [string, Html] => [
      id,
      html`<h2 id="${id}-heading">${title}</h2>
${body}`,
    ]),
    [FOOTER, html`${footer}`],
  ]);
}

function securityPolicy(live: LiveOptions | undefined): string {
  const own = live
    ? `script-src 'sha256-${createHash('sha256').update(live.script).digest('base64')}'; connect-src 'self'; `
    : '';
  return `default-src 'none'; ${own}style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`;
}
