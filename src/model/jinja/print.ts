import {
  Float,
  Once,
  Range,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
  type Work,
} from './values.ts';

/** Values as text: as Python prints them, and as JSON. */

export function str(value: Value, work: Work): string {
  if (typeof value === 'string') return value;
  return value instanceof Undefined ? '' : repr(value, work);
}

export function repr(value: Value, work: Work): string {
  work.spend(1);
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return work.text(quoted(value));
  if (value instanceof Float) return floatText(value.value);
  work.spend(4);
  const inner = (items: Value[]) => work.text(items.map((item) => repr(item, work)).join(', '));
  if (Array.isArray(value)) return `[${inner(value)}]`;
  if (value instanceof Map) {
    const pairs = Array.from(value, ([key, item]) => `${repr(key, work)}: ${repr(item, work)}`);
    return work.text(`{${pairs.join(', ')}}`);
  }
  if (value instanceof Tuple) return `(${inner(value.items)}${value.items.length === 1 ? ',' : ''})`;
  if (value instanceof Range) {
    const { start, stop, step } = value;
    return `range(${start}, ${stop}${step === 1 ? '' : `, ${step}`})`;
  }
  if (value instanceof View) return `dict_${value.kind}([${inner(value.items())}])`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Once) throw new TemplateError('it prints a generator: the filter list is missing');
  throw new TemplateError(`it prints a ${typeName(value)}`);
}

/** Python's shortest form of a float. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits, power] = value.toExponential().split('e') as [string, string];
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 16) {
    const text =
      exponent < 0 ? value.toFixed(digits.replace(/[-.]/g, '').length - exponent - 1) : String(value);
    return text.includes('.') ? text : `${text}.0`;
  }
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${digits}e${exponent < 0 ? '-' : '+'}${size}`;
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\p{C}\p{Z}\\'"]/gu, (character) => {
    if (character === ' ') return character;
    if (character === '\\' || character === quote) return `\\${character}`;
    if (character === "'" || character === '"') return character;
    const named = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
    if (named) return named;
    const code = character.codePointAt(0)!;
    const hex = (width: number) => code.toString(16).padStart(width, '0');
    return code < 256 ? `\\x${hex(2)}` : code < 65536 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
  });
  return quote + escaped + quote;
}

export interface JsonOptions {
  ensureAscii: boolean;
  indent: string | null;
  separators: [item: string, key: string];
  sortKeys: boolean;
}

/** Python's json.dumps. */
export function json(value: Value, options: JsonOptions, work: Work, depth = 1): string {
  work.spend(1);
  if (value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return work.text(jsonText(value, options.ensureAscii));
  if (value instanceof Float) {
    return floatText(value.value).replace('nan', 'NaN').replace(/inf$/, 'Infinity');
  }
  const [itemSeparator, keySeparator] = options.separators;
  const around = (open: string, items: string[], close: string) => {
    work.spend(4);
    if (items.length === 0) return open + close;
    if (options.indent === null) return work.text(open + items.join(itemSeparator) + close);
    const line = `\n${options.indent.repeat(depth)}`;
    const end = `\n${options.indent.repeat(depth - 1)}`;
    return work.text(open + line + items.join(itemSeparator + line) + end + close);
  };
  const inner = (item: Value) => json(item, options, work, depth + 1);
  if (Array.isArray(value) || value instanceof Tuple) {
    return around('[', (Array.isArray(value) ? value : value.items).map(inner), ']');
  }
  if (value instanceof Map) {
    const entries = [...value];
    if (options.sortKeys) entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    const key = (name: Value) => jsonText(typeof name === 'string' ? name : inner(name), options.ensureAscii);
    return around(
      '{',
      entries.map(([name, item]) => key(name) + keySeparator + inner(item)),
      '}',
    );
  }
  throw new TemplateError(`a value of type '${typeName(value)}' is no JSON`);
}

/** JSON.stringify escapes lone surrogates, as Python does with ensure_ascii; otherwise it leaves them. */
function jsonText(text: string, ensureAscii: boolean): string {
  const quotedText = JSON.stringify(text);
  if (!ensureAscii) return quotedText;
  return quotedText.replace(
    /[\x7f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
