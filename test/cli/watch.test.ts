/** `postnas run --watch` as a process: its page and events are read while it trains, and after it was resumed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Result } from '../../src/search/result.ts';
import { parsePage } from '../report/markup.ts';
import { type Finished, postnas, postnasHere } from '../support/command.ts';
import { readEvents } from '../support/events.ts';

let folder: string;
let recipe: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-watch-'));
  recipe = join(folder, 'recipe.json');
  const few = {
    model: resolve('models/base'),
    rows: 2,
    length: 64,
    tasks: ['recall:accuracy:8'],
    placement: { budget: 1, alignSteps: 4, supernetSteps: 24, random: 0, beam: 1 },
    blocks: { alignSteps: 2, trainSteps: 2, mixers: ['gla'] },
    decode: { context: 16, tokens: 4, rounds: 1 },
  };
  writeFileSync(recipe, JSON.stringify(few));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Update {
  title: string;
  changed: Record<string, string>;
}

/** Runs with --watch and hands over the address of the page as soon as it is told. */
function watched(look: (url: string, stop: () => void) => Promise<void>): Promise<[Finished, unknown]> {
  let looking!: Promise<void>;
  const args = [
    'run',
    recipe,
    '--out',
    join(folder, 'run'),
    '--jobs',
    '1',
    '--watch',
    '--port',
    '0',
    '--json',
  ];
  const finished = postnas(args, (child) => {
    let said = '';
    looking = new Promise<string>((told) => {
      child.stderr!.on('data', (text) => {
        said += text;
        const url = /as a page: (http:\S+)/.exec(said)?.[1];
        if (url) told(url);
      });
    }).then((url) => look(url, () => child.kill('SIGTERM')));
  });
  return Promise.all([finished, looking]);
}

test('a client reads the page while it trains, is refused writing, and follows a resumed run to its end', async () => {
  const [stopped] = await watched(async (url, stop) => {
    const page = await fetch(url);
    expect(page.status).toBe(200);
    expect(parsePage(await page.text()).text('.badge')).toBe('live');
    expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(405);
    let last = '';
    let stopping = false;
    for await (const { event, data } of readEvents(`${url}events`)) {
      expect(event).toBe('page');
      const { changed } = JSON.parse(data) as Update;
      last = changed['page-banner'] ?? last;
      // In the middle of the super network.
      if (!stopping && changed['losses-placement']?.includes('super network')) {
        stopping = true;
        stop();
      }
    }
    expect(last).toContain('stopped');
  });
  expect(stopped.code).toBe(130);

  const seen: Update[] = [];
  const names: string[] = [];
  const [resumed] = await watched(async (url) => {
    for await (const { event, data } of readEvents(`${url}events`)) {
      names.push(event);
      if (event === 'page') seen.push(JSON.parse(data) as Update);
    }
    await expect(fetch(url)).rejects.toThrow();
  });
  expect(resumed.code, resumed.stderr).toBe(0);
  // What was trained before the stop is there at once.
  const first = seen.find(({ changed }) => changed['losses-placement'])!;
  expect(first.changed['losses-placement']).toContain('alignment of single layers');
  expect(seen[0]!.changed['page-header']).toContain('Nothing is decided yet');
  // The report grows stage by stage and is whole at the end.
  const arrived = (part: string) => seen.findIndex(({ changed }) => changed[part]);
  expect(arrived('placement')).toBeGreaterThan(0);
  expect(arrived('block')).toBeGreaterThanOrEqual(arrived('placement'));
  const result = JSON.parse(resumed.stdout) as Result;
  expect(seen.at(-1)!.title).toContain('finished');
  expect(seen.map(({ changed }) => changed.placement).join('')).toContain('Data behind this figure');
  expect(result.blocks!.choice.name).toBe('gla');
  expect(names.at(-1)).toBe('finished');
});

test('a port that no one may have', async () => {
  const { code, stderr } = await postnasHere(['run', recipe, '--watch', '--port', '99999']);
  expect([code, stderr]).toEqual([1, expect.stringContaining('Expected a port, 0 to 65535')]);
});
