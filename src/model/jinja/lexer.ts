import { TemplateError } from './values.ts';

export interface Token {
  type: 'text' | 'open' | 'close' | 'name' | 'string' | 'integer' | 'float' | 'operator' | 'end';
  /** Of open and close, which: `{{` or `{%`. */
  value: string;
  line: number;
}

/** What Python takes for white space, as a part of a character class. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const NEWLINE = /\r\n|\r|\n/g;
const BEGIN = /\{%([-+]?)|\{\{([-+]?)|\{#([-+]?)/g;
const RAW = new RegExp(`\\{%[-+]?[${SPACE}]*raw[${SPACE}]*(?:-%\\}[${SPACE}]*|%\\})`, 'y');
const END_RAW = new RegExp(
  `\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?)`,
  'g',
);
const END_COMMENT = new RegExp(`\\+#\\}|-#\\}[${SPACE}]*|#\\}\\n?`, 'g');
const END: Record<string, RegExp> = {
  '{%': new RegExp(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?`, 'y'),
  '{{': new RegExp(`-\\}\\}[${SPACE}]*|\\}\\}`, 'y'),
};
const BLANK = new RegExp(`[${SPACE}]+`, 'y');
const TRAILING = new RegExp(`[${SPACE}]+$`);
const ONLY_BLANK = new RegExp(`^[${SPACE}]+$`);
const digits = (set: string) => `${set}(?:_?${set})*`;
const D = digits('\\d');
const FLOAT = new RegExp(`(?<!\\.)${D}(?:(?:\\.${D})?e[+-]?${D}|\\.${D})`, 'iy');
const INTEGER = new RegExp(
  `0b_?${digits('[01]')}|0o_?${digits('[0-7]')}|0x_?${digits('[\\da-f]')}|[1-9](?:_?\\d)*|0(?:_?0)*`,
  'iy',
);
const NAME = /[\p{L}\p{Nl}_][\p{L}\p{N}\p{M}_]*/uy;
const STRING = /'([^'\\]*(?:\\[\s\S][^'\\]*)*)'|"([^"\\]*(?:\\[\s\S][^"\\]*)*)"/y;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}<>=.:|,;]/y;
const CLOSING: Record<string, string> = { '(': ')', '[': ']', '{': '}' };

/**
 * The tokens of a template, with Jinja's rules for white space as chat templates are rendered: a newline after a
 * block and spaces before one on its line are left out (trim_blocks, lstrip_blocks), a single newline at the end too,
 * and every line ends in "\n".
 *
 * @throws TemplateError for what is no template
 */
export function* tokens(template: string): Generator<Token> {
  if (template.length > 1_000_000) throw new TemplateError('it has more than a million characters');
  const source = template.replace(NEWLINE, '\n').replace(/\n$/, '');
  let at = 0;
  let line = 1;
  let newline = source.indexOf('\n');
  let lineStarts = true;
  const token = (type: Token['type'], value: string): Token => ({ type, value, line });
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  /** Moves on to the end of what was read. */
  const move = (to: number) => {
    for (; newline >= 0 && newline < to; newline = source.indexOf('\n', newline + 1)) line++;
    lineStarts = to > at ? source[to - 1] === '\n' : lineStarts;
    at = to;
  };
  const before = (text: string, sign: string, block: boolean) => {
    if (sign === '-') return text.replace(TRAILING, '');
    if (sign === '+' || !block) return text;
    const start = text.lastIndexOf('\n') + 1;
    const indent = (start > 0 || lineStarts) && ONLY_BLANK.test(text.slice(start));
    return indent ? text.slice(0, start) : text;
  };

  while (at < source.length) {
    const begin = match(BEGIN);
    if (!begin) {
      yield token('text', source.slice(at));
      break;
    }
    const open = begin[0].slice(0, 2);
    const text = before(source.slice(at, begin.index), begin[0].slice(2), open !== '{{');
    if (text !== '') yield token('text', text);
    move(begin.index);
    if (open === '{#') {
      at += begin[0].length;
      const end = match(END_COMMENT);
      if (!end) throw new TemplateError('a comment has no end', line);
      move(end.index + end[0].length);
      continue;
    }
    const raw = match(RAW);
    if (raw) {
      move(at + raw[0].length);
      const end = match(END_RAW);
      if (!end) throw new TemplateError('{% raw %} has no end', line);
      yield token('text', before(source.slice(at, end.index), end[1]!, true));
      move(end.index + end[0].length);
      continue;
    }
    move(at + begin[0].length);
    yield token('open', open);
    yield* inside(open);
  }
  yield token('end', '');

  /** The tokens up to the end of a block or an output. */
  function* inside(open: string): Generator<Token> {
    const brackets: string[] = [];
    while (at < source.length) {
      const end = brackets.length === 0 ? match(END[open]!) : null;
      if (end) {
        move(at + end[0].length);
        yield token('close', open);
        return;
      }
      const blank = match(BLANK);
      if (blank) {
        move(at + blank[0].length);
        continue;
      }
      const found = piece();
      if (found.type === 'operator') {
        if (found.value in CLOSING) brackets.push(CLOSING[found.value]!);
        else if (')]}'.includes(found.value) && brackets.pop() !== found.value) {
          throw new TemplateError(`unexpected '${found.value}'`, line);
        }
      }
      yield found;
    }
    throw new TemplateError(`'${open}' has no end`, line);
  }

  function piece(): Token {
    const kinds = [
      ['float', FLOAT],
      ['integer', INTEGER],
      ['name', NAME],
      ['string', STRING],
      ['operator', OPERATOR],
    ] as const;
    for (const [type, pattern] of kinds) {
      const found = match(pattern);
      if (!found) continue;
      const value = type === 'string' ? unescaped(found[1] ?? found[2]!, line) : found[0];
      const result = token(type, value);
      move(at + found[0].length);
      return result;
    }
    throw new TemplateError(`unexpected character ${JSON.stringify(source[at])}`, line);
  }
}

const ESCAPES: Record<string, string> = {
  ...{ '\n': '', '\\': '\\', "'": "'", '"': '"', a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
  v: '\v',
};

/** Python's escapes in a string; an unknown one stays as it is. */
function unescaped(text: string, line: number): string {
  return text.replace(
    /\\(?:([0-7]{1,3})|x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|([\s\S]))/gi,
    (all, octal?: string, x?: string, u?: string, long?: string, other?: string) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      const hex = x ?? u ?? long;
      if (hex !== undefined && all[1] !== 'X') {
        const code = Number.parseInt(hex, 16);
        if (code > 0x10ffff) throw new TemplateError(`${all} is no character`, line);
        return String.fromCodePoint(code);
      }
      if (other !== undefined && 'xuUN'.includes(other)) {
        throw new TemplateError(`the escape \\${other} is not complete or not supported`, line);
      }
      return ESCAPES[other ?? ''] ?? all;
    },
  );
}
