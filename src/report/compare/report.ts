import type { CompareResult } from '../../search/compare/result.ts';
import { writeFileAtomic } from '../../util/files.ts';
import { renderFigure } from '../figure.ts';
import { html } from '../html.ts';
import { renderPage, type Section } from '../page.ts';
import { answerOf } from './answer.ts';
import { answersTable } from './answers.ts';
import { costFigure } from './cost.ts';
import { recallFigure } from './recall-map.ts';
import { settingsOf } from './settings.ts';
import { tasksFigure } from './tasks.ts';
import { positionsFigure, textTable } from './text.ts';

/** A comparison of hybrids with their parent as a page: what is kept, what is lost, what it costs. */
export function renderCompareReport(result: CompareResult): string {
  const [parent, ...others] = result.models;
  return renderPage({
    title: `${others.flatMap(({ role, name }) => (role === 'hybrid' ? name : [])).join(', ')} against ${parent!.name}`,
    header: answerOf(result),
    sections: [
      ...comparisonSections(result),
      { id: 'settings', title: 'Settings and data', body: settingsOf(result) },
    ],
    footer: html`<p>Made by postnas on ${result.created.slice(0, 10)}.</p>`,
  });
}

/** What was measured, without how. */
export function comparisonSections(result: CompareResult): Section[] {
  const { models, prompts } = result;
  const [parent] = models;
  return [
    {
      id: 'text',
      title: 'Text',
      body: html`${renderFigure(positionsFigure(result))}
${textTable(result)}`,
    },
    ...(parent!.recall.length > 0
      ? [{ id: 'recall', title: 'Finding what a text told', body: renderFigure(recallFigure(result)) }]
      : []),
    ...(parent!.tasks.length > 0
      ? [{ id: 'tasks', title: 'Tasks', body: renderFigure(tasksFigure(result)) }]
      : []),
    ...(parent!.speed.length > 0
      ? [{ id: 'cost', title: 'Memory and speed', body: renderFigure(costFigure(result)) }]
      : []),
    ...(prompts.length > 0 ? [{ id: 'answers', title: 'What they write', body: answersTable(result) }] : []),
  ];
}

export function writeCompareReport(path: string, result: CompareResult): void {
  writeFileAtomic(path, renderCompareReport(result));
}
