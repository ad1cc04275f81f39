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
  /** The answer, before everything else. */
  header: Content;
  sections: readonly Section[];
  footer: Content;
}

/** One file that needs nothing else: no network, no script; what is not in it is forbidden to it. */
export function renderPage({ title, header, sections, footer }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<title>${title}</title>
<style>${new Html(style())}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>${header}
<nav aria-label="Contents"><ol>${sections.map(
    (section) => html`<li><a href="#${section.id}">${section.title}</a></li>`,
  )}</ol></nav>
</header>
<main id="main">${sections.map(
    ({ id, title, body }): Html => html`
<section id="${id}" aria-labelledby="${id}-heading">
<h2 id="${id}-heading">${title}</h2>
${body}
</section>`,
  )}
</main>
<footer>${footer}</footer>
</body>
</html>
`.markup;
}
