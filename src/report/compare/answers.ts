import type { CompareResult } from '../../search/compare/result.ts';
import { type Html, html } from '../html.ts';
import { renderTable } from '../table.ts';

/** What the models write, side by side. */
export function answersTable({ models, prompts }: CompareResult): Html {
  const cell = (text: string, id: string) => ({
    value: id,
    show: html`<span class="written">${text}</span>`,
  });
  return html`${renderTable({
    id: 'answers-table',
    caption: 'Answers to the same prompts, the most probable token each time',
    header: ['Prompt', ...models.map(({ name }) => name)],
    rows: prompts.map((prompt, i) => [
      cell(prompt, `prompt ${i + 1}`),
      ...models.map(({ answers }, m) => cell(answers[i] ?? '', `${m} ${i + 1}`)),
    ]),
    stacked: true,
  })}`;
}
