/**
 * docs/recipe.md, docs/result.md and recipes/schema/recipe.json, by which editors complete recipes: all out of the schemas
 * that recipes and results are read by.
 *
 *   npx tsx scripts/docs-schemas.ts
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { recipeFileSchema } from '../src/search/recipe.ts';
import { RESULT_FORMAT, resultSchema } from '../src/search/result.ts';

const root = resolve(import.meta.dirname, '..');

type Schema = z.core.JSONSchema.BaseSchema;

const RECIPE = `# Recipes

A recipe is a run of PostNAS as a JSON file: \`postnas run my-model.json\`. A stage that it does not name is left out; \`recipes/\`
has examples, and [the guide](guides/search.md) takes one apart. Files are looked for beside the recipe first. With
\`"$schema": "./schema/recipe.json"\`, the path of that file of this package, editors complete its fields and show what they mean. What is misspelt or beyond its bounds is refused by name before anything is trained.
`;

const RESULT = `# Results

\`result.json\` is what a run found: a search alone, a comparison of blocks alone and all stages of PostNAS are the same kind of file,
with the parts of the stages that were done. \`postnas report\` makes a page of it; \`readResult\` of \`postnas/search\` reads and checks
it. The format is \`${RESULT_FORMAT}\`; results of the three formats before it (\`postnas-search-1\`, \`postnas-blocks-1\`,
\`postnas-run-1\`) are read into it. Fields that are not described here are ignored, so that a newer version may write more.
Layers are counted from 0, as checkpoints name them.
`;

/** Texts by their paths in the project. */
export function documents(): Map<string, string> {
  const recipe = z.toJSONSchema(recipeFileSchema, { io: 'input' }) as Schema;
  const result = z.toJSONSchema(resultSchema({}), { unrepresentable: 'any' }) as Schema;
  return new Map([
    [
      'recipes/schema/recipe.json',
      `${JSON.stringify({ title: 'A recipe of postnas', ...recipe }, null, 2)}\n`,
    ],
    ['docs/recipe.md', pageOf(RECIPE, recipe, { defaults: true })],
    ['docs/result.md', pageOf(RESULT, result, { defaults: false })],
  ]);
}

/** A section for all plain fields, one for every part that has fields of its own, and one for what stands in several places. */
function pageOf(intro: string, schema: Schema, { defaults }: { defaults: boolean }): string {
  const fields = Object.entries(properties(schema));
  const parts = fields.filter(([, field]) => formsOf(field).length > 0 && field.title === undefined);
  const plain = {
    ...schema,
    properties: Object.fromEntries(fields.filter((field) => !parts.includes(field))),
  };
  const sections = [
    ...parts.flatMap(([name, part]) =>
      formsOf(part).map((form, i) => ({
        title: `\`${name}\`${i > 0 ? ', another form' : ''}`,
        description: i > 0 ? undefined : part.description,
        form,
      })),
    ),
    ...[...titled(schema)].map(([title, form]) => ({
      title: capitalised(title),
      description: undefined,
      form,
    })),
  ];
  const shown = sections.map(({ title, description, form }) =>
    [`## ${title}`, ...(description ? [`${capitalised(description)}.`] : []), table(form, defaults)].join(
      '\n\n',
    ),
  );
  return `${[intro.trimEnd(), table(plain, defaults), ...shown].join('\n\n')}\n`;
}

/** Objects with a title, wherever they stand: each is described once. */
function titled(schema: Schema, found = new Map<string, Schema>()): Map<string, Schema> {
  const [inner] = inside(schema);
  if (inner.title !== undefined && inner.properties) found.set(inner.title, inner);
  for (const field of Object.values(properties(inner))) titled(field, found);
  return found;
}

function table(schema: Schema, defaults: boolean): string {
  const head = ['Field', 'What', ...(defaults ? ['Default'] : []), 'Meaning'];
  const rows = rowsOf(schema, '', defaults);
  if (rows.length === 0) return 'It has no fields: `{}`.';
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Fields of fields stand below them: `runs[].searchers[].best`. */
function rowsOf(schema: Schema, prefix: string, defaults: boolean): string[][] {
  const required = new Set(schema.required ?? []);
  return Object.entries(properties(schema)).flatMap(([name, field]) => {
    const at = `${prefix}${name}`;
    const absent = required.has(name) ? (defaults ? 'must be given' : '') : 'absent';
    const value = field.default === undefined ? absent : `\`${JSON.stringify(field.default)}\``;
    const meaning = field.description ?? '';
    const own = [
      `\`${at}\``,
      `${typeOf(field)}${!defaults && !required.has(name) ? ', may be absent' : ''}`,
      ...(defaults ? [value] : []),
      meaning,
    ].map((cell) => cell.replaceAll('|', '\\|'));
    const [inner, many] = inside(field);
    const below =
      inner.title === undefined && inner.properties ? rowsOf(inner, `${at}${many}.`, defaults) : [];
    return [own, ...below];
  });
}

/** What the entries of lists and the values behind names are, as deep as there are any, and how that is written. */
function inside(field: Schema): [Schema, string] {
  const below = field.type === 'array' ? field.items : field.additionalProperties;
  if (typeof below !== 'object' || Array.isArray(below)) return [field, ''];
  const [inner, more] = inside(below as Schema);
  return [inner, `${field.type === 'array' ? '[]' : '.*'}${more}`];
}

function properties(schema: Schema): Record<string, Schema> {
  return (schema.properties ?? {}) as Record<string, Schema>;
}

/** The objects that a field may be; none for a plain value. */
function formsOf(field: Schema): Schema[] {
  const forms = (field.anyOf ?? [field]) as Schema[];
  return forms.filter(({ type, properties }) => type === 'object' && properties);
}

/** In words: 'a whole number, 1 to 65,536'. */
function typeOf(field: Schema): string {
  const choices = field.anyOf ?? field.oneOf;
  if (choices) return choices.map((choice) => typeOf(choice as Schema)).join(', or ');
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum) return field.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  if (field.title !== undefined) return `a [${field.title}](#${field.title.replaceAll(' ', '-')})`;
  switch (field.type) {
    case 'array':
      return `a list, each ${typeOf((field.items ?? {}) as Schema)}`;
    case 'integer':
      return `a whole number${rangeOf(field)}`;
    case 'number':
      return `a number${rangeOf(field)}`;
    case 'boolean':
      return '`true` or `false`';
    case 'string':
      return 'a text';
    default:
      return 'an object';
  }
}

/** Bounds that say something: the whole numbers of a machine are none. */
function rangeOf({ minimum, exclusiveMinimum, maximum }: Schema): string {
  const shown = (value: number) => value.toLocaleString('en');
  const above = typeof exclusiveMinimum === 'number' ? `above ${shown(exclusiveMinimum)}` : undefined;
  const least = above ?? (minimum === undefined || minimum <= -1e15 ? undefined : shown(minimum));
  const most = maximum === undefined || maximum >= 1e15 ? undefined : shown(maximum);
  if (least === undefined) return most === undefined ? '' : `, up to ${most}`;
  return most === undefined ? `, ${least} or more` : `, ${least} to ${most}`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (process.argv[1] === import.meta.filename) {
  for (const [path, text] of documents()) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
