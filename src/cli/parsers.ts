import { InvalidArgumentError } from 'commander';

/** What options and arguments are given, as numbers. All throw InvalidArgumentError with what was expected. */

function checked(text: string, allowed: (value: number) => boolean, expected: string): number {
  const value = Number(text);
  if (text.trim() === '' || !allowed(value)) throw new InvalidArgumentError(`Expected ${expected}.`);
  return value;
}

/** '16': of steps, rows, seeds. */
export function wholeNumber(text: string): number {
  return checked(text, (value) => Number.isSafeInteger(value) && value > 0, 'a whole number above 0');
}

/** The same for each of several, one after the other. */
export function wholeNumbers(text: string, earlier: number[] = []): number[] {
  return [...earlier, wholeNumber(text)];
}

/** The same, 0 included. */
export function natural(text: string): number {
  return checked(text, (value) => Number.isSafeInteger(value) && value >= 0, 'a whole number of at least 0');
}

/** '0.05', 0 included. */
export function decimal(text: string): number {
  return checked(text, (value) => Number.isFinite(value) && value >= 0, 'a number of at least 0');
}

/** The same without 0, such as a learning rate. */
export function positive(text: string): number {
  return checked(text, (value) => Number.isFinite(value) && value > 0, 'a number above 0');
}

/** '0.3333' of a whole. */
export function share(text: string): number {
  return checked(text, (value) => value >= 0 && value <= 1, 'a number from 0 to 1');
}

/** '-0.5': what is added to or taken from something. */
export function signed(text: string): number {
  return checked(text, Number.isFinite, 'a number');
}

export function port(text: string): number {
  return checked(
    text,
    (value) => Number.isInteger(value) && value >= 0 && value <= 65_535,
    'a port, 0 to 65535; 0 takes any that is free',
  );
}

const PREFIXES = ' kmgt';

/** '4096', '64K' -> 65,536: of tokens. K is 1,024, M and G are its powers. */
export function tokenCount(text: string): number {
  const value = tokens(text);
  if (value === undefined) {
    throw new InvalidArgumentError('Expected a whole number of tokens above 0, such as 4096 or 64K.');
  }
  return value;
}

/** '128,4K,65536' -> [128, 4096, 65536] */
export function tokenCounts(text: string): number[] {
  return text.split(',').map((item) => {
    const value = tokens(item);
    if (value === undefined) {
      throw new InvalidArgumentError('Expected whole numbers above 0 with commas between, such as 128,4K.');
    }
    return value;
  });
}

function tokens(text: string): number | undefined {
  const [, digits, prefix = ''] = /^(\d+)([kmg]?)$/i.exec(text.trim()) ?? [];
  const value = Number(digits) * 1024 ** PREFIXES.indexOf(prefix.toLowerCase() || ' ');
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

/** '8GB' and '8G' -> 8e9, '8GiB' -> 8 * 2^30: of memory and files. */
export function byteCount(text: string): number {
  const bytes = sizeOf(text);
  if (bytes === undefined) throw new InvalidArgumentError('Expected a size such as 8GB or 512MiB.');
  return bytes;
}

/** The same where a number alone used to be of a unit: '20' -> 20 GB. */
export function byteCountIn(unit: 'MB' | 'GB'): (text: string) => number {
  return (text) => byteCount(/^[\d.]+$/.test(text.trim()) ? `${text.trim()}${unit}` : text);
}

function sizeOf(text: string): number | undefined {
  const [, number, prefix = '', binary = '', b = ''] =
    /^([\d.]+)\s*([kmgt]?)(i?)(b?)$/i.exec(text.trim()) ?? [];
  const value = Number(number);
  if (number === undefined || !(value > 0)) return undefined;
  if (prefix === '' ? b === '' || binary !== '' : binary !== '' && b === '') return undefined;
  return Math.floor(value * (binary ? 1024 : 1000) ** PREFIXES.indexOf(prefix.toLowerCase() || ' '));
}
