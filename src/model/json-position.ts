/**
 * Where a text stops being JSON (RFC 8259). What JavaScript says of it quotes the text, which may be of a file that
 * nobody meant to show: a link in a model's folder leads anywhere.
 */

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON has them only escaped
const CHARACTERS = /[^"\\\x00-\x1f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/**
 * @param text no JSON, and not nested so deep that walking it overflows the stack
 * @returns for a message: 'at line 3, column 14', counted from 1, or 'it ends too early'
 */
export function whereItFails(text: string): string {
  const at = firstMistake(text);
  if (at >= text.length) return 'it ends too early';
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  return `at line ${line}, column ${at - before.lastIndexOf('\n')}`;
}

function firstMistake(text: string): number {
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const is = (character: string): boolean => {
    take(SPACE);
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const string = (): boolean => {
    if (!is('"')) return false;
    do take(CHARACTERS);
    while (take(ESCAPE));
    if (text[at] !== '"') return false;
    at++;
    return true;
  };
  /** What stands between brackets, up to the closing one. */
  const members = (close: string, member: () => boolean): boolean => {
    if (is(close)) return true;
    do if (!member()) return false;
    while (is(','));
    return is(close);
  };
  const value = (): boolean => {
    if (is('{')) return members('}', () => string() && is(':') && value());
    if (is('[')) return members(']', value);
    return text[at] === '"' ? string() : take(SCALAR);
  };
  if (value()) take(SPACE);
  return at;
}
