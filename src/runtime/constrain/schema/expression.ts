import { choice, type Expression, oneWord, optional, repeat, rule, sequence, wordsOf } from '../grammar.ts';
import { braces, brackets, comma, keyEnd } from '../json-grammar.ts';
import type { Alternative, ArrayAlternative, Node, ObjectAlternative } from './nodes.ts';

/** Of a node itself, not of others. */
export type Basic = Exclude<Alternative, { kind: 'node' }>;

/** The grammar of a schema's nodes, of those that any text fits. */

const expressions = new WeakMap<Node, Expression>();

export function expressionOf(node: Node): Expression {
  const known = expressions.get(node);
  if (known) return known;
  const expression = rule(() => together(basicOf(node).filter(fits)));
  expressions.set(node, expression);
  return expression;
}

/** Tells of all nodes whether any text fits: of recursive ones, whether they ever come to an end. */
export async function findFitting(nodes: readonly Node[], breathe: () => Promise<void>): Promise<void> {
  for (let changed = true; changed; ) {
    changed = false;
    // Parts come behind what they are parts of.
    for (let i = nodes.length - 1; i >= 0; i--) {
      const node = nodes[i]!;
      if (i % 100 === 0) await breathe();
      if (node.fits || !node.alternatives.some(fits)) continue;
      node.fits = true;
      changed = true;
    }
  }
}

function fits(of: Alternative): boolean {
  switch (of.kind) {
    case 'node':
      return of.node.fits;
    case 'text':
    case 'values':
      return true;
    case 'object': {
      const { members, extras, min, max } = of;
      if (members.some(({ required, node }) => required && !node.fits)) return false;
      const needed = members.filter(({ required }) => required).length;
      const able =
        extras.some(({ node }) => node.fits) || members.filter(({ node }) => node.fits).length >= min;
      return needed <= max && min <= max && able;
    }
    case 'array':
      return mostItems(of) >= of.min;
  }
}

/** Items that there can be. */
function mostItems({ first, items, max }: ArrayAlternative): number {
  const missing = first.findIndex((node) => !node.fits);
  if (missing >= 0) return Math.min(missing, max);
  return items?.fits ? max : Math.min(first.length, max);
}

/** All that may stand at a node, also by way of others. */
export function basicOf(node: Node): Basic[] {
  const seen = new Set([node]);
  const found: Basic[] = [];
  for (const { alternatives } of seen) {
    for (const one of alternatives) {
      if (one.kind === 'node') seen.add(one.node);
      else found.push(one);
    }
  }
  return found;
}

/** Alternatives that begin alike are one as long as they do. */
function together(alternatives: readonly Basic[]): Expression {
  const words = alternatives.flatMap((of) => (of.kind === 'values' ? [...of.values.values()] : []));
  const objects = alternatives.flatMap((of) => (of.kind === 'object' ? [membersOf(of)] : []));
  const first = objects.flatMap((members) => members.words);
  return choice(
    ...alternatives.flatMap((of) => (of.kind === 'text' ? [of.expression] : [])),
    ...alternatives.flatMap((of) => (of.kind === 'array' ? [brackets(itemsOf(of))] : [])),
    ...(words.length > 0 ? [wordsOf(words)] : []),
    ...(objects.length > 0
      ? [braces(choice(oneWord(first), ...objects.flatMap((members) => members.others)))]
      : []),
  );
}

function itemsOf(of: ArrayAlternative): Expression {
  const { first, items, min } = of;
  const max = mostItems(of);
  const begun = Math.min(first.length, max);
  let rest: Expression =
    max > begun
      ? repeat(sequence(comma, expressionOf(items!)), Math.max(0, min - begun), max - begun)
      : sequence();
  if (begun === 0 && max > 0) {
    const some = sequence(
      expressionOf(items!),
      repeat(sequence(comma, expressionOf(items!)), Math.max(0, min - 1), max - 1),
    );
    return min === 0 ? optional(some) : some;
  }
  for (let i = begun - 1; i >= 0; i--) {
    const item = sequence(...(i > 0 ? [comma] : []), expressionOf(first[i]!), rest);
    rest = i >= min ? optional(item) : item;
  }
  return rest;
}

/** Members as far as they can come next. */
interface Members {
  /** Keys, each with all that follows it. */
  words: [key: string, rest: Expression][];
  others: Expression[];
}

function membersOf({ members: all, extras: others, min, max }: ObjectAlternative): Members {
  const members = all.filter(({ node }) => node.fits);
  const extras = others.filter(({ node }) => node.fits);
  /** Beyond this, how many members there are makes no difference. */
  const cap = Number.isFinite(max) ? max : Math.max(min, 1);
  /** Required ones from a place on. */
  const needed = new Array<number>(members.length + 1).fill(0);
  for (let i = members.length - 1; i >= 0; i--) needed[i] = needed[i + 1]! + Number(members[i]!.required);

  const rules = new Map<number, Expression>();
  /** What may come behind others, from the i-th member on, after so many. */
  const from = (i: number, count: number): Expression => {
    const key = i * (cap + 1) + count;
    const known =
      rules.get(key) ??
      rule(() => {
        const { words, others: rest, end } = next(i, count);
        const more = [...(words.length > 0 ? [oneWord(words)] : []), ...rest];
        return choice(
          ...(end ? [sequence()] : []),
          ...(more.length > 0 ? [sequence(comma, choice(...more))] : []),
        );
      });
    rules.set(key, known);
    return known;
  };
  const next = (i: number, count: number): Members & { end: boolean } => {
    const words: [string, Expression][] = [];
    const room = max - count;
    const after = Math.min(count + 1, cap);
    for (let j = i; j < members.length; j++) {
      const { name, node, required } = members[j]!;
      const able = extras.length > 0 || count + members.length - j >= min;
      // One that leaves no room for those that are required is passed over.
      if (able && room >= needed[j + 1]! + 1) {
        words.push([JSON.stringify(name), sequence(keyEnd, expressionOf(node), from(j + 1, after))]);
      }
      if (required) break;
    }
    const free = needed[i] === 0;
    const rest = free && room > 0 ? extras : [];
    return {
      words,
      others: rest.map(({ key, node }) =>
        sequence(key, keyEnd, expressionOf(node), from(members.length, after)),
      ),
      end: free && count >= min,
    };
  };
  const { words, others: rest, end } = next(0, 0);
  return { words, others: end ? [...rest, sequence()] : rest };
}
