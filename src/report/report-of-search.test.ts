import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { idMistakes, markupMistakes, parsePage, plain } from '../../test/report/markup.ts';
import { type SampleOptions, sampleResult, wholeOf } from '../../test/report/sample-result.ts';
import type { PlacementResult } from '../search/stages/placement/result.ts';
import type { Judged } from '../search/stages/placement/searcher.ts';
import { renderReport, writeReport } from './report.ts';

const FIGURES = ['abilities', 'heat-map', 'budget-curve', 'ability-curves', 'alignment', 'cost'];

const CASES: Record<string, SampleOptions> = {
  '8 layers, accuracy, 3 seeds': {},
  '30 layers, accuracy, 3 seeds': { layers: 30, budget: 4, searchers: ['beam', 'uniform', 'random'] },
  '30 layers, accuracy and loss, 4 seeds': {
    layers: 30,
    budget: 3,
    seeds: 4,
    objective: 'mixed',
    searchers: ['beam', 'uniform', 'random'],
  },
  '8 layers, loss, 1 seed': { seeds: 1, objective: 'loss' },
  'the search alone': { seeds: 1, searchers: ['beam'] },
  'uniform alone': { searchers: ['uniform'] },
  'a budget of 1': { budget: 1 },
  'all layers allowed': { layers: 4, budget: 4 },
  'a budget of nothing': { budget: 0, seeds: 1 },
};

const render = (placement: PlacementResult, path?: string) => renderReport(wholeOf({ placement }, path));
const parse = (placement: PlacementResult, path?: string) => parsePage(render(placement, path));

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const score = ({ score }: Judged) => score;

describe.each(Object.entries(CASES))('%s', (_, options) => {
  let result: PlacementResult;
  let report: ReturnType<typeof parse>;
  beforeAll(async () => {
    result = await sampleResult(options);
    report = parse(result);
  });

  test('is well-formed, its ids are unique and its references lead somewhere', () => {
    expect(markupMistakes(report.page)).toEqual([]);
    expect(idMistakes(report.page)).toEqual([]);
  });

  test('needs nothing from elsewhere and runs nothing', () => {
    expect(report.document.querySelectorAll('script, link, img, iframe, object, embed')).toHaveLength(0);
    expect(report.page).not.toMatch(/\b(?:https?:)?\/\/(?!www\.w3\.org)|@import|url\(|\son\w+="/);
    const links = [...report.document.querySelectorAll('a')].map((a) => a.getAttribute('href')!);
    expect(links.filter((href) => !/^(#|data:(text\/csv|application\/json);)/.test(href))).toEqual([]);
  });

  test('leaves no hole in its sentences and drawings', () => {
    const visible = report.page.replace(/<style>[\s\S]*?<\/style>|href="data:[^"]*"/g, '');
    expect(visible).not.toMatch(/undefined|NaN|Infinity|\[object|null/);
  });

  test('every drawing has a name and a description, every figure a title, a caption and its data', () => {
    const drawings = [...report.document.querySelectorAll('svg[role=img]')];
    expect(drawings.length).toBeGreaterThan(6);
    for (const svg of drawings) {
      expect(svg.getAttribute('aria-label')).toBeTruthy();
      expect(svg.querySelector('desc')!.textContent).not.toBe('');
    }
    for (const figure of report.document.querySelectorAll('figure')) {
      expect(figure.querySelector('h3')!.textContent).not.toBe('');
      expect(figure.querySelector('figcaption')!.textContent).not.toBe('');
      expect(figure.querySelectorAll('details table tbody tr').length).toBeGreaterThan(0);
      expect(report.file(`${figure.id}-data.csv`).split('\r\n').length).toBeGreaterThan(2);
    }
  });

  test('charts draw only what lies inside of them', () => {
    for (const svg of report.document.querySelectorAll('svg[role=img]')) {
      const [, , width, height] = svg.getAttribute('viewBox')!.split(' ').map(Number);
      for (const dot of svg.querySelectorAll('circle')) {
        const [x, y] = ['cx', 'cy'].map((name) => Number(dot.getAttribute(name)));
        expect(x! >= 0 && x! <= width! && y! >= 0 && y! <= height!).toBe(true);
      }
    }
  });

  test('the file behind it is the result', () => {
    expect(JSON.parse(report.file('result.json'))).toEqual(
      JSON.parse(JSON.stringify(wholeOf({ placement: result }))),
    );
  });
});

describe('8 layers, 3 seeds', () => {
  let result: PlacementResult;
  let report: ReturnType<typeof parse>;
  beforeAll(async () => {
    result = await sampleResult();
    report = parse(result);
  });
  const full = (name: string) =>
    result.runs.map(({ searchers }) => searchers.find((searcher) => searcher.name === name)!.best.at(-1)!);

  test('has every figure, in order', () => {
    expect([...report.document.querySelectorAll('figure')].map(({ id }) => id)).toEqual(FIGURES);
  });

  test('opens with the answer', () => {
    const { architecture, placement } = result.runs[0]!;
    expect(report.text('h1')).toBe(`Full attention stays in layers ${placement.join(' and ')} of 8`);
    const blocks = [...report.document.querySelectorAll('header .architecture .block')];
    expect(blocks.map((block) => plain(block.querySelector('b')!.textContent)).join('')).toBe(architecture);
    expect(blocks.map((block) => block.classList.contains('full'))).toEqual(
      [...architecture].map((letter) => letter === 'A'),
    );
    const gain = mean(full('beam-4').map((judged, i) => judged.score - full('uniform')[i]!.score));
    const cards = report.text('.cards');
    expect(cards).toContain(`+${(100 * gain).toFixed(1)} points`);
    const kept = mean(full('beam-4').map(score)) / result.base.score;
    expect(cards).toContain(`${(100 * kept).toFixed(1)} %`);
  });

  test('the table of searchers holds means of the data', () => {
    const [header, ...rows] = report.table('searchers');
    expect(header!.slice(0, 4)).toEqual(['Searcher', 'Layers kept', 'mean (%)', 'recall (%)']);
    expect(rows.map(([name]) => name)).toEqual([
      'beam-4',
      'exhaustive',
      'random-16',
      'uniform',
      'all linear',
      'base model, 8 of 8 full',
    ]);
    for (const row of rows.slice(0, 4)) {
      const judged = full(row[0] as string);
      expect(row[2]).toBeCloseTo(mean(judged.map(score)), 12);
      for (const [i, { task }] of result.objective.entries()) {
        expect(row[3 + i]).toBeCloseTo(mean(judged.map(({ tasks }) => tasks[task]!.accuracy)), 12);
      }
      const costs = result.runs.map(({ searchers }) => searchers.find(({ name }) => name === row[0])!);
      expect(row.at(-2)).toBeCloseTo(mean(costs.map(({ seconds }) => seconds)), 12);
      expect(row.at(-1)).toBeCloseTo(mean(costs.map(({ tokens }) => tokens)), 12);
    }
    const gain = mean(full('beam-4').map(score)) - mean(full('uniform').map(score));
    expect(rows[0]!.at(-3)).toBeCloseTo(gain, 12);
    expect(rows.at(-1)![2]).toBe(result.base.score);
  });

  test('the table of every seed holds the data itself', () => {
    const rows = report.table('searchers-by-seed').slice(1);
    expect(rows).toHaveLength(12);
    expect(rows.slice(0, 3).map((row) => row[3])).toEqual(full('beam-4').map(score));
    expect(rows.slice(0, 3).map((row) => row[1])).toEqual([1, 2, 3]);
  });

  test('the heat map holds every layer, and the same numbers as drawn', () => {
    const rows = report.table('heat-map-data').slice(1);
    expect(rows.map(([layer]) => layer)).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
      'all linear',
      'base model',
    ]);
    for (const layer of [0, 4, 7]) {
      const recall = mean(result.runs.map(({ heatMap }) => heatMap[layer]!.tasks.recall!.accuracy));
      expect(rows[layer]![1]).toBeCloseTo(recall, 12);
      const drawn = [...report.document.querySelectorAll('#heat-map .wide svg text')].map(
        (t) => t.textContent,
      );
      expect(drawn).toContain((100 * recall).toFixed(1));
    }
    expect(rows.at(-1)![1]).toBe(result.base.tasks.recall!.accuracy);
  });

  test('budgets, alignment and cost are those of the data', () => {
    const budget = report.table('budget-curve-data').slice(1);
    const beam = result.runs.map(({ searchers }) => searchers[0]!.best);
    expect(
      budget.filter(([name]) => name === 'beam search (width 4)').map((row) => [row[1], row[2], row[3]]),
    ).toEqual([0, 1, 2].flatMap((size) => beam.map((best, i) => [size, i + 1, best[size]!.score])));
    const alignment = report.table('alignment-data').slice(1);
    expect(alignment.map((row) => row.slice(2))).toEqual(
      Array.from({ length: 8 }, (_, layer) => result.runs.map((run) => run.alignment[layer])),
    );
    const cost = report.table('cost-data').slice(1);
    expect(cost[0]![0]).toBe('align');
    expect(cost[0]![1]).toBeCloseTo(mean(result.runs.map(({ stages }) => stages[0]!.seconds)), 12);
    expect(cost.at(-1)!.slice(1, 3)).toEqual([result.seconds, result.tokens]);
  });

  test('a CSV has the values of its table', () => {
    const [header, first] = report.file('heat-map-data.csv').split('\r\n');
    expect(header).toBe(
      'Layer,"recall, accuracy (%)","choice, accuracy (%)","arithmetic, accuracy (%)","tracking, accuracy (%)"',
    );
    expect(first!.split(',').map(Number)).toEqual([0, ...report.table('heat-map-data')[1]!.slice(1)]);
  });

  test('says how to repeat it', () => {
    expect(report.text('#reproduce pre')).toBe(wholeOf({ placement: result }).command);
  });

  test('is the same each time', () => {
    expect(render(result)).toBe(report.page);
  });
});

describe('what it says follows from the data', () => {
  test('the layer that matters most', async () => {
    const result = await sampleResult();
    expect(parse(result).text('#heat-map h3')).toMatch(/^Layer 4 matters most for recall/);
    // Layers 2 and 4 change places.
    for (const { heatMap } of result.runs)
      [heatMap[2]!.tasks, heatMap[4]!.tasks] = [heatMap[4]!.tasks, heatMap[2]!.tasks];
    const turned = parse(result);
    expect(turned.text('#heat-map h3')).toMatch(/^Layer 2 matters most for recall/);
    expect(turned.text('#heat-map figcaption')).toMatch(
      /recall: layer 2 takes it from .* \(it leads in 3 of 3 seeds\); next is layer 4 with/,
    );
  });

  test('for losses the best layer is the one with the lowest', async () => {
    const result = await sampleResult({ objective: 'loss' });
    const { text } = parse(result);
    const losses = Array.from({ length: 8 }, (_, layer) =>
      mean(result.runs.map(({ heatMap }) => heatMap[layer]!.tasks.mmlu!.goldLossPerToken)),
    );
    const best = losses.indexOf(Math.min(...losses));
    expect(text('#heat-map figcaption')).toContain(`mmlu: layer ${best} takes it`);
    expect(text('#budget-curve .reading')).toContain('lower is better');
    expect(text('#budget-curve h3')).toMatch(/is \d\.\d+ nats better than uniform at 2 full layers/);
  });

  test('layers that bring nothing back are not called important', async () => {
    const result = await sampleResult();
    for (const { heatMap, searchers } of result.runs) {
      const allLinear = searchers[0]!.best[0]!;
      for (const judged of heatMap) judged.tasks = allLinear.tasks;
    }
    const { text } = parse(result);
    expect(text('#heat-map h3')).toBe('No layer brings much back by itself');
    expect(text('#heat-map figcaption')).toContain('recall: no layer closes more than 0 % of the gap.');
  });

  test('a base that is no better than all linear leaves no gap to close', async () => {
    const result = await sampleResult();
    result.base.tasks.choice = { ...result.base.tasks.choice!, accuracy: 0.3 };
    const { text } = parse(result);
    expect(text('#heat-map figcaption')).toContain('choice: all linear is as good as the base model');
  });

  test('a search that loses to uniform is said to lose', async () => {
    const result = await sampleResult();
    for (const { searchers } of result.runs)
      searchers.find(({ name }) => name === 'uniform')!.best.at(-1)!.score = 0.9;
    const { text } = parse(result);
    expect(text('#budget-curve h3')).toMatch(/points worse than uniform at 2 full layers/);
    expect(text('#budget-curve figcaption')).toContain('the search is ahead in 0 of 3 seeds');
    expect(text('.cards')).toMatch(/−\d+\.\d points ?against uniform/);
  });

  test('where seeds disagree, the best one is shown and the others are counted', async () => {
    const result = await sampleResult();
    const run = result.runs[1]!;
    const other = { ...run.searchers[0]!.best.at(-1)!, placement: [0, 6], score: 0.95 };
    run.searchers[0]!.best[2] = other;
    Object.assign(run, { placement: [0, 6], architecture: 'ADDDDDAD' });
    const { text, document } = parse(result);
    expect(text('h1')).toBe('Full attention stays in layers 0 and 6 of 8');
    expect(text('.key')).toContain(
      'Shown is seed 2, which scores best of 3. Only this seed chose this placement.',
    );
    expect(document.querySelector('header .architecture')!.getAttribute('aria-label')).toMatch(/^ADDDDDAD/);
  });
});

describe('less than everything', () => {
  test('one seed: no spread, no talk of seeds agreeing', async () => {
    const { text, document } = parse(await sampleResult({ seeds: 1 }));
    expect(text('main')).not.toContain('±');
    expect(text('.key') + text('.cards')).not.toMatch(/seed|±/);
    expect(document.querySelector('table[aria-labelledby="searchers-by-seed"]')).toBeNull();
  });

  test('without uniform nothing is compared with it', async () => {
    const { text, document } = parse(await sampleResult({ searchers: ['beam'] }));
    expect(text('header')).not.toContain('uniform');
    expect(text('#comparison')).not.toMatch(/against uniform/i);
    expect(document.querySelectorAll('figure')).toHaveLength(FIGURES.length);
  });

  test('without searchers and heat map their sections are left out', async () => {
    const result = await sampleResult();
    for (const run of result.runs) Object.assign(run, { searchers: [], heatMap: [], stages: [] });
    const { document, page } = parse(result);
    expect([...document.querySelectorAll('figure')].map(({ id }) => id)).toEqual(['alignment']);
    expect(markupMistakes(page)).toEqual([]);
    expect(idMistakes(page)).toEqual([]);
  });

  test('a single task needs no curves per ability', async () => {
    const result = await sampleResult();
    result.objective = result.objective.slice(0, 1);
    const { document, text } = parse(result);
    expect([...document.querySelectorAll('figure')].map(({ id }) => id)).toEqual(
      FIGURES.filter((id) => id !== 'ability-curves'),
    );
    expect(text('#budget-curve .reading')).toMatch(/^The recall accuracy of/);
  });

  test('a task judged by both its metrics has a row for each', async () => {
    const result = await sampleResult({ seeds: 1 });
    result.objective.push({ task: 'recall', metric: 'loss', examples: 256 });
    const { table, page } = parse(result);
    expect(table('heat-map-data')[0]!.slice(-1)).toEqual(['recall by loss, gold loss (nats)']);
    expect(table('heat-map-data')[1]!.at(-1)).toBe(
      result.runs[0]!.heatMap[0]!.tasks.recall!.goldLossPerToken,
    );
    expect(markupMistakes(page)).toEqual([]);
  });

  test('a task that does not guide is reported, and said not to guide', async () => {
    const result = await sampleResult();
    for (const entry of result.objective.slice(2)) entry.guides = false;
    const { table, text, page } = parse(result);
    expect(table('searchers')[0]!.slice(2, 5)).toEqual([
      'mean of recall and choice (%)',
      'recall (%)',
      'choice (%)',
    ]);
    expect(table('objective').map((row) => row.at(-1))).toEqual([
      'Guides the search',
      'yes',
      'yes',
      'no, reported only',
      'no, reported only',
    ]);
    expect(text('#ability-curves .reading')).toContain(
      'chosen for the mean accuracy of recall and choice alone',
    );
    expect(markupMistakes(page)).toEqual([]);
    for (const entry of result.objective.slice(1)) entry.guides = false;
    const one = parse(result);
    expect(one.table('searchers')[0]!.slice(2, 4)).toEqual(['recall (%)', 'choice (%)']);
    expect(one.text('#ability-curves .reading')).toContain(
      'the recall accuracy alone, so that another may fall',
    );
    for (const entry of result.objective) entry.guides = false;
    expect(() => render(result)).toThrow('expected a task that guides');
  });

  test('nothing at all is refused', async () => {
    const result = await sampleResult({ seeds: 1 });
    expect(() => render({ ...result, runs: [] })).toThrow('expected at least one run');
    expect(() => render({ ...result, objective: [] })).toThrow('expected at least one task');
  });
});

test('names cannot do anything but be read', async () => {
  const evil = `"><script>alert(1)</script><img src=x onerror='a'> & co`;
  const text = JSON.stringify(await sampleResult({ searchers: ['beam', 'uniform'] }));
  const escaped = JSON.stringify(evil).slice(1, -1);
  const result = JSON.parse(
    text
      .replaceAll('"recall"', `"${escaped}"`)
      .replaceAll('"beam-4"', `"${escaped}"`)
      .replaceAll('"align"', `"${escaped}"`),
  ) as PlacementResult;
  result.runs[0]!.architecture = '<D>&"ADA';
  const { page, document } = parse(result, evil);
  expect(markupMistakes(page)).toEqual([]);
  expect(document.querySelectorAll('script, img')).toHaveLength(0);
  expect(page).not.toContain('<script');
  const row = document.querySelector('table[aria-labelledby="heat-map-data"] thead th:nth-child(2)');
  expect(plain(row!.textContent)).toBe(`${evil}, accuracy (%)`);
});

test('is written as a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postnas-report-'));
  try {
    const result = await sampleResult({ seeds: 1 });
    const path = join(folder, 'new', 'report.html');
    writeReport(path, wholeOf({ placement: result }));
    expect(readFileSync(path, 'utf8')).toBe(render(result));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
