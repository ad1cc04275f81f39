import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isRepo } from '../../model/model-files.ts';
import { writeFileAtomic } from '../../util/files.ts';
import type { CompareResult } from './result.ts';
import { averageRecall, baselineOf } from './verdict.ts';

/**
 * A comparison in the README.md of a hybrid's folder, the model card of the Hugging Face Hub: metadata in front, figures and
 * verdict behind. What stands between the marks is replaced; all else that a user wrote stays.
 */
export interface Card {
  path: string;
}

const [BEGIN, END] = ['<!-- postnas compare -->', '<!-- end of postnas compare -->'];
const [META_BEGIN, META_END] = ['# postnas compare', '# end of postnas compare'];

/** Writes into the folder of every hybrid that is a folder here; what was downloaded, and the parent's, are left alone. */
export function writeCards(
  result: CompareResult,
  { parent, hybrids }: { parent: string; hybrids: readonly string[] },
): Card[] {
  return hybrids.flatMap((folder, i) => {
    if (!existsSync(join(folder, 'config.json')) || resolve(folder) === resolve(parent)) return [];
    const path = join(folder, 'README.md');
    const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const license = licenseOf(join(parent, 'README.md'));
    writeFileAtomic(path, cardOf(before, result, i + 1, { parent, license }));
    return [{ path }];
  });
}

/** Of a model card; undefined where there is none. */
export function licenseOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  return /^license:\s*(\S.*)$/m.exec(metadataOf(readFileSync(path, 'utf8')).metadata)?.[1];
}

/** @param before what the file has so far */
export function cardOf(
  before: string,
  result: CompareResult,
  at: number,
  about: { parent: string; license: string | undefined },
): string {
  const { metadata, body } = metadataOf(before);
  const kept = without(metadata, META_BEGIN, META_END);
  const has = (field: string) => new RegExp(`^${field}:`, 'm').test(kept);
  const own = fieldsOf(result, at, about).filter(({ field }) => !has(field));
  const lines = [kept.trimEnd(), META_BEGIN, ...own.map(({ text }) => text), META_END].filter(Boolean);
  const section = `${BEGIN}\n${sectionOf(result, at)}\n${END}`;
  const text = body.includes(BEGIN)
    ? replaced(body, section)
    : `${body.trim() === '' ? `# ${result.models[at]!.name}` : body.trimEnd()}\n\n${section}\n`;
  return `---\n${lines.join('\n')}\n---\n${text.startsWith('\n') ? '' : '\n'}${text}`;
}

/** The fields in front of a card, without their dashes, and the rest. */
function metadataOf(text: string): { metadata: string; body: string } {
  const [all, metadata = ''] = /^---\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text) ?? [''];
  return { metadata, body: text.slice(all.length) };
}

function without(text: string, begin: string, end: string): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  return from < 0 || to < from
    ? text
    : text.slice(0, from) + text.slice(to + end.length).replace(/^\r?\n/, '');
}

/** A section whose end was lost goes to the next heading behind its own, or to the end. */
function replaced(body: string, section: string): string {
  const from = body.indexOf(BEGIN);
  const end = body.indexOf(END, from);
  if (end >= 0) return body.slice(0, from) + section + body.slice(end + END.length);
  const [, next] = [...body.slice(from).matchAll(/^#{1,2} /gm)];
  return `${body.slice(0, from)}${section}\n${next ? `\n${body.slice(from + next.index)}` : ''}`;
}

/** YAML has JSON's strings. */
const quoted = (text: string) => JSON.stringify(text);

function fieldsOf(
  result: CompareResult,
  at: number,
  { parent, license }: { parent: string; license: string | undefined },
): { field: string; text: string }[] {
  const { name, text, tasks } = result.models[at]!;
  const metric = (type: string, value: number, of: string) =>
    `          - type: ${type}\n            value: ${Number(value.toFixed(4))}\n            name: ${quoted(of)}`;
  const entry = (dataset: string, metrics: string[]) =>
    [
      '      - task:\n          type: text-generation',
      `        dataset:\n          name: ${quoted(dataset)}\n          type: ${quoted(dataset.replace(/\W+/g, '_'))}`,
      `        metrics:\n${metrics.join('\n')}`,
    ].join('\n');
  const results = [
    entry(result.data.name, [
      metric('loss', text.loss, 'nats per token'),
      metric('perplexity', Math.exp(text.loss), 'perplexity'),
    ]),
    ...tasks.map((task) =>
      entry(task.name, [metric('accuracy', task.accuracy, `${task.examples} examples`)]),
    ),
  ];
  return [
    ...(license === undefined ? [] : [{ field: 'license', text: `license: ${license}` }]),
    ...(isRepo(parent) && !existsSync(parent)
      ? [{ field: 'base_model', text: `base_model: ${parent}` }]
      : []),
    { field: 'pipeline_tag', text: 'pipeline_tag: text-generation' },
    { field: 'library_name', text: 'library_name: postnas' },
    { field: 'tags', text: 'tags:\n  - postnas\n  - hybrid-attention' },
    {
      field: 'model-index',
      text: `model-index:\n  - name: ${quoted(name)}\n    results:\n${results.join('\n')}`,
    },
  ];
}

function sectionOf(result: CompareResult, at: number): string {
  const { models, verdicts, context, data } = result;
  const parent = models[0]!;
  const hybrid = models[at]!;
  const baseline = baselineOf(models, at);
  const shown = [parent, hybrid, ...(baseline ? [baseline] : [])];
  const verdict = verdicts.find(({ model }) => model === at)!;
  const row = (title: string, of: (model: (typeof models)[number]) => string) =>
    `| ${title} | ${shown.map(of).join(' | ')} |`;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    `## Compared with ${parent.name}`,
    '',
    `**${verdict.headline}.**`,
    '',
    ...verdict.points.map((point) => `- ${point.text}`),
    '',
    `| | ${shown.map(({ name }) => name).join(' | ')} |`,
    `|---|${shown.map(() => '---:').join('|')}|`,
    row('nats a token of text', ({ text }) => text.loss.toFixed(3)),
    row('most probable token as the parent', ({ role, text }) =>
      role === 'parent' ? '' : percent(text.agreement),
    ),
    row('divergence from the parent', ({ role, text }) => (role === 'parent' ? '' : text.kl.mean.toFixed(3))),
    row(`told facts found, texts of up to ${context.toLocaleString('en')} tokens`, (model) =>
      percent(averageRecall(model)),
    ),
    ...parent.tasks.map(({ name }, i) =>
      row(name, ({ tasks }) => {
        const { accuracy, interval } = tasks[i]!;
        return `${percent(accuracy)} (${interval.map((end) => (100 * end).toFixed(0)).join(' to ')})`;
      }),
    ),
    row(`bytes of a sequence of ${context.toLocaleString('en')} tokens`, ({ stateBytes }) =>
      stateBytes.toLocaleString('en'),
    ),
    ...parent.speed.map(({ context: length }, i) =>
      row(`tokens written per second after ${length.toLocaleString('en')}`, ({ speed }) =>
        (speed[i]?.decodeTokensPerSecond ?? Number.NaN).toFixed(1),
      ),
    ),
    '',
    `Text: ${data.name}, ${data.tokens.toLocaleString('en')} tokens. Speed on ${result.machine.processor}. Measured by \`postnas compare\` on ${result.created.slice(0, 10)}${
      result.command === undefined ? '' : `:\n\n    ${result.command}`
    }`,
  ].join('\n');
}
