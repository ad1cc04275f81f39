/**
 * Sizes of tensor axes. A dimension is a number, or a polynomial with integer coefficients over symbols that
 * are bound when a program runs ('T', 'P+T', '2*B*T'), kept as text in a canonical order so that equal
 * dimensions are equal strings.
 */
import { GraphError } from './errors.ts';

export type Dim = number | string;
export type Shape = readonly Dim[];

/** Monomial ('' for the constant, else symbols sorted and joined by '*') -> integer coefficient. */
type Polynomial = Map<string, number>;

function parse(dim: Dim): Polynomial {
  const poly: Polynomial = new Map();
  if (typeof dim === 'number') {
    if (dim !== 0) poly.set('', dim);
    return poly;
  }
  for (const term of dim.replaceAll('-', '+-').split('+')) {
    if (term === '') continue;
    let coefficient = term.startsWith('-') ? -1 : 1;
    const symbols: string[] = [];
    for (const factor of (term.startsWith('-') ? term.slice(1) : term).split('*')) {
      if (/^\d+$/.test(factor)) coefficient *= Number(factor);
      else symbols.push(factor);
    }
    addTerm(poly, symbols.sort().join('*'), coefficient);
  }
  return poly;
}

function addTerm(poly: Polynomial, monomial: string, coefficient: number): void {
  const sum = (poly.get(monomial) ?? 0) + coefficient;
  if (sum === 0) poly.delete(monomial);
  else poly.set(monomial, sum);
}

function print(poly: Polynomial): Dim {
  if (poly.size === 0) return 0;
  if (poly.size === 1 && poly.has('')) return poly.get('')!;
  const terms = [...poly].sort(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1));
  return terms
    .map(([monomial, c], i) => {
      const size = Math.abs(c);
      const body = monomial === '' ? `${size}` : size === 1 ? monomial : `${size}*${monomial}`;
      return c < 0 ? `-${body}` : i > 0 ? `+${body}` : body;
    })
    .join('');
}

/**
 * The shape with its dimensions in canonical order ('T+P' becomes 'P+T').
 *
 * @throws GraphError for a dimension that is neither a size nor a sum of products of symbols and integers
 */
export function canonicalShape(what: string, shape: Shape): Shape {
  return shape.map((dim) => {
    const valid =
      typeof dim === 'number'
        ? Number.isInteger(dim) && dim >= 0
        : /^-?(\d+|[A-Za-z_]\w*)(\*(\d+|[A-Za-z_]\w*))*([+-](\d+|[A-Za-z_]\w*)(\*(\d+|[A-Za-z_]\w*))*)*$/.test(
            dim,
          );
    if (!valid)
      throw new GraphError(`${what}: ${JSON.stringify(dim)} in ${showShape(shape)} is no dimension`);
    return typeof dim === 'number' ? dim : print(parse(dim));
  });
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  const sum = parse(a);
  for (const [monomial, c] of parse(b)) addTerm(sum, monomial, c);
  return print(sum);
}

export function subDims(a: Dim, b: Dim): Dim {
  return addDims(a, mulDims(b, -1));
}

export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  const product: Polynomial = new Map();
  for (const [m, c] of parse(a)) {
    for (const [n, d] of parse(b)) {
      const symbols = [...(m === '' ? [] : m.split('*')), ...(n === '' ? [] : n.split('*'))];
      addTerm(product, symbols.sort().join('*'), c * d);
    }
  }
  return print(product);
}

/** a / b where it comes out even for every value of the symbols, else null. */
export function divDims(a: Dim, b: Dim): Dim | null {
  if (a === b) return 1;
  if (typeof a === 'number' && typeof b === 'number') return b !== 0 && a % b === 0 ? a / b : null;
  const divisor = parse(b);
  if (divisor.size !== 1) return null;
  const [[monomial, c]] = [...divisor] as [[string, number]];
  const quotient: Polynomial = new Map();
  for (const [m, d] of parse(a)) {
    const symbols = m === '' ? [] : m.split('*');
    for (const symbol of monomial === '' ? [] : monomial.split('*')) {
      const at = symbols.indexOf(symbol);
      if (at < 0) return null;
      symbols.splice(at, 1);
    }
    if (d % c !== 0) return null;
    addTerm(quotient, symbols.join('*'), d / c);
  }
  return print(quotient);
}

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): Dim {
  return shape.reduce<Dim>(mulDims, 1);
}

/** The terms of a dimension, for whoever must compute it: coefficient and symbols of each. */
export function termsOf(dim: Dim): { coefficient: number; symbols: string[] }[] {
  return [...parse(dim)].map(([m, coefficient]) => ({ coefficient, symbols: m === '' ? [] : m.split('*') }));
}

/** What symbols, and perhaps whole dimensions, stand for. */
export type Bindings = ReadonlyMap<string, number>;

/**
 * The number a dimension stands for. A sum or product may be bound as a whole ('P+T' by a mask of that length);
 * otherwise all its symbols must be. Throws when one is not.
 */
export function bindDim(dim: Dim, bindings: Bindings): number {
  if (typeof dim === 'number') return dim;
  const whole = bindings.get(dim);
  if (whole !== undefined) return whole;
  let total = 0;
  for (const { coefficient, symbols } of termsOf(dim)) {
    total += symbols.reduce((product, symbol) => {
      const value = bindings.get(symbol);
      if (value === undefined) throw new GraphError(`dimension ${dim}: nothing says what ${symbol} is`);
      return product * value;
    }, coefficient);
  }
  return total;
}

export function bindShape(shape: Shape, bindings: Bindings): number[] {
  return shape.map((dim) => bindDim(dim, bindings));
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}
