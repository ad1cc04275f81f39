import { InvalidArgumentError } from 'commander';

/** Numbers as people read and write them. */

/** 1234567 -> '1,234,567' */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 1536 -> '1.5 KiB' */
export function readable(bytes: number): string {
  let scaled = bytes;
  let unit = 0;
  while (scaled >= 1024 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${UNITS[unit]}`;
}

/** '8GB' -> 8e9, '8GiB' -> 8 * 2^30, given to an option. */
export function byteCount(text: string): number {
  const [, number, prefix, binary] = /^([\d.]+)\s*([kmgt]?)(i?)b$/i.exec(text.trim()) ?? [];
  const value = Number(number);
  if (number === undefined || !(value > 0) || (binary !== '' && prefix === '')) {
    throw new InvalidArgumentError('Expected a size such as 8GB or 512MiB.');
  }
  return Math.floor(value * (binary ? 1024 : 1000) ** ' kmgt'.indexOf(prefix!.toLowerCase() || ' '));
}

/** '128,4K,65536' -> [128, 4096, 65536], given to an option; K is 1,024. */
export function counts(text: string): number[] {
  return text.split(',').map((item) => {
    const [, digits, kilo] = /^(\d+)(k?)$/i.exec(item.trim()) ?? [];
    const value = Number(digits) * (kilo ? 1024 : 1);
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new InvalidArgumentError('Expected whole numbers above 0 with commas between, such as 128,4K.');
    }
    return value;
  });
}
