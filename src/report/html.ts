/**
 * HTML without surprises: a tagged template that escapes whatever is put into it, so that a name with an angle
 * bracket is shown and not obeyed.
 */
export class Html {
  /** @param markup what goes into the page as it is */
  constructor(readonly markup: string) {}
}

/** Text is escaped, markup is kept, lists are joined, undefined and false leave nothing. */
export type Content = Html | string | number | undefined | false | readonly Content[];

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Safe between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

function markupOf(content: Content): string {
  if (content === undefined || content === false) return '';
  if (content instanceof Html) return content.markup;
  if (Array.isArray(content)) return content.map(markupOf).join('');
  return escapeHtml(String(content));
}

export function html(strings: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(strings.reduce((page, part, i) => page + markupOf(contents[i - 1]) + part));
}
