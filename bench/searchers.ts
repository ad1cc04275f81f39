/**
 * Searchers side by side (docs/searchers): which finds the best placement for the least.
 *
 *   npm run bench -- searchers [--model FOLDER] [--settings windows,linear,heads] [--seeds 1,2,3,4,5] [--budgets 1,2,4]
 *     [--work FOLDER] [--threads 1] [--searchers 'beam;uniform'] [--text FILE] [--untrained] [--report FOLDER]
 *
 * Budgets are in whole layers. Models of the generated world are judged by its tasks; others by secrets in a text and by the
 * text of --text, with windows alone. --untrained leaves out the equal training at the end. What is done is kept in --work, and
 * a run goes on from there. With --report nothing is computed: the page is made of what --work has of all models.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadTokenizer } from '../src/model/folder.ts';
import { thisMachine } from '../src/search/machine.ts';
import { ONCE_FOR_ALL, SEARCHERS } from '../src/search/searchers/all.ts';
import { speaksOfTheWorld } from '../src/tasks/texts.ts';
import { InputError } from '../src/util/errors.ts';
import { type Cell, cellsOf, type Reference } from './searchers/cells.ts';
import { costFigure } from './searchers/figure.ts';
import { figureName, type SearchersResult, searchersMarkdown } from './searchers/report.ts';
import { budgetsOf, rowsOf } from './searchers/rows.ts';
import { openTextSpace, TEXT_SPACE } from './searchers/text-space.ts';
import { openWorldSpace, SETTINGS, type Setting } from './searchers/world-space.ts';

type Kept = SearchersResult['settings'][number];

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: 'string', default: 'models/base' },
      settings: { type: 'string', default: 'windows,linear' },
      seeds: { type: 'string', default: '1,2,3,4,5' },
      budgets: { type: 'string', default: '1,2,4' },
      work: { type: 'string', default: 'runs/searchers' },
      threads: { type: 'string', default: '1' },
      searchers: { type: 'string' },
      text: { type: 'string', multiple: true },
      untrained: { type: 'boolean', default: false },
      report: { type: 'string' },
    },
  });
  if (values.report !== undefined) return report(values.work, values.report);
  const settings = values.settings.split(',').map((name) => {
    const all = Object.keys(SETTINGS) as Setting[];
    const found = all.find((each) => each === name.trim());
    if (!found) throw new InputError(`--settings ${name}: expected some of ${all.join(', ')}`);
    return found;
  });
  const numbers = (name: 'seeds' | 'budgets') =>
    values[name].split(',').map((text) => {
      if (/^[1-9]\d*$/.test(text.trim())) return Number(text);
      throw new InputError(`--${name} ${text}: expected whole numbers of at least 1, such as 1,2,4`);
    });
  const [seeds, wantedBudgets] = [numbers('seeds'), numbers('budgets')];
  const wanted = values.searchers?.split(';').map((name) => name.trim());
  const unknown = wanted?.find((name) => !SEARCHERS.some((searcher) => searcher.name === name));
  if (unknown !== undefined) {
    const names = SEARCHERS.map(({ name }) => name).join('; ');
    throw new InputError(`searcher '${unknown}': expected some of ${names}`);
  }
  const searchers = SEARCHERS.filter(({ name }) => !wanted || wanted.includes(name));
  const untrained = searchers.filter(({ name }) => name !== ONCE_FOR_ALL);
  const log = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
  const world = speaksOfTheWorld(loadTokenizer(values.model));
  const model = basename(values.model);
  for (const setting of world ? settings : (['windows'] as const)) {
    const trains = setting === 'linear';
    const cells: Cell[] = [];
    const references: Reference[] = [];
    for (const seed of seeds) {
      const name = world ? setting : `${model}-${setting}`;
      const work = join(values.work, name, `seed-${seed}`);
      mkdirSync(work, { recursive: true });
      const control = { work, threads: Number(values.threads), log };
      const space = world
        ? await openWorldSpace(values.model, setting, seed, control)
        : await openTextSpace(values.model, values.text ?? [], seed, control);
      try {
        const perLayer = space.places.length / space.layers;
        const budgets = wantedBudgets.map((budget) => budget * perLayer);
        const found = await cellsOf(
          values.untrained ? { ...space, trained: undefined } : space,
          trains ? searchers : untrained,
          { budgets, seed, work, log },
        );
        cells.push(...found.cells);
        references.push(found.reference);
      } finally {
        await space.dispose();
      }
      const kept: Kept = {
        ...{
          name,
          ...(world ? SETTINGS[setting] : { ...TEXT_SPACE, title: `${model}: ${TEXT_SPACE.title}` }),
        },
        ...{ command: `npm run bench -- searchers ${args.join(' ')}`.trim(), machine: thisMachine() },
        ...{ cells, references },
      };
      writeFileSync(join(values.work, `${name}.json`), `${JSON.stringify(kept)}\n`);
    }
  }
}

function report(work: string, folder: string): void {
  const files = readdirSync(work).filter((file) => file.endsWith('.json'));
  if (files.length === 0) throw new InputError(`${work} has no results of searchers`);
  const order = [...Object.keys(SETTINGS)];
  const rank = (name: string) => (order.indexOf(name) + order.length + 1) % (order.length + 1);
  const settings = files
    .map((file) => JSON.parse(readFileSync(join(work, file), 'utf8')) as Kept)
    .sort((a, b) => rank(a.name) - rank(b.name));
  const result: SearchersResult = {
    ...{ format: 'postnas-searchers-1', created: new Date().toISOString(), settings },
  };
  mkdirSync(join(folder, 'figures'), { recursive: true });
  for (const setting of settings) {
    for (const budget of budgetsOf(setting)) {
      const title = `${setting.title}, ${budget} kept`;
      const svg = costFigure(rowsOf(setting, budget), { id: `${setting.name}-${budget}`, title });
      writeFileSync(join(folder, 'figures', figureName(setting, budget)), svg);
    }
  }
  writeFileSync(join(folder, 'result.json'), `${JSON.stringify(result, null, 1)}\n`);
  writeFileSync(join(folder, 'README.md'), searchersMarkdown(result));
}
