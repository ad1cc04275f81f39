/** What a page must hold to be valid, checked on its text: parsers forgive too much. */
import { parseHTML } from 'linkedom';

const VOID = new Set(['meta', 'br', 'hr', 'img', 'input', 'link']);
const ATTRIBUTE = /\s+([\w:-]+)(?:="([^"<]*)")?/y;

/** Mistakes in the nesting of tags and the form of attributes, in words; none for a well-formed page. */
export function markupMistakes(page: string): string[] {
  const mistakes: string[] = [];
  const open: string[] = [];
  const body = page.replace(/^<!doctype html>/, '').replace(/<style>[\s\S]*?<\/style>/, '');
  for (let at = body.indexOf('<'); at >= 0; at = body.indexOf('<', at)) {
    const [whole, slash, name] = /^<(\/?)([a-zA-Z][\w-]*)/.exec(body.slice(at, at + 60)) ?? [];
    if (!whole) {
      mistakes.push(`a bare < before ${JSON.stringify(body.slice(at, at + 20))}`);
      at++;
      continue;
    }
    at += whole.length;
    if (slash) {
      const last = open.pop();
      if (last !== name) mistakes.push(`</${name}> closes <${last}>`);
      at = body.indexOf('>', at);
      continue;
    }
    const names = new Set<string>();
    for (;;) {
      ATTRIBUTE.lastIndex = at;
      const match = ATTRIBUTE.exec(body);
      if (!match) break;
      if (names.has(match[1]!)) mistakes.push(`${match[1]} twice on <${name}>`);
      names.add(match[1]!);
      at = ATTRIBUTE.lastIndex;
    }
    const end = /^\s*(\/?)>/.exec(body.slice(at, at + 10));
    if (!end) mistakes.push(`<${name}> does not end before ${JSON.stringify(body.slice(at, at + 20))}`);
    else if (!end[1] && !VOID.has(name!)) open.push(name!);
  }
  for (const name of open) mistakes.push(`<${name}> is never closed`);
  return mistakes;
}

/** Ids used twice, and references to ids that are not there. */
export function idMistakes(page: string): string[] {
  const { document } = parseHTML(page);
  const all = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  const known = new Set(all);
  const twice = all.filter((id, i) => all.indexOf(id) !== i).map((id) => `id ${id} twice`);
  const wanted = [
    ...document.querySelectorAll('[aria-labelledby], [aria-describedby], a[href^="#"]'),
  ].flatMap((element) =>
    [
      element.getAttribute('aria-labelledby'),
      element.getAttribute('aria-describedby'),
      element.getAttribute('href')?.slice(1),
    ].flatMap((ids) => ids?.split(' ') ?? []),
  );
  return [...twice, ...wanted.filter((id) => !known.has(id)).map((id) => `no id ${id}`)];
}

/** Spaces as they are typed. */
export const plain = (text: string | null | undefined) =>
  (text ?? '').replaceAll('\u00a0', ' ').replace(/\s+/g, ' ').trim();

/** A page for those who read it in a test. */
export function parsePage(page: string) {
  const { document } = parseHTML(page);
  const text = (selector: string) => plain(document.querySelector(selector)?.textContent);
  /** A table's rows; numbers at full precision, other cells as their text. */
  const table = (id: string) =>
    [...document.querySelectorAll(`table[aria-labelledby="${id}"] tr`)].map((row) =>
      [...row.querySelectorAll('th, td')].map((cell) => {
        const value = cell.querySelector('data')?.getAttribute('value');
        const number = Number(value);
        return value == null ? plain(cell.textContent) : Number.isNaN(number) ? value : number;
      }),
    );
  const file = (name: string) => {
    const href = document.querySelector(`a[download="${name}"]`)?.getAttribute('href');
    return Buffer.from(href!.split(';base64,')[1]!, 'base64').toString();
  };
  return { page, document, text, table, file };
}
