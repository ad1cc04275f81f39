import { floatText, repr, str } from './print.ts';
import {
  type Call,
  characters,
  Float,
  numeric,
  TemplateError,
  Tuple,
  textLength,
  typeName,
  type Value,
  type Work,
} from './values.ts';

/** Python's two ways to format: `text % values` and `text.format(...)`. */

interface Layout {
  fill: string;
  align: string;
  sign: string;
  alternate: boolean;
  width: number;
  grouping: string;
  precision: number | null;
}

const MAX_WIDTH = 10_000;

export function percent(text: string, values: Value, work: Work): string {
  const given = values instanceof Tuple ? values.items : [values];
  let next = 0;
  const take = () => {
    if (next >= given.length)
      throw new TemplateError('there are too few values for a text that is formatted');
    return given[next++]!;
  };
  const result = text.replace(
    /%(?:\(([^)]*)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([\s\S]|$)/g,
    (
      all,
      name: string | undefined,
      flags: string,
      width = '0',
      precision: string | undefined,
      type: string,
    ) => {
      if (type === '%') return '%';
      const size = (given: string) => whole(given === '*' ? take() : Number(given));
      const layout: Layout = {
        fill: flags.includes('0') && !flags.includes('-') ? '0' : ' ',
        align: flags.includes('-') ? '<' : flags.includes('0') ? '=' : '>',
        sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-',
        alternate: flags.includes('#'),
        width: size(width),
        grouping: '',
        precision: precision !== undefined ? size(precision) : all.includes('.') ? 0 : null,
      };
      let value: Value;
      if (name === undefined) value = take();
      else {
        if (!(values instanceof Map))
          throw new TemplateError('a text that is formatted by names needs a dict');
        const found = values.get(name);
        if (found === undefined)
          throw new TemplateError(`there is no '${name}' for a text that is formatted`);
        value = found;
        next = given.length;
      }
      if (type === 's') return textLayout(str(value, work), layout);
      if (type === 'r' || type === 'a') return textLayout(repr(value, work), layout);
      if (type === 'c')
        return textLayout(typeof value === 'number' ? String.fromCodePoint(value) : str(value, work), layout);
      if (!'diuxXoeEfFgG'.includes(type)) throw new TemplateError(`'${all}' is no format that is supported`);
      const number = numeric(value);
      if (number === undefined) throw new TemplateError(`%${type} needs a number, not '${typeName(value)}'`);
      const integer = 'diuxXo'.includes(type);
      if ('xXo'.includes(type) && value instanceof Float)
        throw new TemplateError(`%${type} needs a whole number`);
      return numberLayout(integer ? Math.trunc(number) : number, 'iu'.includes(type) ? 'd' : type, layout);
    },
  );
  if (
    next < given.length &&
    !(values instanceof Map) &&
    !(next === 0 && !(values instanceof Tuple) && Array.isArray(values))
  ) {
    throw new TemplateError('there are values left over for a text that is formatted');
  }
  return work.text(result);
}

export function format(text: string, call: Call, work: Work): string {
  let next = 0;
  const field = (name: string): Value => {
    const key = name === '' ? String(next++) : name;
    const value = /^\d+$/.test(key) ? call.positional[Number(key)] : call.named.get(key);
    if (value === undefined) {
      throw new TemplateError(
        `there is no '${key}' for a text that is formatted (fields of values are not supported)`,
      );
    }
    return value;
  };
  const result = text.replace(
    /\{\{|\}\}|\{([^{}!:]*)(?:!([rsa]))?(?::((?:[^{}]|\{[^{}]*\})*))?\}|[{}]/g,
    (all, name: string | undefined, conversion: string | undefined, spec = '') => {
      if (all === '{{' || all === '}}') return all[0]!;
      if (name === undefined) throw new TemplateError(`a single '${all}' in a text that is formatted`);
      const value = field(name);
      const layout = spec.replace(/\{([^{}]*)\}/g, (_all: string, inner: string) => str(field(inner), work));
      if (conversion !== undefined) {
        return specified(conversion === 's' ? str(value, work) : repr(value, work), layout, work);
      }
      return specified(value, layout, work);
    },
  );
  return work.text(result);
}

function specified(value: Value, spec: string, work: Work): string {
  if (spec === '') return str(value, work);
  const parts = /^(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su.exec(
    spec,
  );
  if (!parts) throw new TemplateError(`'${spec}' is no format that is supported`);
  const [, fill, align, sign = '-', alternate, zero, width = '0', grouping = '', precision, type] = parts;
  const number = numeric(value);
  const isNumber = number !== undefined && type !== 's' && (typeof value !== 'boolean' || type !== undefined);
  const layout: Layout = {
    fill: fill ?? (zero && !align ? '0' : ' '),
    align: align ?? (zero ? '=' : isNumber ? '>' : '<'),
    ...{ sign, alternate: alternate !== undefined, width: whole(Number(width)), grouping },
    precision: precision === undefined ? null : whole(Number(precision)),
  };
  if (!isNumber) {
    if (type !== undefined && type !== 's') {
      throw new TemplateError(`format '${type}' is not for type '${typeName(value)}'`);
    }
    return textLayout(str(value, work), layout);
  }
  if (type === 'c') return textLayout(String.fromCodePoint(number), layout);
  if (value instanceof Float && type !== undefined && 'bdoxX'.includes(type)) {
    throw new TemplateError(`format '${type}' is not for type 'float'`);
  }
  return numberLayout(number, type ?? (value instanceof Float ? 'repr' : 'd'), layout);
}

function whole(value: Value): number {
  if (typeof value !== 'number' || value > MAX_WIDTH) {
    throw new TemplateError(`a width of at most ${MAX_WIDTH} was expected in a text that is formatted`);
  }
  return value;
}

function textLayout(text: string, { precision, width, align, fill }: Layout): string {
  const cut = precision === null ? text : characters(text).slice(0, precision).join('');
  return pad(cut, '', width, align, fill);
}

function pad(text: string, sign: string, width: number, align: string, fill: string): string {
  const room = Math.max(0, width - textLength(sign + text));
  if (align === '=') return sign + fill.repeat(room) + text;
  const left = align === '>' ? room : align === '^' ? Math.floor(room / 2) : 0;
  return fill.repeat(left) + sign + text + fill.repeat(room - left);
}

function numberLayout(number: number, type: string, layout: Layout): string {
  const negative = number < 0 || Object.is(number, -0);
  const sign = negative ? '-' : layout.sign === '-' ? '' : layout.sign;
  let text = digits(Math.abs(number), type, layout);
  if (layout.grouping !== '')
    text = text.replace(/^\d+/, (all) => all.replace(/\B(?=(\d{3})+$)/g, layout.grouping));
  return pad(text, sign, layout.width, layout.align, layout.fill);
}

function digits(number: number, type: string, { precision, alternate }: Layout): string {
  const base = { b: 2, o: 8, x: 16, X: 16 }[type];
  if (base !== undefined) {
    const text = (alternate ? `0${type}` : '') + number.toString(base);
    return type === 'X' ? text.toUpperCase() : text;
  }
  const exponent = (text: string) => text.replace(/e([+-])(\d)$/, 'e$10$2');
  switch (type) {
    case 'd':
      return String(number).padStart(precision ?? 0, '0');
    case 'f':
    case 'F':
      return number.toFixed(Math.min(100, precision ?? 6));
    case '%':
      return `${(number * 100).toFixed(Math.min(100, precision ?? 6))}%`;
    case 'e':
    case 'E': {
      const text = exponent(number.toExponential(Math.min(100, precision ?? 6)));
      return type === 'E' ? text.toUpperCase() : text;
    }
    default: {
      if (type === 'repr' && precision === null) return floatText(number);
      const significant = Math.min(100, precision === 0 ? 1 : (precision ?? 6));
      const power = number === 0 ? 0 : Number(number.toExponential(significant - 1).split('e')[1]);
      const plain = power >= -4 && power < significant;
      let text = plain
        ? number.toFixed(Math.max(0, significant - 1 - power))
        : number.toExponential(significant - 1);
      if (!alternate && text.includes('.')) text = text.replace(/\.?0+(?=e|$)/, '');
      text = exponent(text);
      return type === 'G' ? text.toUpperCase() : text;
    }
  }
}
