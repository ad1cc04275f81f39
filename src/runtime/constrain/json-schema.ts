import { InputError } from '../../util/errors.ts';
import { Pace } from '../../util/pace.ts';
import { type Expression, splitLong } from './grammar.ts';
import { type Basic, basicOf, expressionOf, findFitting } from './schema/expression.ts';
import { Unheld } from './schema/keywords.ts';
import { type Alternative, type Node, Nodes } from './schema/nodes.ts';
import { placeOf, References, shortened, survey } from './schema/reader.ts';
import { Texts } from './schema/texts.ts';

/**
 * JSON Schema as a grammar. All that it lets through is valid by the schema, but for what `unheld` names; it may be
 * narrower: the properties of an object come in the schema's order, and others than those only where there are none or
 * the schema says what they are. The work is bounded, and lets the event loop turn.
 */

export interface SchemaGrammar {
  grammar: Expression;
  /** Places of keywords that a text may break. */
  unheld: readonly string[];
}

/**
 * @param options.strict whether there may be no such places
 * @param options.path what the schema is called in messages
 * @throws InputError for what is no schema, what nothing fits, and what is too large, with its place
 */
export async function schemaGrammar(
  schema: unknown,
  { strict = false, path = 'schema' }: { strict?: boolean; path?: string } = {},
): Promise<SchemaGrammar> {
  const pace = new Pace();
  const anchors = await survey(schema, path, pace);
  const root = placeOf(schema, path);
  const unheld = new Unheld(strict);
  const nodes = new Nodes(new References(root, anchors), new Texts(unheld, pace), unheld, pace);
  const start = nodes.of(root);
  await nodes.complete();
  const breathe = () => nodes.breathe();
  await findFitting(nodes.all, breathe);
  if (!start.fits) throw new InputError(`nothing fits ${shortened(unfit(start).path)}`);
  for (const { nodes: options, path } of nodes.exclusive) {
    const fitting = options.filter(({ fits }) => fits);
    if (!(await apart(fitting, breathe))) unheld.add(path, 'may fit several of its schemas');
  }
  if (nodes.all.some(({ alternatives }) => alternatives.some(isLong))) {
    for (const node of nodes.all) {
      if (basicOf(node).some(isLong)) await splitLong(expressionOf(node), breathe);
    }
  }
  return { grammar: expressionOf(start), unheld: unheld.places };
}

/** Values of which the next byte is not found within a millisecond. */
const LONG = 2000;
const isLong = (of: Alternative) => of.kind === 'values' && of.values.size > LONG;

/** The innermost place that makes it so that nothing fits. */
function unfit(start: Node): Node {
  const seen = new Set<Node>();
  for (let at = start; ; ) {
    seen.add(at);
    const next = at.alternatives.flatMap(parts).find((node) => !node.fits && !seen.has(node));
    if (!next) return at;
    at = next;
  }
}

function parts(of: Alternative): readonly Node[] {
  switch (of.kind) {
    case 'node':
      return [of.node];
    case 'text':
    case 'values':
      return [];
    case 'object':
      return of.members.filter(({ required }) => required).map(({ node }) => node);
    case 'array':
      return [...of.first.slice(0, of.min), ...(of.items ? [of.items] : [])];
  }
}

/** Pairs that are compared. */
const MOST_PAIRS = 2000;

/** Whether no text fits two of the nodes, as far as types and listed values tell. */
async function apart(nodes: readonly Node[], breathe: () => Promise<void>): Promise<boolean> {
  if ((nodes.length * (nodes.length - 1)) / 2 > MOST_PAIRS) return false;
  const options = nodes.map((node) => basicOf(node));
  for (const [i, one] of options.entries()) {
    for (const other of options.slice(i + 1)) {
      await breathe();
      if (!one.every((a) => other.every((b) => differ(a, b)))) return false;
    }
  }
  return true;
}

function differ(a: Basic, b: Basic): boolean {
  const [as, bs] = [typesIn(a), typesIn(b)];
  if (![...as].some((type) => bs.has(type))) return true;
  if (a.kind === 'values' && b.kind === 'values') {
    return ![...a.values.keys()].some((value) => b.values.has(value));
  }
  if (a.kind !== 'object' || b.kind !== 'object') return false;
  return a.members.some(({ name, node, required }) => {
    const other = required && b.members.find((member) => member.required && member.name === name);
    if (!other) return false;
    const [own, theirs] = [listed(node), listed(other.node)];
    return own !== null && theirs !== null && !own.some((value) => theirs.includes(value));
  });
}

function listed(node: Node): string[] | null {
  const all = basicOf(node).map((one) => (one.kind === 'values' ? [...one.values.keys()] : null));
  return all.includes(null) ? null : all.flatMap((values) => values!);
}

function typesIn(of: Basic): Set<string> {
  if (of.kind === 'values') return new Set(Array.from(of.values.keys(), typeOfJson));
  if (of.kind !== 'text') return new Set([of.kind]);
  return new Set([of.type === 'integer' ? 'number' : of.type]);
}

const BY_BEGINNING: Record<string, string> = {
  ...{ '{': 'object', '[': 'array', '"': 'string', t: 'boolean', f: 'boolean', n: 'null' },
};

const typeOfJson = (text: string): string => BY_BEGINNING[text[0]!] ?? 'number';
