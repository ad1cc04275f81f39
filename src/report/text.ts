/** Numbers and lists as people write them. */

/** Keeps a number and its unit on one line. */
export const NBSP = '\u00a0';
const MINUS = '\u2212';

/** 1.5 -> '1.50'; negative numbers with a true minus sign. */
export function fixed(value: number, decimals: number): string {
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

/** As `fixed`, with a plus sign too. */
export function signed(value: number, decimals: number): string {
  const text = fixed(value, decimals);
  return text.startsWith(MINUS) || Number(text) === 0 ? text : `+${text}`;
}

/** 3725 -> '1 h 02 min', 95 -> '1 min 35 s', 9.87 -> '9.9 s' */
export function duration(seconds: number): string {
  if (seconds < 59.95) return `${seconds < 10 ? fixed(seconds, 1) : fixed(seconds, 0)}${NBSP}s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}${NBSP}min${NBSP}${two(whole % 60)}${NBSP}s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)}${NBSP}h${NBSP}${two(minutes % 60)}${NBSP}min`;
}

/** A share: 0.66 -> '66 %' */
export function percent(share: number, decimals = 0): string {
  return `${fixed(100 * share, decimals)}${NBSP}%`;
}

const THOUSANDS = ['', 'k', 'M', 'G', 'T'];

/** 1234567 -> '1.23 M', 950 -> '950' */
export function amount(value: number): string {
  let scaled = value;
  let step = 0;
  while (Math.abs(scaled) >= 999.5 && step < THOUSANDS.length - 1) {
    scaled /= 1000;
    step++;
  }
  if (step === 0) return fixed(scaled, Number.isInteger(scaled) ? 0 : 1);
  return `${fixed(scaled, Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0)}${NBSP}${THOUSANDS[step]}`;
}

/** 131072 -> '131 kB' */
export function bytes(value: number): string {
  const text = amount(Math.round(value));
  return text.includes(NBSP) ? `${text}B` : `${text}${NBSP}B`;
}

/** Tokens per second, the number alone: 2955.4 -> '2,955', 41.27 -> '41.3' */
export function rate(value: number): string {
  return value < 99.95 ? fixed(value, 1) : Math.round(value).toLocaleString('en');
}

/** ['a', 'b', 'c'] -> 'a, b and c' */
export function listed(items: readonly (string | number)[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** 1 -> '1 layer', 2 -> '2 layers' */
export function counted(count: number, noun: string): string {
  return `${count}${NBSP}${noun}${count === 1 ? '' : 's'}`;
}

/** Layers of a placement, counted from 0 as checkpoints name them (`model.layers.2`): [2, 5] -> 'layers 2 and 5'. */
export function layersText(placement: readonly number[]): string {
  if (placement.length === 0) return 'no layer';
  return `${placement.length === 1 ? 'layer' : 'layers'} ${listed(placement)}`;
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** 'cpu' -> 'CPU', 'webgpu' -> 'GPU (WebGPU)' */
export function deviceName(device: string): string {
  return device === 'webgpu' ? 'GPU (WebGPU)' : device.toUpperCase();
}
