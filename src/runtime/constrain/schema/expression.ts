import { choice, type Expression, oneWord, optional, repeat, rule, sequence } from '../grammar.ts';
import { braces, brackets, comma, keyEnd } from '../json-grammar.ts';
import type { Alternative, ArrayAlternative, Node, ObjectAlternative } from './nodes.ts';

/** The grammar of a schema's nodes, of those that any text fits. */

const expressions = new WeakMap<Node, Expression>();

export function expressionOf(node: Node): Expression {
  const known = expressions.get(node);
  if (known) return known;
  const expression = rule(() => choice(...node.alternatives.filter(fits).map(alternative)));
  expressions.set(node, expression);
  return expression;
}

/** Tells of all nodes whether any text fits: of recursive ones, whether they ever come to an end. */
export function findFitting(nodes: readonly Node[]): void {
  for (let changed = true; changed; ) {
    changed = false;
    // Parts come behind what they are parts of.
    for (let i = nodes.length - 1; i >= 0; i--) {
      const node = nodes[i]!;
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

function alternative(of: Alternative): Expression {
  switch (of.kind) {
    case 'node':
      return expressionOf(of.node);
    case 'text':
      return of.expression;
    case 'object':
      return braces(membersOf(of));
    case 'array':
      return brackets(itemsOf(of));
  }
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

function membersOf({ members: all, extras: others, min, max }: ObjectAlternative): Expression {
  const members = all.filter(({ node }) => node.fits);
  const extras = others.filter(({ node }) => node.fits);
  /** Beyond this, how many members there are makes no difference. */
  const cap = Number.isFinite(max) ? max : Math.max(min, 1);
  /** Required ones from a place on. */
  const needed = new Array<number>(members.length + 1).fill(0);
  for (let i = members.length - 1; i >= 0; i--) needed[i] = needed[i + 1]! + Number(members[i]!.required);

  const rules = new Map<number, Expression>();
  /** What may come from the i-th member on, after so many. */
  const from = (i: number, count: number): Expression => {
    const key = i * (cap + 1) + count;
    const known = rules.get(key) ?? rule(() => make(i, count));
    rules.set(key, known);
    return known;
  };
  const make = (i: number, count: number): Expression => {
    const ways: Expression[] = [];
    const before = count > 0 ? [comma] : [];
    const next = Math.min(count + 1, cap);
    const room = max - count;
    const following = new Map<string, { at: number; value: Expression }>();
    for (let j = i; j < members.length; j++) {
      const { name, node, required } = members[j]!;
      const able = extras.length > 0 || count + members.length - j >= min;
      // One that leaves no room for those that are required is passed over.
      if (able && room >= needed[j + 1]! + 1)
        following.set(JSON.stringify(name), { at: j, value: expressionOf(node) });
      if (required) break;
    }
    if (following.size > 0) {
      const then = (key: string) => {
        const { at, value } = following.get(key)!;
        return sequence(keyEnd, value, from(at + 1, next));
      };
      ways.push(sequence(...before, oneWord(following.keys(), then)));
    }
    if (needed[i] === 0) {
      if (count >= min) ways.push(sequence());
      if (room > 0) {
        for (const { key, node } of extras) {
          ways.push(sequence(...before, key, keyEnd, expressionOf(node), from(members.length, next)));
        }
      }
    }
    return choice(...ways);
  };
  return from(0, 0);
}
