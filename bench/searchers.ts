/**
 * Searchers side by side (docs/searchers): which finds the best placement for the least.
 *
 *   npm run bench -- searchers [--model models/base] [--settings windows,linear] [--seeds 1,2,3,4,5] [--budgets 1,2,4]
 *     [--work runs/searchers] [--threads 1]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SEARCHERS } from '../src/search/searchers/all.ts';
import { type Cell, cellsOf, type Reference } from './searchers/cells.ts';
import { openWorldSpace, type Setting } from './searchers/world-space.ts';

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
    },
  });
  const numbers = (text: string) => text.split(',').map(Number);
  const log = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
  for (const setting of values.settings.split(',') as Setting[]) {
    const found: { cells: Cell[]; references: Reference[] } = { cells: [], references: [] };
    for (const seed of numbers(values.seeds)) {
      const work = join(values.work, setting, `seed-${seed}`);
      mkdirSync(work, { recursive: true });
      const space = await openWorldSpace(values.model, setting, seed, {
        ...{ work, threads: Number(values.threads), log },
      });
      try {
        const perLayer = space.places.length / space.layers;
        const budgets = numbers(values.budgets).map((budget) => budget * perLayer);
        const { cells, reference } = await cellsOf(space, SEARCHERS, { budgets, seed, work, log });
        found.cells.push(...cells);
        found.references.push(reference);
      } finally {
        await space.dispose();
      }
      writeFileSync(join(values.work, `${setting}.json`), `${JSON.stringify(found, null, 1)}\n`);
    }
  }
}
