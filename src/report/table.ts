import { type Content, type Html, html } from './html.ts';

/** Tables that people read and programs can take: every number carries its full value, and each table is a CSV too. */
export interface Table {
  /** Unique in the page. */
  id: string;
  /** What the table holds, above it. */
  caption: string;
  header: readonly string[];
  /** The first cell names the row. */
  rows: readonly (readonly Cell[])[];
  /** On phones the cells of a row stand below each other: for sentences. */
  stacked?: boolean;
  /** Rows at the end that are set apart: references, sums. */
  footer?: readonly (readonly Cell[])[];
}

/** Text, or a value with the text that shows it; an empty cell where nothing is known. */
export type Cell = string | undefined | { value: number | string; show: Content };

export function renderTable({ id, caption, header, rows, footer = [], stacked }: Table): Html {
  const numeric = header.map(
    (_, column) =>
      column > 0 &&
      [...rows, ...footer].some(
        (row) => typeof row[column] === 'object' && typeof row[column].value === 'number',
      ),
  );
  const line = (row: readonly Cell[]) =>
    html`<tr>${row.map((cell, column) =>
      column === 0
        ? html`<th scope="row">${cellOf(cell)}</th>`
        : html`<td${numeric[column] && html` class="number"`}>${cellOf(cell)}</td>`,
    )}</tr>`;
  return html`<p class="caption" id="${id}">${caption}</p>
<div class="scroll" role="region" tabindex="0" aria-labelledby="${id}"><table${stacked && html` class="stacked"`} aria-labelledby="${id}">
<thead><tr>${header.map((title, column) => html`<th scope="col"${numeric[column] && html` class="number"`}>${title}</th>`)}</tr></thead>
<tbody>${rows.map(line)}</tbody>${
    footer.length > 0 &&
    html`
<tbody class="reference">${footer.map(line)}</tbody>`
  }
</table></div>`;
}

function cellOf(cell: Cell): Content {
  if (cell === undefined) return html`<span class="none">–</span>`;
  if (typeof cell === 'string') return cell;
  return html`<data value="${cell.value}">${cell.show}</data>`;
}

/** RFC 4180, with the full values. */
function csvOf({ header, rows, footer = [] }: Table): string {
  const field = (cell: Cell) => {
    const text = cell === undefined ? '' : typeof cell === 'string' ? cell : String(cell.value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows, ...footer].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/** The data behind a figure: folded away, and as a file. */
export function dataBehind(table: Table): Html {
  return html`<details class="data"><summary>Data behind this figure</summary>
${renderTable(table)}
<p>${downloadLink(`${table.id}.csv`, 'text/csv', csvOf(table))}</p></details>`;
}

/** A link that holds its file. */
export function downloadLink(file: string, type: string, content: string, label = `Download ${file}`): Html {
  const data = Buffer.from(content).toString('base64');
  return html`<a class="download" download="${file}" href="data:${type};charset=utf-8;base64,${data}">${label}</a>`;
}
