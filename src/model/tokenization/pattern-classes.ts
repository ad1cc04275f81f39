/** Sets of characters, as Oniguruma has them. */

export type Test = (codePoint: number) => boolean;

export const property = (name: string): Test => {
  const pattern = new RegExp(`^\\p{${name}}$`, 'u');
  return (code) => pattern.test(String.fromCodePoint(code));
};
export const any =
  (...tests: Test[]): Test =>
  (code) =>
    tests.some((test) => test(code));
export const not =
  (test: Test): Test =>
  (code) =>
    !test(code);
export const one =
  (code: number): Test =>
  (other) =>
    other === code;

const isSpace = property('White_Space');
const digit = property('Nd');
const isWord = any(property('Alphabetic'), property('M'), digit, property('Pc'));
export const isWordOutside = any(isWord, (code) => '²³¹¼½¾'.includes(String.fromCodePoint(code)));
const hex: Test = (code) => code < 128 && /[\da-f]/i.test(String.fromCharCode(code));
export const newline = one(10);

export const ESCAPED_CLASSES: Record<string, Test> = { s: isSpace, d: digit, w: isWord, h: hex };
export const ESCAPED: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7, e: 27 };
export const POSIX: Record<string, Test> = {
  alnum: any(property('Alphabetic'), digit),
  alpha: property('Alphabetic'),
  ascii: (code) => code < 128,
  blank: any(one(9), property('Zs')),
  cntrl: property('Cc'),
  digit,
  graph: not(any(isSpace, property('Cc'), property('Cn'), property('Cs'))),
  lower: property('Lowercase'),
  print: not(any(property('Cc'), property('Cn'), property('Cs'))),
  punct: any(property('P'), property('S')),
  space: isSpace,
  upper: property('Uppercase'),
  word: isWord,
  xdigit: hex,
};

/** The same for any case of a letter. */
export const folded =
  (test: Test): Test =>
  (code) => {
    // The Turkish letters i fold to themselves alone.
    if (code === 0x130 || code === 0x131) return test(code);
    const text = String.fromCodePoint(code);
    const upper = text.toUpperCase();
    const forms = [text, text.toLowerCase(), upper, upper.toLowerCase()];
    return forms.some((form) => Array.from(form).length === 1 && test(form.codePointAt(0)!));
  };
