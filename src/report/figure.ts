import { type Content, type Html, html } from './html.ts';
import { dataBehind, type Table } from './table.ts';

/** A figure says what was found, shows it, explains how to read it and gives its data. */
export interface Figure {
  /** Unique in the page; the data's file is named after it. */
  id: string;
  /** The finding. */
  title: string;
  /** What is drawn: axes, marks, colours. */
  reading: Content;
  legend?: Html | undefined;
  /** Charts, from `responsive` or `panels`. */
  graphic: Html;
  /** What to see, computed from the data. */
  caption: Content;
  table: Omit<Table, 'id'>;
}

export function renderFigure({ id, title, reading, legend, graphic, caption, table }: Figure): Html {
  return html`<figure id="${id}" aria-labelledby="${id}-title">
<h3 id="${id}-title">${title}</h3>
<p class="reading">${reading}</p>
${legend}
${graphic}
<figcaption>${caption}</figcaption>
${dataBehind({ ...table, id: `${id}-data` })}
</figure>`;
}

/** One chart for wide screens and paper, one for phones; only one of them is ever there for the reader. */
export function responsive(wide: Html, narrow: Html): Html {
  return html`<div class="wide">${wide}</div><div class="narrow">${narrow}</div>`;
}

/** Small charts side by side, as many as fit. */
export function panels(charts: readonly { title: Content; chart: Html }[]): Html {
  return html`<div class="panels columns-${panelColumns(charts.length)}">${charts.map(
    ({ title, chart }) => html`<div class="panel"><h4>${title}</h4>${chart}</div>`,
  )}</div>`;
}

export interface LegendEntry {
  icon: Html;
  label: string;
}

export function legendOf(entries: readonly LegendEntry[]): Html {
  return html`<ul class="legend">${entries.map(({ icon, label }) => html`<li>${icon}${label}</li>`)}</ul>`;
}

/** As many panels as stand side by side where there is room: no row with a single one. */
export function panelColumns(count: number): 2 | 3 {
  return count === 2 || count % 3 === 1 ? 2 : 3;
}
